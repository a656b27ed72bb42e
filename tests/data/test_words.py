import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.label import UNKNOWN, InstanceLabel, SemanticLabel
from frugalseg.data.unit import Unit
from frugalseg.errors import DataError, LabelValueError

CLASSES = ("background", "liver", "tumour")


def test_semantic_and_instance_labels_cannot_be_mixed_up():
    with pytest.raises(DataError, match="int32"):
        InstanceLabel(np.zeros((4, 4), np.uint8))
    with pytest.raises(DataError, match="uint8"):
        SemanticLabel(np.zeros((4, 4), np.int32), CLASSES)


def test_values_outside_of_the_classes_are_named():
    with pytest.raises(LabelValueError, match=r"\[3, 7\] are not among 0\.\.2 \(background, liver, tumour\) or 255"):
        SemanticLabel(np.array([[0, 3], [7, 255]], np.uint8), CLASSES)


@given(st.integers(0, 2**32 - 1))
def test_what_was_drawn_later_wins_and_nothing_known_is_lost(seed):
    rng = np.random.default_rng(seed)
    one, two = (SemanticLabel(rng.choice([0, 1, 2, UNKNOWN], (3, 4, 5)).astype(np.uint8), CLASSES) for _ in range(2))
    both = one.updated(two)
    assert np.array_equal(both.known, one.known | two.known)
    assert np.array_equal(both.array[two.known], two.array[two.known])
    assert np.array_equal(both.array[~two.known], one.array[~two.known])


def test_only_forgets_what_lies_outside():
    label = SemanticLabel(np.ones((3, 3), np.uint8), CLASSES)
    mask = np.eye(3, dtype=bool)
    assert np.array_equal(label.only(mask).known, mask)


def test_instances_become_one_class_and_unknown_stays():
    label = InstanceLabel(np.array([[0, 5], [-1, 7]], np.int32))
    assert label.semantic().array.tolist() == [[0, 1], [UNKNOWN, 1]]
    assert label.ids.tolist() == [5, 7]


def test_three_planes_buy_their_union():
    mask = Unit("a", "planes", index=(1, 2, 3)).mask((4, 5, 6))
    brute = np.fromfunction(lambda i, j, k: (i == 1) | (j == 2) | (k == 3), (4, 5, 6))
    assert np.array_equal(mask, brute)


@pytest.mark.parametrize(
    ("unit", "n"),
    [
        (Unit("a"), 120),
        (Unit("a", "slice", 1, (4,)), 24),
        (Unit("a", "patch", index=(0, 1, 2, 2, 3, 6)), 16),
    ],
)
def test_a_unit_buys_its_voxels(unit, n):
    assert unit.mask((4, 5, 6)).sum() == n


@pytest.mark.parametrize("unit", [Unit("a", "slice", 0, (4,)), Unit("a", "planes", index=(0, 0, 6))])
def test_a_unit_outside_of_its_case_is_an_error(unit):
    with pytest.raises(DataError, match="lies outside"):
        unit.mask((4, 5, 6))


def test_planes_that_nobody_placed_have_no_voxels():
    with pytest.raises(DataError, match="nobody has placed"):
        Unit("a", "planes").mask((4, 5, 6))


def test_spacing_comes_from_the_columns_of_the_affine():
    affine = np.array([[0, 0, -3, 5], [2, 0, 0, 1], [0, 0.5, 0, 0], [0, 0, 0, 1]], float)
    assert Geometry.from_affine((4, 5, 6), affine).spacing == (2.0, 0.5, 3.0)


def test_geometries_differ_when_a_corner_is_displaced():
    one = Geometry.from_affine((40, 50, 60), np.eye(4))
    turned = np.eye(4)
    turned[0, 1] = 0.001
    assert "affine" in one.differs(Geometry.from_affine((40, 50, 60), turned))
    assert "shape" in one.differs(Geometry.plain((40, 50, 61)))
    assert one.differs(Geometry.from_affine((40, 50, 60), np.eye(4))) == ""


def test_nan_is_refused_with_its_count():
    array = np.zeros((4, 4))
    array[1, 1:3] = np.nan
    with pytest.raises(DataError, match="2 of 16 voxels are NaN"):
        Image(array, Geometry.plain((4, 4)))


def test_channels_last_become_channels_first():
    array = np.arange(24).reshape(2, 4, 3)
    image = Image(array, Geometry.plain((2, 4)))
    assert image.channels == 3
    assert np.array_equal(image.channels_first()[2], array[..., 2])
