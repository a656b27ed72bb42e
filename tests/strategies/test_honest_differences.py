"""What is said of a strategy beside random, by the report's statistics, where it is better and where it cannot be."""

import numpy as np
import pytest
from pool_worlds import numbers, planted, view_of_points

from choosing_worlds import choose_units
from frugalseg.report.statistics import paired_difference

SEEDS = range(6)


def transferred(points, classes, strategy, seed):
    """The mean recall of the classes when each point takes that of the nearest of ten labelled points."""
    chosen = numbers(choose_units(view_of_points(points), strategy, 10, seed=seed))
    nearest = np.linalg.norm(points[:, None] - points[None, chosen], axis=-1).argmin(1)
    right = classes[np.array(chosen)][nearest] == classes
    return np.mean([right[classes == c].mean() for c in np.unique(classes)])


def difference(world, strategy):
    pools = [world(seed) for seed in SEEDS]
    found = [[transferred(*pools[seed], name, seed) for seed in SEEDS] for name in (strategy, "random")]
    return paired_difference(*found)


def identical(seed):
    """Independent points of one Gaussian, whose two classes have nothing to do with where they lie."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(300, 8)), rng.permutation(np.repeat([0, 1], 150))


@pytest.mark.parametrize("strategy", ["coreset", "typiclust", "probcover", "coregcn"])
def test_a_strategy_is_reported_better_in_a_pool_with_redundancy(strategy):
    found = difference(planted, strategy)
    assert found.difference > 0.1
    assert not found.is_noise


@pytest.mark.parametrize("strategy", ["coreset", "typiclust", "probcover", "coregcn"])
def test_a_strategy_is_not_reported_better_where_all_units_are_alike(strategy):
    found = difference(identical, strategy)
    assert found.is_noise or found.difference < 0
