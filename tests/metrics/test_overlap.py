import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics import compute_dice, compute_iou

from frugalseg.errors import DataError
from frugalseg.metrics.overlap import check_masks, dice, iou

NOTHING, ALL = np.zeros((4, 5), bool), np.ones((4, 5), bool)
seeds = st.integers(0, 2**32 - 1)


def masks(seed, shape=(6, 7)):
    rng = np.random.default_rng(seed)
    return rng.random(shape) < rng.uniform(0.1, 0.9), rng.random(shape) < rng.uniform(0.1, 0.9)


@settings(deadline=None, max_examples=40)
@given(seeds)
def test_overlap_agrees_with_monai(seed):
    a, b = masks(seed, (4, 5, 6))
    x, y = (torch.from_numpy(m)[None, None] for m in (a, b))
    assert dice(a, b) == pytest.approx(compute_dice(x, y).item(), abs=1e-6)
    assert iou(a, b) == pytest.approx(compute_iou(x, y).item(), abs=1e-6)


@settings(deadline=None, max_examples=40)
@given(seeds)
def test_overlap_is_symmetric_in_the_unit_interval_and_one_only_for_equals(seed):
    a, b = masks(seed, (2, 3))
    for metric in (dice, iou):
        assert metric(a, b) == metric(b, a)
        assert 0 <= metric(a, b) <= 1
        assert (metric(a, b) == 1) == np.array_equal(a, b)
        assert metric(a, b) == metric(a[::-1], b[::-1])


@given(seeds)
def test_dice_and_iou_say_the_same(seed):
    a, b = masks(seed)
    assert dice(a, b) == pytest.approx(2 * iou(a, b) / (1 + iou(a, b)))


@pytest.mark.parametrize("metric", [dice, iou])
def test_empty_masks_follow_the_rule(metric):
    assert metric(NOTHING, NOTHING) == 1
    assert metric(NOTHING, ALL) == metric(ALL, NOTHING) == 0


def test_what_is_no_mask_is_refused():
    with pytest.raises(DataError, match="must be boolean arrays, not uint8"):
        check_masks(ALL.astype(np.uint8), ALL)
    with pytest.raises(DataError, match=r"\(4, 5\) cannot be measured against a truth of \(5, 4\)"):
        check_masks(ALL, ALL.T)
