import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalseg.errors import DataError
from frugalseg.strategies.distances import Points
from frugalseg.strategies.k_centre import k_centre, k_centre_by, uncertain

few = settings(max_examples=25, deadline=None)


def cloud(seed, n=40, d=6, dtype=np.float32):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(dtype)


def matrix(x):
    x = x.astype(np.float64)
    return np.linalg.norm(x[:, None] - x[None], axis=-1)


def brute_force(d, n, labelled=(), weight=None, first=0):
    """Greedy k-centre by its definition on the whole matrix of distances."""
    centres, order, radius = list(labelled), [], []
    weight = np.ones(len(d)) if weight is None else weight
    for _ in range(n):
        left = [i for i in range(len(d)) if i not in centres]
        pick = max(left, key=lambda i: weight[i] * d[i, centres].min()) if centres else first
        centres.append(pick)
        order.append(pick)
        radius.append(d[:, centres].min(1).max())
    return order, radius


@few
@given(st.integers(0, 10**6), st.integers(0, 5), st.booleans())
def test_picks_and_radii_are_those_of_brute_force(seed, n_labelled, weighted):
    x = cloud(seed)
    labelled = np.random.default_rng(seed).choice(len(x), n_labelled, replace=False)
    weight = uncertain(np.random.default_rng(seed + 1).random(len(x)), beta=2) if weighted else None
    found = k_centre(x, 12, labelled=labelled, weight=weight, first=7)
    order, radius = brute_force(matrix(x), 12, labelled, weight, first=7)
    assert found.order.tolist() == order
    np.testing.assert_allclose(found.radius, radius, rtol=1e-4)


@few
@given(st.integers(0, 10**6))
def test_the_radius_is_at_most_twice_the_best_possible(seed):
    x = cloud(seed, n=10, d=2)
    d = matrix(x)
    best = min(d[:, list(centres)].min(1).max() for centres in itertools.combinations(range(10), 3))
    assert k_centre(x, 3).radius[-1] <= 2 * best + 1e-6


def test_a_shorter_choice_is_the_beginning_of_a_longer_one():
    x = cloud(3)
    long = k_centre(x, 20, labelled=[4], cap=0.9)
    for n in (1, 5, 19):
        short = k_centre(x, n, labelled=[4], cap=0.9)
        assert short.order.tolist() == long.order[:n].tolist()
        assert short.radius.tolist() == long.radius[:n].tolist()


@pytest.mark.parametrize("cap", [None, 0.5, 0.99])
def test_no_point_is_picked_twice_and_no_labelled_one_again(cap):
    x = np.repeat(cloud(5, n=10), 3, axis=0)  # every point three times
    weight = uncertain(np.linspace(1, 0, 30), beta=3)  # the labelled ones are the most uncertain
    found = k_centre(x, 100, labelled=[0, 1, 5], weight=weight, cap=cap)
    assert sorted(found.order) == sorted(set(range(30)) - {0, 1, 5})


def test_a_pool_that_is_labelled_gives_nothing():
    found = k_centre(cloud(0, n=4), 2, labelled=range(4))
    assert len(found.order) == len(found.radius) == 0


def test_equal_points_are_picked_in_their_order():
    assert k_centre(np.ones((9, 3), np.float32), 5, labelled=[2]).order.tolist() == [0, 1, 3, 4, 5]
    grid = np.array(list(itertools.product(range(3), range(3))), np.float32)
    assert k_centre(grid, 4).order.tolist() == [0, 8, 2, 6]


def test_an_offset_that_all_points_share_changes_no_pick():
    x = cloud(1, n=200)
    assert k_centre(x + 1000, 30).order.tolist() == k_centre(x, 30).order.tolist()


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_features_may_lie_in_a_file(tmp_path, dtype):
    x = cloud(2, n=10_000, d=16, dtype=dtype)
    np.save(tmp_path / "x.npy", x)
    mapped = k_centre(np.load(tmp_path / "x.npy", mmap_mode="r"), 20, labelled=range(1500))
    assert mapped.order.tolist() == k_centre(x.astype(np.float32), 20, labelled=range(1500)).order.tolist()


def test_blocks_give_the_distances_of_the_whole():
    x = cloud(4, n=9000, d=3)
    index, squared = Points(x).nearest(Points(x).rows(range(2000)))
    exact = np.concatenate([((x[i : i + 500, None] - x[None, :2000]) ** 2).sum(-1) for i in range(0, 9000, 500)])
    np.testing.assert_allclose(squared, exact.min(1), atol=1e-5)
    np.testing.assert_allclose(exact[np.arange(9000), index], exact.min(1), atol=1e-5)


def test_a_distance_of_the_callers_own_decides():
    d = matrix(cloud(6)) ** 3  # no metric
    asked = []

    def distance(centres):
        asked.append(len(centres))
        return d[:, centres].min(1)

    found = k_centre_by(distance, 40, n=6, labelled=[3, 9])
    assert found.order.tolist() == brute_force(d, 6, [3, 9])[0]
    assert asked == [2, 1, 1, 1, 1, 1, 1]


def test_a_distance_that_is_not_0_to_itself_picks_nothing_again():
    d = matrix(cloud(7)) + 5
    found = k_centre_by(lambda centres: d[:, centres].min(1), 40, n=40, labelled=[0])
    assert sorted(found.order) == list(range(1, 40))


def test_uncertainty_decides_among_equals_and_cannot_lift_a_labelled_point():
    x = np.array([[0], [10], [10.1], [0]], np.float32)
    assert k_centre(x, 1, labelled=[0], weight=uncertain(np.array([1, 0.9, 0.1, 1]))).order.tolist() == [1]


def test_a_cap_makes_an_outlier_no_better_than_the_farthest():
    x = cloud(8, n=100)
    x[60] += 1000
    assert k_centre(x, 1, labelled=[0]).order.tolist() == [60]
    assert k_centre(x, 1, labelled=[0], cap=0.9).order.tolist() != [60]


def test_what_cannot_be_is_said():
    x = cloud(0, n=10)
    with pytest.raises(ValueError, match="indices of the 10 points"):
        k_centre(x, 2, labelled=[10])
    with pytest.raises(ValueError, match="10 numbers, none below 0"):
        k_centre(x, 2, weight=np.full(10, -1.0))
    with pytest.raises(ValueError, match="cap=2"):
        k_centre(x, 2, cap=2)
    with pytest.raises(DataError, match="shape"):
        k_centre(x[0], 2)
    x[3, 1] = np.nan
    with pytest.raises(DataError, match="not finite"):
        k_centre(x, 2)


PROBE = """
import resource, sys
import numpy as np
from frugalseg.strategies.k_centre import k_centre
from frugalseg.strategies.k_median import k_median_by
from frugalseg.strategies.multi_feature import FeatureTerm

def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

x = np.load(sys.argv[1], mmap_mode="r")
before = peak_mb()
picks = {
    "k-centre": lambda: k_centre(x, 1000, labelled=range(2000), weight=np.ones(len(x))).order,
    "capped": lambda: k_centre(x, 20, labelled=range(2000), cap=0.99).order,
    "k-median": lambda: k_median_by(FeatureTerm(x).columns, len(x), n=20, labelled=range(2000)),
}[sys.argv[2]]()
print(len(set(picks)), peak_mb() - before - x.nbytes / 2**20)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("rule", "picked"), [("k-centre", 1000), ("capped", 20), ("k-median", 20)])
def test_a_hundred_thousand_units_need_less_than_a_gigabyte_above_their_features(tmp_path, rule, picked):
    file = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float16, (100_000, 512))
    for start in range(0, len(file), 10_000):
        file[start : start + 10_000] = cloud(start, n=10_000, d=512)
    file.flush()
    command = [sys.executable, "-c", PROBE, str(tmp_path / "x.npy"), rule]
    n, mb = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert int(n) == picked
    assert float(mb) < 1000
