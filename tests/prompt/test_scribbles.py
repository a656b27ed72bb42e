import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from frugalseg.data.label import UNKNOWN
from frugalseg.prompt.scribbles import ScribbleSettings, scribble


def blobs(seed, shape=(48, 56)):
    """Smooth random regions of three classes and some unknown voxels."""
    rng = np.random.default_rng(seed)
    fields = ndimage.gaussian_filter(rng.standard_normal((3, *shape)), (0, 5, 5))
    part = fields.argmax(0).astype(np.uint8)
    part[:3] = UNKNOWN
    return part


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_a_stroke_never_leaves_its_class(seed, width):
    part = blobs(seed)
    drawn = scribble(part, ScribbleSettings(width=width), rng=np.random.default_rng(seed))
    known = drawn != UNKNOWN
    assert np.array_equal(drawn[known], part[known])


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_every_object_that_is_large_enough_gets_a_stroke(seed):
    part = blobs(seed)
    drawn = scribble(part, ScribbleSettings(smallest=6), rng=np.random.default_rng(0))
    for value in (1, 2):
        pieces, n = ndimage.label(part == value, structure=np.ones((3, 3)))
        for piece in range(1, n + 1):
            mask = pieces == piece
            assert (drawn[mask] == value).any() == (mask.sum() >= 6)


def test_strokes_cover_a_small_part_of_an_object():
    yy, xx = np.mgrid[:100, :100]
    part = (((yy - 50) / 25) ** 2 + ((xx - 50) / 35) ** 2 < 1).astype(np.uint8)
    drawn = scribble(part, ScribbleSettings(), rng=np.random.default_rng(0))
    assert 0.01 < (drawn == 1).sum() / part.sum() < 0.2
    assert 0.003 < (drawn == 0).sum() / (part == 0).sum() < 0.05


@pytest.mark.parametrize("width", [1, 2, 3])
def test_a_straight_stroke_is_as_wide_as_the_pen(width):
    bar = np.zeros((21, 80), np.uint8)
    bar[7:14, 5:75] = 1
    drawn = scribble(bar, ScribbleSettings(width=width, background=0), rng=np.random.default_rng(0)) == 1
    across = drawn.sum(0)[drawn.any(0)]
    assert np.median(across) == width
    assert 0.4 * 70 < len(across) < 0.8 * 70


def ring():
    yy, xx = np.mgrid[:60, :60] - 29.5
    return ((np.hypot(yy, xx) > 18) & (np.hypot(yy, xx) < 26)).astype(np.uint8)


def test_a_ring_is_followed_round_its_middle():
    drawn = scribble(ring(), ScribbleSettings(width=1, coverage=1, background=0), rng=np.random.default_rng(0))
    points = np.argwhere(drawn == 1) - 29.5
    assert np.abs(np.hypot(*points.T) - 22).max() < 2
    assert len(np.unique(np.round(np.degrees(np.arctan2(*points.T)) / 20))) >= 17  # of 18 or 19


@pytest.mark.parametrize("seed", range(5))
def test_a_stroke_has_no_branches(seed):
    drawn = scribble(blobs(seed), ScribbleSettings(width=1, background=0), rng=np.random.default_rng(seed))
    for value in (1, 2):
        for piece in regions(drawn == value):
            assert (ndimage.convolve(piece.astype(int), np.ones((3, 3), int), mode="constant")[piece] == 2).sum() <= 2


def regions(mask):
    pieces, n = ndimage.label(mask, structure=np.ones((3, 3)))
    return [pieces == piece for piece in range(1, n + 1)]


@pytest.mark.parametrize("shape", [(1, 40), (40, 1), (2, 3), (1, 1)])
def test_tiny_slices_do_not_fail(shape):
    for part in (np.zeros(shape, np.uint8), np.ones(shape, np.uint8), np.resize([0, 1], shape).astype(np.uint8)):
        drawn = scribble(part, ScribbleSettings(smallest=1), rng=np.random.default_rng(0))
        known = drawn != UNKNOWN
        assert np.array_equal(drawn[known], part[known])


@pytest.mark.real
def test_strokes_cover_as_much_as_those_drawn_by_hand():
    if "FRUGALSEG_DATA" not in os.environ:
        pytest.skip("FRUGALSEG_DATA does not name a folder of real data")
    folder = Path(os.environ["FRUGALSEG_DATA"]) / "acdc_scribbles"
    by_hand, ours = [], []
    for file in sorted((folder / "labels").glob("*.nii.gz"))[:6]:
        truth = np.moveaxis(np.asarray(nib.load(file).dataobj), -1, 0).astype(np.uint8)
        by_hand += [
            float((s != 4).mean()) for s in np.moveaxis(nib.load(folder / "scribbles" / file.name).dataobj, -1, 0)
        ]
        ours += [float((scribble(t, ScribbleSettings(), rng=np.random.default_rng(0)) != 255).mean()) for t in truth]
    assert 0.7 < np.mean(ours) / np.mean(by_hand) < 1.4


def test_an_empty_slice_gets_a_background_stroke():
    drawn = scribble(np.zeros((30, 40), np.uint8), ScribbleSettings(), rng=np.random.default_rng(0))
    assert 0 < (drawn == 0).sum() < 120


def test_a_slice_without_background_gets_none():
    drawn = scribble(np.ones((30, 40), np.uint8), ScribbleSettings(), rng=np.random.default_rng(0))
    assert set(np.unique(drawn)) == {1, UNKNOWN}


def test_no_background_stroke_when_told_so():
    drawn = scribble(blobs(1), ScribbleSettings(background=0), rng=np.random.default_rng(0))
    assert not (drawn == 0).any()


@pytest.mark.parametrize("seed", [0, 1])
def test_equal_seeds_draw_equal_strokes(seed):
    one, two = (scribble(blobs(3), ScribbleSettings(), rng=np.random.default_rng(seed)) for _ in range(2))
    assert np.array_equal(one, two)
