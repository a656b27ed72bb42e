"""What counts as drawn: slices, images and planes, by what is known and by what was bought."""

import numpy as np
import pytest

from frugalseg.data.case import Case
from frugalseg.data.drawn import is_image_drawn, is_slice_drawn
from frugalseg.data.geometry import Geometry
from frugalseg.data.label import SemanticLabel
from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit

SHAPE = (4, 6, 8)


def known(*places, shape=SHAPE):
    array = np.zeros(shape, bool)
    for place in places:
        array[place] = True
    return array


def free(unit, array, *acts, axis=0):
    """The units of one case of which so much is known that can still be bought."""
    label = SemanticLabel(np.where(array, 1, 255).astype(np.uint8), ("background", "organ"))
    case = Case("c", "c", Geometry.plain(array.shape), None)
    return PoolView((case,), {"c": label}.get, unit, axis, bought=frozenset(acts)).units()


def test_lines_of_planes_across_the_other_axes_are_no_drawn_slices():
    of_planes = known(np.s_[:, 2, :], np.s_[:, :, 3], 1, np.s_[2, 0, 0])
    assert is_slice_drawn(of_planes).tolist() == [False, True, True, False]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_strokes_are_drawn_in_the_slices_of_the_axis_that_was_asked_for(axis):
    stroke = np.moveaxis(known(np.s_[2, 1:3, 4]), 0, axis)
    assert is_slice_drawn(stroke, axis).nonzero()[0].tolist() == [2]


def test_a_stroke_along_a_whole_row_or_around_the_border_is_a_stroke():
    border = known(np.s_[1, 0, :], np.s_[1, -1, :], np.s_[1, :, 0], np.s_[1, :, -1], np.s_[3, 2, :])
    assert is_slice_drawn(border).tolist() == [False, True, False, True]


def test_strokes_in_planes_that_were_bought_belong_to_no_other_slice():
    across = known(np.s_[:, 2, 1:6], np.s_[1, 3:5, 4])
    planes = Unit("c", "planes", index=(1, 2, 7))
    assert is_slice_drawn(across, 0, [planes]).tolist() == [False, True, False, False]
    assert is_slice_drawn(across, 1, [Unit("c", "slice", 1, (2,))]).nonzero()[0].tolist() == [2, 3, 4]
    patch = Unit("c", "patch", index=(0, 2, 1, 4, 6, 8))
    assert is_slice_drawn(known(np.s_[:, 2, 1:6]), 0, [patch]).tolist() == [False, False, False, False]


def test_a_slice_that_was_bought_is_drawn_although_nothing_is_known_of_it():
    assert is_slice_drawn(known(), 0, [Unit("c", "slice", 0, (3,))]).tolist() == [False, False, False, True]
    assert is_slice_drawn(known(), 0, [Unit("c")]).all()
    assert not is_slice_drawn(known(), 0, [Unit("c", "planes")]).any()


def test_a_volume_is_drawn_when_each_of_its_slices_is():
    planes = known(1, np.s_[:, 2, :], np.s_[:, :, 3])
    in_each = known(np.s_[2, 1:4, :])  # a person pages along the last axis
    assert [u.kind for u in free("image", planes)] == ["image"]
    assert free("image", known(np.s_[2, 1:4, :7])) == [Unit("c")]
    assert free("image", in_each) == free("image", known(np.s_[:])) == free("image", known(), Unit("c")) == []


def test_planes_are_offered_of_cases_in_which_nothing_is_drawn():
    assert free("planes", known()) == [Unit("c", "planes")]
    assert free("planes", known(np.s_[0, 0, 0])) == free("planes", known(), Unit("c", "slice", 0, (1,))) == []


def test_an_image_with_a_stroke_is_drawn_and_one_with_a_patch_is_not():
    stroke, patch = known(np.s_[2, 1:4], shape=(6, 8)), Unit("c", "patch", index=(2, 1, 3, 4))
    assert is_image_drawn(stroke)
    assert not is_image_drawn(stroke, [patch])
    assert is_image_drawn(known(np.s_[:], shape=(6, 8)), [patch])
    assert free("slice", stroke) == []
    assert free("slice", stroke, patch) == free("image", known(shape=(6, 8))) == [Unit("c")]
