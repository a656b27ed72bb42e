import numpy as np
import pytest
from scipy import ndimage

from frugalseg.data.label import UNKNOWN
from frugalseg.prompt.company import REACH, SLACK, CompanySettings, in_company, needed_company
from frugalseg.prompt.fusion import PseudoLabel

N_CLASSES = 4
SPACING = (1.0, 1.0, 1.0)


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
    needs = needed_company([(drawn_whole(said), said, SPACING)], [2], N_CLASSES, CompanySettings(**options))
    return [(int(a), int(b)) for a, b in np.argwhere(~np.isnan(needs[2]))]


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
    needs = needed_company([(expert, said, SPACING)], [0, 2], N_CLASSES)
    assert np.argwhere(~np.isnan(needs[2])).tolist() == [[1, 3], [3, 1]]
    assert np.isnan(needs[0]).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_slice_that_lacks_company_says_nothing_and_the_others_stay(axis):
    drawn = stack(*[(1, 3)] * 12, *[(3,)] * 3, axis=axis)
    needs = needed_company([(drawn_whole(drawn), drawn, SPACING)], [axis], N_CLASSES)
    said = stack((1, 3), (1,), (3,), (), (1, 2), (2,), axis=axis)
    kept = in_company(said, needs, SPACING)
    lacks = [False, True, False, False, True, False]
    for z, (before, after) in enumerate(
        zip(np.moveaxis(said.label, axis, 0), np.moveaxis(kept.label, axis, 0), strict=True)
    ):
        assert (after == (UNKNOWN if lacks[z] else before)).all()
    assert ((kept.weight == 0) == (kept.label == UNKNOWN)).all()
    assert (said.label != UNKNOWN).all()  # as it was


def test_a_picture_is_one_slice():
    both, one = (PseudoLabel(np.array([[0, *v]], np.uint8), np.ones((1, 3), np.float16)) for v in ([1, 3], [1, 1]))
    needs = needed_company([(np.zeros((1, 3), np.uint8), both, (1.0, 1.0))] * 10, [-1], N_CLASSES)
    assert (in_company(both, needs, (1.0, 1.0)).label == both.label).all()
    assert (in_company(one, needs, (1.0, 1.0)).label == UNKNOWN).all()


def test_what_is_unknown_is_no_class():
    said = stack(*[(1, 3)] * 12)
    needs = needed_company([(drawn_whole(said), said, SPACING)], [2], N_CLASSES)
    silent = PseudoLabel(np.full((6, 5, 2), UNKNOWN, np.uint8), np.zeros((6, 5, 2), np.float16))
    assert (in_company(silent, needs, SPACING).label == UNKNOWN).all()
    assert np.isnan(needed_company([], [2], N_CLASSES)[2]).all()


def heart(gap: int, *, spacing: tuple[float, float, float] = SPACING, more: int | None = None) -> PseudoLabel:
    """Ten slices with a piece of class 1, class 3 so many pixels below it, and perhaps more of 1 further down."""
    label = np.zeros((60, 4, 10), np.uint8)
    label[5:8], label[7 + gap : 10 + gap] = 1, 3
    if more is not None:
        label[9 + gap + more : 12 + gap + more] = 1
    return PseudoLabel(label, np.ones(label.shape, np.float16))


def near(gap: int, spacing: tuple[float, float, float] = SPACING):
    """The needs when an expert has drawn class 3 always so far from class 1."""
    drawn = heart(gap)
    return needed_company([(drawn.label, drawn, spacing)], [2], N_CLASSES)


def test_how_near_is_told_by_what_the_expert_has_drawn():
    assert near(6, (2.0, 1.0, 9.0))[2][1, 3] == REACH * 12
    drawn, said = heart(6), heart(20)
    assert needed_company([(drawn.label, said, SPACING)], [2], N_CLASSES)[2][3, 1] == REACH * 6


@pytest.mark.parametrize(("gap", "is_kept"), [(6, True), (11, True), (12, False)])
def test_a_slice_whose_only_piece_is_too_far_from_its_company_says_nothing(gap, is_kept):
    kept = in_company(heart(gap), near(6), SPACING).label  # 9 pixels and the slack
    assert (kept == (heart(gap).label if is_kept else UNKNOWN)).all()


def test_distances_are_in_millimetres():
    needs = near(6)
    assert (in_company(heart(20), needs, (0.4, 0.4, 5.0)).label != UNKNOWN).all()
    assert (in_company(heart(6), needs, (4.0, 4.0, 5.0)).label == UNKNOWN).all()


def test_of_several_pieces_only_those_without_company_say_nothing():
    said, needs = heart(6, more=30), near(6)
    kept = in_company(said, needs, SPACING)
    stray = (said.label == 1) & (np.arange(60)[:, None, None] > 30)
    assert stray.any()
    assert (kept.label == np.where(stray, UNKNOWN, said.label)).all()
    assert (kept.weight == ~stray).all()


@pytest.mark.parametrize("seed", range(5))
def test_what_is_left_is_that_of_a_loop_over_pixels(seed):
    rng = np.random.default_rng(seed)
    label = rng.choice(np.array([0, 0, 0, 1, 3, UNKNOWN], np.uint8), (7, 8, 3))
    needs = {2: np.full((N_CLASSES, N_CLASSES), np.nan)}
    needs[2][1, 3] = 0.1
    found = in_company(PseudoLabel(label, np.ones(label.shape, np.float16)), needs, SPACING).label
    for z in range(3):
        others, pieces = np.argwhere(label[..., z] == 3), ndimage.label(label[..., z] == 1, np.ones((3, 3)))[0]
        expected = label[..., z].copy()
        lonely = []
        for k in range(1, pieces.max() + 1):
            away = min((np.hypot(*(a - b)) for a in np.argwhere(pieces == k) for b in others), default=np.inf)
            lonely += [k] if away > 0.1 + SLACK else []
        expected[np.isin(pieces, lonely)] = UNKNOWN
        if pieces.any() and len(lonely) == pieces.max():
            expected[:] = UNKNOWN
        assert (found[..., z] == expected).all()
