import numpy as np
import pytest
from pool_worlds import numbers, planted, view_of_points

from choosing_worlds import choose_units
from frugalseg.strategies.distances import Points
from frugalseg.strategies.k_means import k_means
from frugalseg.strategies.probcover import cover, pure_radius
from frugalseg.strategies.typiclust import typicality
from frugalseg.strategies.uncertain_diverse import UncertainDiverse


def rng(seed=0):
    return np.random.default_rng(seed)


def n_clusters_hit(strategy, seed):
    points, cluster = planted(seed)
    return len(set(cluster[numbers(choose_units(view_of_points(points), strategy, 10, seed=seed))]))


@pytest.mark.parametrize("strategy", ["typiclust", "coreset", "probcover", "coregcn"])
def test_diversity_beats_random_in_a_pool_with_redundancy(strategy):
    by_chance = np.mean([n_clusters_hit("random", seed) for seed in range(6)])
    found = np.mean([n_clusters_hit(strategy, seed) for seed in range(6)])
    assert by_chance < 7
    assert found >= by_chance + 1.5


def test_typiclust_reaches_every_cluster_and_its_middle():
    for seed in range(4):
        points, cluster = planted(seed)
        chosen = numbers(choose_units(view_of_points(points), "typiclust", 10, seed=seed))
        assert set(cluster[chosen]) == set(range(10))
        gaps = [np.linalg.norm(points - points[cluster == c].mean(0), axis=1) for c in cluster[chosen]]
        nearer = [(gap[cluster == cluster[i]] < gap[i]).mean() for i, gap in zip(chosen, gaps, strict=True)]
        assert np.mean(nearer) < 0.3


def test_typiclust_leaves_outliers_alone_and_coreset_loves_them():
    points, cluster = planted(0)
    points = np.concatenate([points, 100 * rng(1).normal(size=(5, 8))])
    view = view_of_points(points)
    assert max(numbers(choose_units(view, "typiclust", 8))) < len(cluster)
    assert {len(cluster) + i for i in range(5)} <= set(numbers(choose_units(view, "coreset", 8)))


@pytest.mark.parametrize("strategy", ["typiclust", "probcover", "coreset"])
def test_clusters_that_have_a_label_come_last(strategy):
    points, cluster = planted(2)
    bought = [int(np.flatnonzero(cluster == c)[0]) for c in range(6)]
    chosen = numbers(choose_units(view_of_points(points, bought=bought), strategy, 4))
    assert set(cluster[chosen]) == {6, 7, 8, 9}


def test_typiclust_goes_on_when_its_clusters_are_empty_and_takes_small_ones_last():
    points = np.repeat([[0.0], [50.0], [100.0]], [8, 8, 3], axis=0) + rng().normal(size=(19, 1))
    chosen = numbers(choose_units(view_of_points(points), "typiclust", 3))
    assert {i // 8 for i in chosen} == {0, 1}
    assert len(set(numbers(choose_units(view_of_points(points), "typiclust", 19)))) == 19


@pytest.mark.parametrize("n", [1, 2, 7, 30, 700])
def test_typicality_is_that_of_the_nearest_neighbours(n):
    from sklearn.neighbors import NearestNeighbors

    x = rng().normal(size=(n, 5)).astype(np.float32)
    k = max(1, min(20, n // 2))
    if n > 1:
        mean = NearestNeighbors(n_neighbors=k).fit(x).kneighbors()[0].mean(1)
        np.testing.assert_allclose(typicality(x), 1 / (mean + 1e-5), rtol=1e-4)
    assert len(typicality(x)) == n


def test_k_means_is_as_tight_as_that_of_scikit_learn():
    from sklearn.cluster import KMeans

    x = rng(3).normal(size=(400, 4)).astype(np.float32)
    cluster = k_means(Points(x), 12, rng=rng())
    ours = sum(((x[cluster == c] - x[cluster == c].mean(0)) ** 2).sum() for c in range(12))
    assert ours < 1.05 * KMeans(12, n_init=10, random_state=0).fit(x).inertia_


def test_k_means_finds_clusters_that_are_there_again_and_again():
    points, planted_in = planted(4)
    found = [k_means(Points(points), 10, rng=rng(5)) for _ in range(2)]
    assert (found[0] == found[1]).all()
    assert len({*zip(found[0].tolist(), planted_in.tolist(), strict=True)}) == 10


def test_k_means_of_fewer_different_points_than_clusters_has_empty_ones():
    x = np.repeat([[0.0, 0.0], [1.0, 1.0]], 5, axis=0)
    assert len(set(k_means(Points(x), 6, rng=rng()))) == 2


def brute_cover(d, n, radius, labelled):
    near = (d < radius) | np.eye(len(d), dtype=bool)
    covered = near[:, labelled].any(1)
    picks = []
    while len(picks) < n:
        gain = near[~covered].sum(0)
        gain[[*labelled, *picks]] = 0
        if not gain.any():
            break
        picks.append(int(gain.argmax()))
        covered |= near[:, picks[-1]]
    return picks


@pytest.mark.parametrize("labelled", [[], [3, 77]])
@pytest.mark.parametrize("radius", [0.0, 0.4, 1.0, 3.0])
def test_probcover_covers_as_its_definition_says(radius, labelled):
    x = rng(6).normal(size=(120, 2)).astype(np.float32)
    d = np.linalg.norm(x[:, None] - x[None], axis=-1)
    labelled = np.array(labelled, int)
    assert cover(Points(x), 30, radius=radius, labelled=labelled) == brute_cover(d, 30, radius, labelled)


def test_the_radius_is_the_largest_with_which_95_percent_of_the_balls_are_pure():
    x, cluster = rng(7).normal(size=(150, 2)).astype(np.float32), rng(8).integers(0, 2, 150)
    cluster = np.where(x[:, 0] > 0, cluster, 0)
    d = np.linalg.norm(x[:, None] - x[None], axis=-1)
    radius = pure_radius(Points(x), cluster, rng=rng())

    def purity(r):
        return np.mean([(cluster[d[i] < r] == cluster[i]).all() for i in range(150)])

    assert purity(radius * 0.999) >= 0.95 > purity(radius * 1.001)


def test_coreset_begins_anywhere_and_then_goes_on_by_itself():
    points, _ = planted(1)
    chosen = [numbers(choose_units(view_of_points(points), "coreset", 6, seed=seed)) for seed in (0, 0, 1)]
    assert chosen[0] == chosen[1]
    assert chosen[0][0] != chosen[2][0]
    assert numbers(choose_units(view_of_points(points), "coreset", 3, seed=0)) == chosen[0][:3]


def unsure(parts):
    """Probabilities of two-pixel rows: case i is unsure in the first parts[i] of 6 pixels."""

    def predict(case):
        sure = np.arange(6).reshape(2, 3) >= parts[int(case[1:])]
        return np.stack([np.where(sure, 1, 0.5), np.where(sure, 0, 0.5)]).astype(np.float32)

    return predict


def test_uncertain_and_diverse_takes_the_most_uncertain_of_each_cluster():
    parts = [6, 6, 5, 5, 4, 4, 1, 0]
    places = [[0.0], [0.1], [0.2], [9.0], [9.1], [0.3], [50.0], [70.0]]
    view = view_of_points(places, probabilities=unsure(parts))
    from frugalseg.strategies.features import features

    chosen = UncertainDiverse(features).rank(view, 2, rng())
    assert numbers(chosen) == [0, 3]


@pytest.mark.parametrize("budget", [1, 3, 5, 11, 12])
def test_uncertain_and_diverse_spends_its_budget_exactly_when_clusters_are_missing(budget):
    view = view_of_points(np.zeros((12, 2)), probabilities=unsure([6, 5, 4, 3, 2, 1] * 2))
    chosen = numbers(choose_units(view, "uncerper_div", budget, round_number=1))
    assert len(set(chosen)) == budget
    assert chosen[: min(budget, 3)] == [0, 6, 1][: min(budget, 3)]  # all pictures are equal: the most uncertain


def test_uncertain_and_diverse_sees_brightness():
    dark, bright = np.zeros((8, 8), np.float32), np.zeros((8, 8), np.float32)
    dark[0], bright[1:] = 1, 1
    view = view_of_points(
        np.zeros((8, 1)), probabilities=unsure([6, 6, 6, 6, 6, 6, 5, 5]), pictures=[dark] * 6 + [bright] * 2
    )
    assert numbers(choose_units(view, "uncerper_div", 4, round_number=1))[:2] == [0, 6]
