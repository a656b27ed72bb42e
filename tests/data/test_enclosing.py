import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.morphology import convex_hull_image

from frugalseg.data.enclosing import outside_is_background
from frugalseg.data.label import UNKNOWN


def slice_of_strokes(background: list[tuple[int, int]], **others: tuple[int, int]) -> np.ndarray:
    part = np.full((12, 14), UNKNOWN, np.uint8)
    for where in background:
        part[where] = 0
    for value, where in others.items():
        part[where] = int(value[1:])
    return part


CORNERS = [(2, 3), (2, 9), (8, 3), (8, 9)]


def test_outside_of_the_background_stroke_is_background_and_inside_stays_unknown():
    part = outside_is_background(slice_of_strokes(CORNERS, c1=(5, 5)))
    inside = np.zeros(part.shape, bool)
    inside[2:9, 3:10] = True
    assert (part[~inside] == 0).all()
    assert part[5, 5] == 1
    assert (part[inside] == UNKNOWN).sum() == inside.sum() - 5


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(3, 30))
def test_what_becomes_background_is_what_another_library_calls_outside(seed, n):
    rng = np.random.default_rng(seed)
    part = np.full((20, 24), UNKNOWN, np.uint8)
    part[tuple(rng.integers(2, 18, (2, n)))] = 0
    rows, columns = np.nonzero(part == 0)
    if np.ptp(rows) == 0 or np.ptp(columns) == 0 or np.linalg.matrix_rank(np.stack([rows, columns, rows * 0 + 1])) < 3:
        return
    hull = convex_hull_image(part == 0, offset_coordinates=False)
    assert np.array_equal(outside_is_background(part) == UNKNOWN, hull & (part == UNKNOWN))


def test_a_stroke_outside_says_that_the_background_was_not_drawn_around_the_objects():
    part = slice_of_strokes(CORNERS, c2=(10, 5))
    assert np.array_equal(outside_is_background(part), part)


@pytest.mark.parametrize("drawn", [[], [(3, 3)], [(3, 3), (4, 4), (5, 5)], [(1, 1), (1, 9)]])
def test_without_a_background_that_encloses_something_a_slice_stays_as_it_is(drawn):
    part = slice_of_strokes(drawn, c1=(3, 4))
    assert np.array_equal(outside_is_background(part), part)


def test_a_dense_slice_stays_as_it_is():
    part = np.random.default_rng(0).integers(0, 3, (10, 10), dtype=np.uint8)
    assert np.array_equal(outside_is_background(part), part)


@pytest.mark.real
def test_in_strokes_drawn_by_hand_no_object_lies_outside():
    if "FRUGALSEG_DATA" not in os.environ:
        pytest.skip("FRUGALSEG_DATA does not name a folder of real data")
    from frugalseg import open_pool

    folder = os.path.join(os.environ["FRUGALSEG_DATA"], "acdc_scribbles")
    pool = open_pool(folder, labels_are="truth", options={"unknown": 4})
    for case in pool.cases[:6]:
        strokes, truth = pool.label(case.id), pool.truth.semantic(case.id)
        assert strokes is not None
        for part, complete in zip(np.moveaxis(strokes.array, 2, 0), np.moveaxis(truth.array, 2, 0), strict=True):
            told = outside_is_background(part)
            assert not ((complete > 0) & (told == 0) & (part == UNKNOWN)).any()
            assert (told != UNKNOWN).mean() > 0.5
