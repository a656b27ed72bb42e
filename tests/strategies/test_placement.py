import numpy as np
import pytest

from frugalseg.data.phantoms import phantom_pool
from frugalseg.data.unit import Unit
from frugalseg.strategies.placement import PARALLEL, place
from frugalseg.strategies.viewing import view_of


@pytest.mark.parametrize(("n", "quarters"), [(1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (10, [2, 4, 7]), (11, [2, 5, 8])])
def test_slices_at_quarters_and_in_thirds_are_different_ones_of_the_stack(n, quarters):
    rng = np.random.default_rng(0)
    assert PARALLEL["parallel"](n, rng) == quarters
    for _ in range(20):
        indices = PARALLEL["parallel-thirds"](n, rng)
        assert indices == sorted(set(indices))
        assert len(indices) == min(n, 3)
        assert indices[0] >= 0
        assert indices[-1] < n


def test_thirds_reach_every_slice_and_depend_on_the_random_numbers_alone():
    seen = [PARALLEL["parallel-thirds"](9, np.random.default_rng(seed)) for seed in range(60)]
    assert {k for indices in seen for k in indices} == set(range(9))
    assert all([k // 3 for k in indices] == [0, 1, 2] for indices in seen)
    assert seen[7] == PARALLEL["parallel-thirds"](9, np.random.default_rng(7))


@pytest.mark.parametrize("placement", PARALLEL)
def test_units_are_slices_across_the_axis_that_is_viewed(placement):
    view = view_of(phantom_pool("anatomy", n=2, shape=(20, 18, 16)), [], unit="planes", axis=1)
    units = place(Unit("anatomy-0001", "planes"), view, placement, rng=np.random.default_rng(0))
    assert [(u.case, u.kind, u.axis) for u in units] == [("anatomy-0001", "slice", 1)] * 3
