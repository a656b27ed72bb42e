"""Thumbnails of units: the right slice, the right way up."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image as Picture
from report_worlds import make_volume

from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.unit import Unit
from frugalseg.report.anatomy import planes_through
from frugalseg.report.pictures import planes_png
from frugalseg.report.units import unit_panels

SHAPE = (12, 20, 30)
SLICES = [Unit("v", "slice", axis, (k,)) for axis, k in ((0, 0), (0, 7), (1, 3), (2, 29))]


def pixels(panel):
    return np.asarray(Picture.open(BytesIO(panel.image)).convert("RGB"), float).mean(2)


def middle(panel):
    rows, columns = pixels(panel).shape
    return pixels(panel)[rows // 2, columns // 2]


def lit(unit, *, corner=False, affine=None):
    """An image that is bright in the slice of a unit only, there everywhere or in the corner of low indices."""
    array = np.zeros(SHAPE, np.float32)
    place = [slice(0, n // 2 if corner else n) for n in SHAPE]
    place[unit.axis] = slice(unit.index[0], unit.index[0] + 1)
    array[tuple(place)] = 1
    return Image(array, Geometry.plain(SHAPE) if affine is None else Geometry.from_affine(SHAPE, affine))


@pytest.mark.parametrize("unit", SLICES, ids=str)
@pytest.mark.parametrize("affine", [None, np.eye(4), np.diag([-2.0, 1.5, -3.0, 1.0])])
def test_a_slice_is_shown_and_none_beside_it(unit, affine):
    beside = Unit("v", "slice", unit.axis, (max(unit.index[0] - 1, 0) or 1,))
    shown, other = unit_panels(lit(unit, affine=affine), [unit, beside])
    assert middle(shown) > 200
    assert middle(other) < 60


@pytest.mark.parametrize("unit", SLICES, ids=str)
def test_without_directions_a_slice_lies_as_in_the_array(unit):
    (panel,) = unit_panels(lit(unit, corner=True), [unit])
    quarters = [np.array_split(half, 2, axis=1) for half in np.array_split(pixels(panel), 2)]
    means = [[quarter.mean() for quarter in row] for row in quarters]
    assert means[0][0] > 150
    assert max(means[0][1], *means[1]) < 80


def test_with_directions_the_front_is_on_top_and_the_patients_right_on_the_left():
    unit = Unit("v", "slice", 2, (29,))
    (panel,) = unit_panels(lit(unit, corner=True, affine=np.eye(4)), [unit])  # low indices: left and back
    rows, columns = np.nonzero(pixels(panel) > 200)
    height, width = pixels(panel).shape
    assert rows.mean() > height * 0.6
    assert columns.mean() > width * 0.6


def test_units_look_as_the_other_pictures_of_their_case():
    image = make_volume(np.diag([1.0, 2, 3, 1]))
    (panel,) = unit_panels(image, [Unit("v", "slice", 1, (4,))])
    plane = next(p for p in planes_through(image.geometry, (0, 4, 0)) if p.axis == 1)
    large = Picture.open(BytesIO(planes_png(image, [("", None)], [plane])))
    small = Picture.open(BytesIO(panel.image))
    assert small.width < large.width
    assert small.height / small.width == pytest.approx(large.height / large.width, rel=0.05)


@pytest.mark.parametrize(
    ("unit", "n_planes"),
    [
        (Unit("v", "planes", index=(1, 2, 3)), 3),
        (Unit("v", "planes"), 3),
        (Unit("v"), 3),
        (Unit("v", "patch", index=(0, 0, 0, 4, 4, 4)), 3),
        (Unit("v", "slice", 0, (0,)), 1),
    ],
    ids=str,
)
def test_volumes_and_planes_are_shown_in_three_planes(unit, n_planes):
    (panel,) = unit_panels(make_volume(shape=(16, 16, 16)), [unit])
    height, width = pixels(panel).shape
    assert round(height / width) == n_planes
    assert panel.title == str(unit)


def test_strips_of_thick_slices_are_left_out():
    (panel,) = unit_panels(make_volume(shape=(2, 40, 40)), [Unit("v", "planes", index=(1, 2, 3))])
    height, width = pixels(panel).shape
    assert height == pytest.approx(width, abs=6)


@pytest.mark.parametrize("shape", [(30, 40), (30, 40, 3)])
def test_2d_images_are_shown_whole_and_in_their_colours(shape):
    array = np.zeros(shape, np.uint8)
    array[0:15, 0:20] = 255 if len(shape) == 2 else (255, 0, 0)
    (panel,) = unit_panels(Image(array, Geometry.plain((30, 40))), [Unit("i")])
    found = np.asarray(Picture.open(BytesIO(panel.image)).convert("RGB"), int)
    upper_left, lower_right = found[len(found) // 4, found.shape[1] // 4], found[-len(found) // 4, -found.shape[1] // 4]
    assert upper_left[0] > 200
    assert (upper_left[1] > 200) == (len(shape) == 2)
    assert lower_right.max() < 60
