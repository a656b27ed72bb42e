from itertools import combinations

import numpy as np
import pytest

from frugalseg.seeds import stream
from frugalseg.strategies import k_median
from frugalseg.strategies.k_median import k_median_by


def distances(n, seed=0, d=3):
    x = stream(seed, "points").normal(size=(n, d))
    return np.linalg.norm(x[:, None] - x[None], axis=-1)


def greedy(matrix, n, labelled=(), weight=1.0, witnesses=slice(None)):
    """Every point looked at for every pick."""
    seen = matrix[witnesses]
    gap = seen[:, list(labelled)].min(1) if len(labelled) else np.full(len(seen), matrix.max())
    order = []
    for _ in range(n):
        saved = np.maximum(gap[:, None] - seen, 0).sum(0) * weight
        saved[[*labelled, *order]] = -1
        order.append(int(saved.argmax()))
        gap = np.minimum(gap, seen[:, order[-1]])
    return order


def chosen(matrix, n, **more):
    return k_median_by(lambda c, rows: matrix[rows][:, c], len(matrix), n=n, **more).tolist()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n_labelled", [0, 1, 5])
@pytest.mark.parametrize("weighted", [False, True])
def test_picks_are_those_of_brute_force(seed, n_labelled, weighted):
    matrix = distances(90, seed)
    labelled = stream(seed, "labelled").permutation(90)[:n_labelled]
    weight = stream(seed, "weight").random(90) if weighted else None
    expected = greedy(matrix, 20, labelled, 1.0 if weight is None else weight)
    assert chosen(matrix, 20, labelled=labelled, weight=weight) == expected


def test_few_points_are_looked_at_again():
    matrix = distances(600, d=2)
    asked = []

    def columns(c, rows):
        asked.append(len(c))
        return matrix[rows][:, c]

    k_median_by(columns, 600, n=30)
    assert sum(asked) < 600 + 30 * 600 / 4


@pytest.mark.parametrize("seed", range(5))
def test_it_saves_at_least_the_part_of_the_best_that_is_promised(seed):
    matrix = distances(11, seed)

    def saved(centres):
        return (matrix.max() - matrix[:, list(centres)].min(1)).sum()

    best = max(saved(c) for c in combinations(range(11), 3))
    assert saved(chosen(matrix, 3)) >= (1 - 1 / np.e) * best


def test_the_first_of_an_empty_pool_is_the_medoid_and_a_shorter_choice_the_beginning_of_a_longer_one():
    matrix = distances(60)
    long = chosen(matrix, 25)
    assert long[0] == matrix.sum(0).argmin()
    assert all(chosen(matrix, n) == long[:n] for n in (1, 7, 24))
    assert chosen(matrix, 10, labelled=long[:5]) == long[5:15]


def test_outliers_come_last_where_k_centre_would_take_them_first():
    x = np.concatenate(
        [stream(0, "crowd").normal(size=(50, 2)), [[40.0, 40.0]], 6 + stream(1, "crowd").normal(size=(50, 2))]
    )
    matrix = np.linalg.norm(x[:, None] - x[None], axis=-1)
    first, second = chosen(matrix, 2)
    assert {first < 50, second < 50} == {True, False}
    assert 50 not in (first, second)


def test_equal_points_are_picked_in_their_order_until_none_is_left():
    matrix = np.zeros((5, 5))
    assert chosen(matrix, 9) == [0, 1, 2, 3, 4]
    assert chosen(matrix, 9, labelled=[1]) == [0, 2, 3, 4]
    assert chosen(matrix, 3, labelled=range(5)) == []


def test_in_a_large_pool_some_points_speak_for_all(monkeypatch):
    monkeypatch.setattr(k_median, "WITNESSES", 40)
    matrix = distances(200)
    witnesses = np.unique(np.rint(np.linspace(0, 199, 40)).astype(int))
    labelled = [3, 77]
    picks = chosen(matrix, 12, labelled=labelled)
    assert picks == greedy(matrix, 12, labelled, witnesses=witnesses)
    assert set(picks) - set(witnesses)


@pytest.mark.parametrize(
    ("more", "message"),
    [({"labelled": [5]}, "labelled"), ({"weight": np.ones(4)}, "weight"), ({"weight": -np.ones(5)}, "weight")],
)
def test_what_cannot_be_is_said(more, message):
    with pytest.raises(ValueError, match=message):
        chosen(np.zeros((5, 5)), 1, **more)
