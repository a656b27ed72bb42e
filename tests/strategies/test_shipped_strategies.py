"""The strategies of the registry as they are shipped, with their own networks, find what random misses."""

from dataclasses import replace

import numpy as np
import pytest
from adversarial_worlds import rare_looks
from planted_pictures import LOOKS, patients

from choosing_worlds import choose_units

SEEDS = range(3)
FEWER_STEPS = {"encoder": {"fit": {"steps": 20}}}
"""Of 400; everything else is as shipped."""

pytestmark = pytest.mark.usefixtures("shipped")


@pytest.fixture(scope="module")
def pools(tmp_path_factory):
    """The same pools for all strategies; those with the same encoder learn it once."""
    return [patients(seed, cache=tmp_path_factory.mktemp(f"seed-{seed}")) for seed in SEEDS]


def looks_of(units, look):
    return {look[unit.case] for unit in units}


def n_found(pools, strategy, options=None):
    """How many of the looks eight slices show, in each pool."""
    chosen = [choose_units(view, strategy, len(LOOKS), options=options, seed=view.seed) for view, _ in pools]
    return [len(looks_of(units, look)) for units, (_, look) in zip(chosen, pools, strict=True)]


def n_found_behind_labels(pools, strategy, options=None):
    """How many of the four looks without a label four more slices show, in each pool."""
    found = []
    for view, look in pools:
        labelled = {look[unit.case]: unit for unit in view.units() if look[unit.case] < 4}
        known = replace(view, bought=frozenset(labelled.values()))
        units = choose_units(known, strategy, 4, options=options, seed=view.seed)
        found.append(len(looks_of(units, look) - {0, 1, 2, 3}))
    return found


def by_chance(count, pools):
    """What random finds, over many seeds."""
    return np.mean([count([(replace(view, seed=k), look)], "random") for view, look in pools for k in range(20)])


@pytest.mark.parametrize("count", [n_found, n_found_behind_labels])
def test_coregcn_shows_more_looks_than_random(pools, count):
    found = count(pools, "coregcn")
    assert min(found) > by_chance(count, pools)
    assert np.mean(found) >= by_chance(count, pools) + 1.5


@pytest.mark.slow
@pytest.mark.parametrize("count", [n_found, n_found_behind_labels])
@pytest.mark.parametrize("strategy", ["typiclust", "probcover", "coreclr"])
def test_what_learns_from_the_pool_shows_more_looks_than_random(pools, strategy, count):
    found = count(pools, strategy, FEWER_STEPS)
    assert min(found) > by_chance(count, pools)
    assert np.mean(found) >= by_chance(count, pools) + 1.5


@pytest.mark.slow
def test_vaal_finds_rare_looks_that_random_misses():
    for seed in SEEDS:
        view, rare = rare_looks(seed)
        units = choose_units(view, "vaal", 10, options={"fit": {"steps": 100}}, seed=seed)  # of 400
        chance = [sum(u.case in rare for u in choose_units(view, "random", 10, seed=k)) for k in range(20)]
        assert sum(unit.case in rare for unit in units) >= 6 > 3 * np.mean(chance)
