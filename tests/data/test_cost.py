import numpy as np
import pytest

from frugalseg.data.cost import CostModel, drawn_slices, n_strokes, outline_length, paging_axis, stroke_length
from frugalseg.data.geometry import Geometry
from frugalseg.data.label import UNKNOWN, SemanticLabel
from frugalseg.data.unit import Unit

CLASSES = ("background", "a", "b")
MODEL = CostModel(look=5, outline=1, stroke=10, along=0.5)


def square(shape=(10, 10)):
    array = np.zeros(shape, np.uint8)
    array[..., 3:6, 3:7] = 1
    return array


def test_an_outline_is_as_long_as_the_perimeter():
    assert outline_length(square()) == 2 * (3 + 4)


def test_a_border_between_two_classes_is_drawn_once():
    array = square()
    array[3:6, 5:7] = 2
    assert outline_length(array) == 2 * (3 + 4) + 3


def test_an_empty_slice_costs_the_look():
    assert MODEL.slice_seconds(np.zeros((9, 9), np.uint8)) == 5


def test_strokes_cost_by_number_and_length():
    part = np.full((9, 9), UNKNOWN, np.uint8)
    part[1, 1:5] = 1
    part[4, 1:4] = 1
    part[7, :2] = 0
    assert n_strokes(part) == 3
    assert MODEL.slice_seconds(part) == 5 + 3 * 10 + 0.5 * 9


def test_a_thick_stroke_costs_as_much_as_a_thin_one():
    thin, thick = (np.full((20, 40), UNKNOWN, np.uint8) for _ in range(2))
    thin[10, 5:35] = thick[9:12, 5:35] = 1
    assert abs(stroke_length(thick) - stroke_length(thin)) <= 2


def test_a_drawn_slice_with_a_doubtful_rim_is_outlined():
    part = square((40, 40))
    part[2] = UNKNOWN
    assert MODEL.slice_seconds(part) == 5 + outline_length(part)


def test_a_slice_nobody_has_drawn_on_costs_the_look():
    assert MODEL.slice_seconds(np.full((9, 9), UNKNOWN, np.uint8)) == 5


@pytest.mark.parametrize(
    ("unit", "n"), [(Unit("c"), 6), (Unit("c", "slice", 1, (4,)), 1), (Unit("c", "planes", index=(1, 4, 4)), 3)]
)
def test_a_unit_costs_the_sum_of_its_slices(unit, n):
    geometry = Geometry((6, 10, 10), (3.0, 1.0, 1.0))
    truth = SemanticLabel(square(geometry.shape), CLASSES)
    slices = list(drawn_slices(truth.only(unit.mask(geometry.shape)).array, unit, geometry))
    assert len(slices) == n
    label = truth.only(unit.mask(geometry.shape))
    assert MODEL.seconds(label, unit, geometry) == sum(MODEL.slice_seconds(s) for s in slices)


def test_a_volume_is_paged_across_its_thick_slices():
    geometry = Geometry((6, 10, 12), (1.0, 4.0, 1.0))
    shapes = {s.shape for s in drawn_slices(np.zeros(geometry.shape, np.uint8), Unit("c"), geometry)}
    assert shapes == {(6, 12)}


def test_a_2d_image_is_one_slice():
    geometry = Geometry.plain((10, 10))
    label = SemanticLabel(square(), CLASSES)
    assert MODEL.seconds(label, Unit("c"), geometry) == 5 + 14


@pytest.mark.parametrize(
    ("spacings", "axis"),
    [
        ([(1, 1, 1)], 2),
        ([(5, 1, 1), (5, 1, 1), (1, 1, 5)], 0),
        ([(5, 1, 1), (1, 1, 5)], 2),
        ([(1, 1), (1, 5, 1)], 1),
        ([(1, 1)], None),
    ],
)
def test_most_volumes_say_along_which_axis_they_are_paged(spacings, axis):
    assert paging_axis(Geometry.plain((4,) * len(spacing), spacing) for spacing in spacings) == axis
