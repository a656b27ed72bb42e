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
