import numpy as np
import pytest

from frugalseg.data.label import UNKNOWN
from frugalseg.prompt.company import CompanySettings, in_company, needed_company
from frugalseg.prompt.fusion import PseudoLabel

N_CLASSES = 4


def stack(*slices: tuple[int, ...], axis: int = 2) -> PseudoLabel:
    """A label whose slices across an axis show these classes, a row of pixels each."""
    label = np.zeros((6, 5, len(slices)), np.uint8)
    for z, classes in enumerate(slices):
        for row, value in enumerate(classes):
            label[row, :, z] = value
    return PseudoLabel(np.moveaxis(label, 2, axis), np.ones(np.moveaxis(label, 2, axis).shape, np.float16))


def drawn_whole(said: PseudoLabel) -> np.ndarray:
    return np.zeros(said.label.shape, np.uint8)


def needs_of(*slices: tuple[int, ...], **options) -> list[tuple[int, int]]:
    said = stack(*slices)
    needs = needed_company([(drawn_whole(said), said)], [2], N_CLASSES, CompanySettings(**options))
    return [(int(a), int(b)) for a, b in np.argwhere(needs[2])]


def test_a_class_needs_what_is_always_beside_it_and_not_the_other_way_round():
    assert needs_of(*[(1, 3)] * 10, *[(3,)] * 2) == [(1, 3)]
    assert needs_of(*[(1, 3)] * 10) == [(1, 3), (3, 1)]


@pytest.mark.parametrize(("alone", "found"), [(0, [(1, 3)]), (1, [(1, 3)]), (2, [])])
def test_nearly_all_slices_will_do(alone, found):
    assert needs_of(*[(1, 3)] * 19, *[(1,)] * alone, *[(3,)] * 5) == found


def test_few_slices_say_nothing():
    assert needs_of(*[(1, 3)] * 9) == []
    assert needs_of(*[(1, 3)] * 9, least_slices=9) == [(1, 3), (3, 1)]


def test_only_slices_that_were_drawn_whole_count_each_axis_for_itself():
    said = stack(*[(1, 3)] * 12, (1,))
    expert = drawn_whole(said)
    expert[..., -1] = UNKNOWN  # where one class is alone
    expert[0, :, :2] = UNKNOWN
    needs = needed_company([(expert, said)], [0, 2], N_CLASSES)
    assert np.argwhere(needs[2]).tolist() == [[1, 3], [3, 1]]
    assert not needs[0].any()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_slice_that_lacks_company_says_nothing_and_the_others_stay(axis):
    drawn = stack(*[(1, 3)] * 12, *[(3,)] * 3, axis=axis)
    needs = needed_company([(drawn_whole(drawn), drawn)], [axis], N_CLASSES)
    said = stack((1, 3), (1,), (3,), (), (1, 2), (2,), axis=axis)
    kept = in_company(said, needs)
    lacks = [False, True, False, False, True, False]
    for z, (before, after) in enumerate(
        zip(np.moveaxis(said.label, axis, 0), np.moveaxis(kept.label, axis, 0), strict=True)
    ):
        assert (after == (UNKNOWN if lacks[z] else before)).all()
    assert ((kept.weight == 0) == (kept.label == UNKNOWN)).all()
    assert (said.label != UNKNOWN).all()  # as it was


def test_a_picture_is_one_slice():
    both, one = (PseudoLabel(np.array([[0, *v]], np.uint8), np.ones((1, 3), np.float16)) for v in ([1, 3], [1, 1]))
    needs = needed_company([(np.zeros((1, 3), np.uint8), both)] * 10, [-1], N_CLASSES)
    assert (in_company(both, needs).label == both.label).all()
    assert (in_company(one, needs).label == UNKNOWN).all()


def test_what_is_unknown_is_no_class():
    said = stack(*[(1, 3)] * 12)
    needs = needed_company([(drawn_whole(said), said)], [2], N_CLASSES)
    silent = PseudoLabel(np.full((6, 5, 2), UNKNOWN, np.uint8), np.zeros((6, 5, 2), np.float16))
    assert (in_company(silent, needs).label == UNKNOWN).all()
    assert needed_company([], [2], N_CLASSES)[2].sum() == 0
