import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice
from scipy.ndimage import binary_dilation, gaussian_filter
from scipy.spatial.distance import cdist

from frugalseg.errors import DataError
from frugalseg.metrics.surface import asd, hausdorff, hd95, hd95_pooled, nsd, surface_distances

SPACING = (3.0, 0.5, 0.8)
seeds = st.integers(0, 2**32 - 1)
few = settings(deadline=None, max_examples=25)


def blobs(seed, shape=(7, 12, 10)):
    """Two smooth masks that overlap in part and reach the border of the array; neither is empty."""
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.normal(size=shape), 1.5)
    other = 0.7 * field + 0.3 * gaussian_filter(rng.normal(size=shape), 1.5)
    return field > np.quantile(field, 0.7), other > np.quantile(other, 0.75)


def box(start, stop, shape=(20, 20)):
    mask = np.zeros(shape, bool)
    mask[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = True
    return mask


def brute(a, b, spacing):
    """Directed surface distances by looking at each neighbour of each voxel and at every pair of surface voxels."""

    def surface(mask):
        padded = np.pad(mask, 1)
        inside = [np.roll(padded, step, axis) for axis in range(mask.ndim) for step in (-1, 1)]
        edge = padded & ~np.logical_and.reduce(inside)
        return np.argwhere(edge[(slice(1, -1),) * mask.ndim]) * spacing

    pairs = cdist(surface(a), surface(b))
    return pairs.min(1), pairs.min(0)


def tensors(a, b):
    return torch.from_numpy(a)[None, None], torch.from_numpy(b)[None, None]


@few
@given(seeds)
def test_distances_agree_with_brute_force(seed):
    a, b = blobs(seed)
    found, (there, back) = surface_distances(a, b, spacing=SPACING), brute(a, b, SPACING)
    np.testing.assert_allclose(found.to_truth, there)
    np.testing.assert_allclose(found.to_prediction, back)
    assert hd95_pooled(a, b, spacing=SPACING) == pytest.approx(np.percentile(np.hstack([there, back]), 95))


@pytest.mark.filterwarnings("ignore:.*`always_return_as_numpy` has been deprecated:FutureWarning")
@few
@given(seeds)
def test_surface_metrics_agree_with_monai(seed):
    a, b = blobs(seed)
    x, y = tensors(a, b)
    spaced = {"include_background": True, "spacing": SPACING}
    theirs = compute_hausdorff_distance(x, y, percentile=95, **spaced).item()
    assert hd95(a, b, spacing=SPACING) == pytest.approx(theirs, rel=1e-5)
    theirs = compute_average_surface_distance(x, y, symmetric=True, **spaced).item()
    assert asd(a, b, spacing=SPACING) == pytest.approx(theirs, rel=1e-5)
    theirs = compute_surface_dice(x, y, class_thresholds=[1.1], **spaced).item()
    assert nsd(a, b, spacing=SPACING, tolerance=1.1) == pytest.approx(theirs, rel=1e-5)


@few
@given(seeds)
def test_distances_are_symmetric_and_zero_only_for_equals(seed):
    a, b = blobs(seed)
    for metric in (hd95, hd95_pooled, asd):
        assert metric(a, b, spacing=SPACING) == pytest.approx(metric(b, a, spacing=SPACING))
        assert metric(a, a, spacing=SPACING) == 0
    assert asd(a, b, spacing=SPACING) > 0
    assert nsd(a, a, spacing=SPACING, tolerance=0.0) == 1
    assert nsd(a, b, spacing=SPACING, tolerance=0.0) < 1


@few
@given(seeds, st.floats(0.1, 20))
def test_spacing_scales_distances(seed, factor):
    a, b = blobs(seed)
    larger = tuple(factor * s for s in SPACING)
    for metric in (hd95, hd95_pooled, asd):
        assert metric(a, b, spacing=larger) == pytest.approx(factor * metric(a, b, spacing=SPACING))


@few
@given(seeds, st.integers(0, 2))
def test_flips_and_padding_change_nothing(seed, axis):
    a, b = blobs(seed)
    changed = (np.flip(a, axis), np.flip(b, axis)), (np.pad(a, 3), np.pad(b, 3))
    for x, y in changed:
        assert hd95(x, y, spacing=SPACING) == pytest.approx(hd95(a, b, spacing=SPACING))
        assert asd(x, y, spacing=SPACING) == pytest.approx(asd(a, b, spacing=SPACING))


@few
@given(seeds)
def test_permuted_axes_change_nothing(seed):
    a, b = blobs(seed)
    turned = hd95(a.transpose(2, 0, 1), b.transpose(2, 0, 1), spacing=(SPACING[2], *SPACING[:2]))
    assert turned == pytest.approx(hd95(a, b, spacing=SPACING))


def test_two_points_lie_their_distance_apart():
    a, b = box((2, 2), (3, 3)), box((5, 6), (6, 7))
    for metric in (hd95, hd95_pooled, asd):
        assert metric(a, b, spacing=(1.0, 1.0)) == 5
        assert metric(a, b, spacing=(2.0, 0.5)) == pytest.approx(np.hypot(6, 2))


def test_a_grown_square_is_one_voxel_away_except_at_its_corners():
    a = box((5, 5), (15, 15))
    b = binary_dilation(a, np.ones((3, 3)))
    found = surface_distances(a, b, spacing=(1.0, 1.0))
    assert (found.to_truth == 1).all()
    assert sorted(set(found.to_prediction)) == [1, np.sqrt(2)]
    assert found.nsd(1.0) == (36 + 40) / (36 + 44)
    assert found.nsd(0.9) == 0


def test_an_outlier_weighs_less_where_distances_are_pooled():
    truth = box((0, 0), (9, 9))
    prediction = truth | box((8, 15), (9, 17))
    directed = np.percentile([0] * 32 + [7, 8], 95)
    assert hd95(prediction, truth, spacing=(1.0, 1.0)) == pytest.approx(directed)
    assert directed > 2
    assert hd95_pooled(prediction, truth, spacing=(1.0, 1.0)) == 0


def test_empty_masks_follow_the_rule():
    nothing, some = np.zeros((31, 41), bool), box((3, 3), (9, 9), (31, 41))
    for metric in (hd95, hd95_pooled, asd):
        assert metric(nothing, nothing, spacing=(1.0, 1.0)) == 0
        for pair in ((nothing, some), (some, nothing)):
            assert metric(*pair, spacing=(1.0, 1.0)) == 50
            assert metric(*pair, spacing=(0.5, 0.5)) == 25
    assert nsd(nothing, nothing, spacing=(1.0, 1.0), tolerance=1.0) == 1
    assert nsd(some, nothing, spacing=(1.0, 1.0), tolerance=1000.0) == 0


@pytest.mark.parametrize("spacing", [(1.0,), (1.0, 0.0), (1.0, 1.0, 1.0)])
def test_a_spacing_that_does_not_fit_is_refused(spacing):
    with pytest.raises(DataError, match="one positive number for each of 2 axes"):
        hd95(box((1, 1), (2, 2)), box((1, 1), (2, 2)), spacing=spacing)


def test_nothing_found_costs_the_largest_distance_two_voxels_can_have():
    one, other, nothing = (np.zeros((5, 4), bool) for _ in range(3))
    one[0, 0] = other[-1, -1] = True
    assert hd95(one, nothing, spacing=(1.0, 2.0)) == hausdorff(one, other, spacing=(1.0, 2.0)) == np.hypot(4, 6)
