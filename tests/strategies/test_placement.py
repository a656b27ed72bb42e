import itertools
from dataclasses import replace

import numpy as np
import pytest

from frugalseg.data.geometry import Geometry
from frugalseg.data.phantoms import phantom_pool
from frugalseg.data.unit import Unit
from frugalseg.strategies.placement import PARALLEL, place
from frugalseg.strategies.viewing import view_of

CASE = "anatomy-0001"
MODEL_BASED = ("parallel-predicted", "parallel-entropy")


def stack_of(n, foreground=None):
    """A view of a stack of n slices across the last axis, in which a model sees what it is told, if there is one."""
    view = view_of(phantom_pool("anatomy", n=2, shape=(16, 16, 16)), [], unit="planes", axis=2)
    view = replace(view, cases=tuple(replace(case, geometry=Geometry.plain((6, 5, n))) for case in view.cases))
    if foreground is None:
        return view
    p = np.broadcast_to(np.asarray(foreground, np.float32), (6, 5, n))
    return replace(view, probabilities=lambda _case: np.stack([1 - p, p]))


def indices(placement, view, seed=0):
    units = place(Unit(CASE, "planes"), view, placement, rng=np.random.default_rng(seed))
    return [unit.index[0] for unit in units]


@pytest.mark.parametrize(
    ("n", "quarters"), [(1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (4, [1, 2, 3]), (10, [2, 4, 7]), (11, [2, 5, 8])]
)
def test_slices_at_quarters_and_in_thirds_are_different_ones_of_the_stack(n, quarters):
    assert indices("parallel", stack_of(n)) == quarters
    for placement, seed in itertools.product(set(PARALLEL) - {"parallel"}, range(20)):
        found = indices(placement, stack_of(n), seed)
        assert found == sorted(set(found))
        assert len(found) == min(n, 3)
        assert 0 <= found[0] <= found[-1] < n


@pytest.mark.parametrize("placement", ["parallel-thirds", *MODEL_BASED])
def test_thirds_reach_every_slice_and_depend_on_the_random_numbers_alone_where_no_model_says_more(placement):
    seen = [indices(placement, stack_of(9), seed) for seed in range(60)]
    assert {k for found in seen for k in found} == set(range(9))
    assert all([k // 3 for k in found] == [0, 1, 2] for found in seen)
    assert seen[7] == indices("parallel-thirds", stack_of(9), 7)


def test_in_each_third_lies_the_slice_of_most_foreground_or_least_certainty():
    seen = stack_of(9, [0, 0.6, 0.9, 0, 0.1, 0, 0.7, 0.7, 0.2])
    assert indices("parallel-predicted", seen)[::2] == [1, 6]  # of equal ones the first; nothing is seen between them
    assert {indices("parallel-predicted", seen, seed)[1] for seed in range(40)} == {3, 4, 5}
    assert indices("parallel-entropy", seen) == [1, 4, 6]


@pytest.mark.parametrize("placement", PARALLEL)
def test_units_are_slices_across_the_axis_that_is_viewed(placement):
    view = view_of(phantom_pool("anatomy", n=2, shape=(20, 18, 16)), [], unit="planes", axis=1)
    units = place(Unit(CASE, "planes"), view, placement, rng=np.random.default_rng(0))
    assert [(u.case, u.kind, u.axis) for u in units] == [(CASE, "slice", 1)] * 3
