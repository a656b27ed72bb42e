"""Procedural pictures: valid masks, the same from the same stream, and a mix no threshold can solve."""

from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.filters import threshold_otsu

from frugalseg.adapt.clicks.pictures import Picture, make_picture
from frugalseg.errors import SettingsError
from frugalseg.seeds import stream

SIDE = 96
CORNERS = np.ones((3, 3), bool)
seeds = st.integers(0, 2**32 - 1)


@lru_cache
def mix() -> tuple[Picture, ...]:
    rng = stream(0, "pictures")
    return tuple(make_picture(rng, side=SIDE) for _ in range(150))


def objects_of_mix() -> list[tuple[np.ndarray, np.ndarray]]:
    return [(_grey(p.image), mask) for p in mix() for mask in p.objects]


def _grey(image: np.ndarray) -> np.ndarray:
    return image.astype(float) if image.ndim == 2 else image.mean(2)


def _contrast(grey: np.ndarray, mask: np.ndarray) -> float:
    """Mean inside less mean around (halo left out), in deviations of the picture."""
    outside = ndimage.distance_transform_edt(~mask)
    around = (outside > 3) & (outside < 15)
    return float(grey[mask].mean() - grey[around].mean()) / max(grey.std(), 1.0) if around.any() else 0.0


def _iou_of_otsu(grey: np.ndarray, mask: np.ndarray) -> float:
    """The best agreement of a connected part of the brighter or the darker half, given that the part is known."""
    best = 0.0
    for half in (grey > threshold_otsu(grey), grey <= threshold_otsu(grey)):
        parts, _ = ndimage.label(half)
        for k in np.unique(parts[mask & half]):
            best = max(best, float((mask & (parts == k)).sum() / (mask | (parts == k)).sum()))
    return best


@settings(max_examples=25, deadline=None)
@given(seeds, st.sampled_from([32, 57, 64, 100]))
def test_masks_are_valid(seed: int, side: int) -> None:
    picture = make_picture(np.random.default_rng(seed), side=side)
    assert picture.image.shape in ((side, side), (side, side, 3))
    assert picture.image.dtype == np.uint8
    assert 1 <= len(picture.objects) <= 12
    for mask in picture.objects:
        assert mask.dtype == bool
        assert mask.shape == (side, side)
        assert max(12, 0.0008 * side**2) <= mask.sum() <= 0.8 * side**2
        assert ndimage.label(mask, CORNERS)[1] == 1


@settings(max_examples=8, deadline=None)
@given(seeds)
def test_the_same_stream_gives_the_same_picture(seed: int) -> None:
    first, second = (make_picture(np.random.default_rng(seed), side=64) for _ in range(2))
    assert np.array_equal(first.image, second.image)
    assert len(first.objects) == len(second.objects)
    assert all(np.array_equal(a, b) for a, b in zip(first.objects, second.objects, strict=True))


def test_one_stream_gives_ever_new_pictures() -> None:
    assert len({p.image.tobytes() for p in mix()}) == len(mix())


def test_nothing_but_the_stream_decides() -> None:
    np.random.seed(1)
    first = make_picture(stream(3, "a"), side=64)
    np.random.seed(2)
    assert np.array_equal(first.image, make_picture(stream(3, "a"), side=64).image)


def test_larger_pictures_are_drawn_as_well() -> None:
    picture = make_picture(stream(0, "large"), side=256)
    assert picture.image.shape[:2] == (256, 256)
    assert min(mask.sum() for mask in picture.objects) >= 0.0008 * 256**2


def test_a_picture_too_small_for_objects_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"side=16.*at least 32"):
        make_picture(stream(0), side=16)


def test_no_two_objects_of_a_picture_are_nearly_the_same() -> None:
    for picture in mix():
        for i, a in enumerate(picture.objects):
            assert all((a & b).sum() <= 0.9 * (a | b).sum() for b in picture.objects[:i])


def test_objects_are_brighter_darker_and_as_grey_as_their_ground() -> None:
    contrast = np.array([_contrast(*pair) for pair in objects_of_mix()])
    assert np.mean(contrast > 0.3) > 0.2
    assert np.mean(contrast < -0.3) > 0.2
    assert np.mean(np.abs(contrast) < 0.2) > 0.08


def test_otsu_fails_on_most_objects_and_not_on_all() -> None:
    iou = np.array([_iou_of_otsu(*pair) for pair in objects_of_mix()])
    assert 0.5 < np.mean(iou < 0.5) < 0.95


def test_sizes_reach_from_a_twentieth_to_most_of_the_side() -> None:
    lengths = [max(np.ptp(axis) + 1 for axis in np.nonzero(mask)) / SIDE for _, mask in objects_of_mix()]
    low, middle, high = np.percentile(lengths, (3, 50, 93))
    assert low < 0.07
    assert 0.1 < middle < 0.4
    assert high > 0.7


def test_shapes_reach_from_discs_to_threads_and_rings() -> None:
    masks = [mask for _, mask in objects_of_mix() if mask.sum() > 60]
    filled = [ndimage.binary_fill_holes(mask) for mask in masks]
    depth = np.array([ndimage.distance_transform_edt(mask).max() / np.sqrt(mask.sum() / np.pi) for mask in masks])
    assert np.mean(depth > 0.8) > 0.1  # 1 for a disc
    assert np.mean(depth < 0.4) > 0.08  # threads, walls, trees
    assert np.mean([f.sum() > 1.1 * m.sum() for f, m in zip(filled, masks, strict=True)]) > 0.03


def test_some_objects_lie_within_others() -> None:
    nested = [
        any((a & b).sum() >= 0.99 * a.sum() and a.sum() < b.sum() for a in p.objects for b in p.objects) for p in mix()
    ]
    assert 0.15 < np.mean(nested) < 0.8


def test_grey_and_coloured_pictures_occur() -> None:
    assert 0.2 < np.mean([p.image.ndim == 3 for p in mix()]) < 0.6
