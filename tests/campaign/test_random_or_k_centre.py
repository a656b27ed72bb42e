"""Random beside k-centre in a whole campaign of slices of volumes, on the CPU."""

import pytest
from campaign_worlds import simulation

from frugalseg.campaign.outcome import write_outcome

ARMS = {name: {"then.strategy": name} for name in ("random", "coreset", "coregcn")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    units = {"start.unit": "slice", "then.unit": "slice", "start.units": 4, "then.units": 3}
    compared = {"compare": [["coreset", "random"], ["coregcn", "random"]]}
    found = simulation(tmp_path_factory.mktemp("campaign"), arms=ARMS, seeds=[0], rounds=2, **units, **compared)
    list(found.run())
    return found


def test_each_arm_buys_other_slices_from_the_same_start(finished):
    spaces = [finished.workspace(arm, 0) for arm in ARMS]
    assert len({tuple(space.selected(0)) for space in spaces}) == 1
    later = {frozenset(unit for n in (1, 2) for unit in space.selected(n)) for space in spaces}
    assert len(later) == 3
    assert all(len(units) == 6 for units in later)


def test_k_centre_buys_nothing_twice(finished):
    for arm in ARMS:
        bought = [unit for n in range(3) for unit in finished.workspace(arm, 0).selected(n)]
        assert len(set(bought)) == len(bought) == 10


def test_one_seed_shows_no_difference_from_random(finished):
    found = write_outcome(finished, command="frugalseg run tiny.yaml")
    assert set(found.arms) == set(ARMS)
    assert all(paired.interval is None for paired in found.paired)
