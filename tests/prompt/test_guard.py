from dataclasses import replace

import numpy as np
import pytest

from frugalseg.data.label import UNKNOWN
from frugalseg.errors import DataError
from frugalseg.metrics.overlap import dice
from frugalseg.prompt.fusion import PseudoLabel
from frugalseg.prompt.guard import Examined, GuardSettings, guarded, judged
from frugalseg.seeds import stream


def flipped(truth: np.ndarray, wrong: float, seed: int) -> np.ndarray:
    rng = stream(seed, "flip")
    return np.where(rng.random(truth.shape) < wrong, rng.integers(0, 3, truth.shape), truth).astype(np.uint8)


def case(said_wrong: float, teacher_wrong: float, *, name: str = "a", is_held_out: bool = True) -> Examined:
    truth = stream(0, "truth", name).integers(0, 3, (12, 13, 14)).astype(np.uint8)
    expert = np.full_like(truth, UNKNOWN)
    expert[5], expert[:, 6] = truth[5], truth[:, 6]
    said = flipped(truth, said_wrong, 1)
    weight = np.ones(truth.shape, np.float16)
    return Examined(name, expert, PseudoLabel(said, weight), flipped(truth, teacher_wrong, 2), is_held_out)


def test_dice_is_that_of_the_drawn_voxels():
    e = case(0.2, 0.4)
    verdict = judged([e], 3)
    known = e.expert != UNKNOWN
    for c in verdict.classes:
        truth = e.expert[known] == c.value
        assert c.generalist_dice == pytest.approx(dice(e.said.label[known] == c.value, truth))
        assert c.held_out == (c.generalist_dice, pytest.approx(dice(e.teacher[known] == c.value, truth)))
        assert c.covered == 1


def test_a_better_generalist_is_trusted_and_a_much_worse_one_is_not():
    assert judged([case(0.1, 0.4)], 3).weights.tolist() == [1, 1, 1]
    assert judged([case(0.4, 0.1)], 3).weights.tolist() == [1, 0, 0]


@pytest.mark.parametrize("n", [1, 4])
def test_the_weight_rises_with_the_teachers_errors_that_are_spared_and_few_cases_say_less(n):
    verdict = judged([case(0.4, 0.6, name=str(k)) for k in range(n)], 3, GuardSettings(spared=0.28, floor=0))
    for c in verdict.classes:
        mine, its = c.held_out
        assert 0.5 < c.weight < 1
        assert mine < 0.85  # no credit
        assert c.weight == pytest.approx((1 - (1 - mine) / (1 - its)) * n / (n + 1) / 0.28)


def test_labels_as_good_as_the_teacher_have_nothing_to_teach_it_unless_they_follow_the_experts_closely():
    for wrong, weight in ((0.5, 0), (0.05, 1)):
        e = case(wrong, 0.0)
        same = replace(e, teacher=e.said.label)
        assert judged([same], 3).weights.tolist() == [1, weight, weight]


def test_at_the_end_of_the_scale_small_differences_decide_nothing():
    e = case(0.012, 0.0)  # some voxels of the generalist wrong, none of the teacher
    first, second = judged([e], 3).classes
    for c in (first, second):
        assert 0.97 < c.held_out[0] < c.held_out[1] == 1
    assert 0.5 < first.weight < 1
    assert first.weight == pytest.approx(((first.held_out[0] - 1) / 0.05 + 0.3) / 2 / 0.1)
    assert second.weight == 0  # 0.06 is none


def test_a_weight_below_one_half_is_none():
    e = case(0.12, 0.0, is_held_out=False)  # labels that have 0.57 and 0.81 of the credit
    for spared, trusted in ((0.11, True), (0.17, False)):
        weights = judged([e], 3, GuardSettings(credit=0.1, spared=spared)).weights
        assert [w > 0 for w in weights[1:]] == [trusted] * 2


@pytest.mark.parametrize("is_held_out", [True, False])
def test_labels_that_are_half_wrong_teach_nothing_even_where_the_teacher_sees_nothing(is_held_out):
    blind = case(0.9, 1.0, is_held_out=is_held_out)
    blind = replace(blind, teacher=np.zeros_like(blind.teacher))
    for c in judged([blind], 3).classes:
        assert c.weight == 0
        assert 0.1 < c.generalist_dice < 0.5
    good = replace(case(0.1, 1.0, is_held_out=is_held_out), teacher=blind.teacher)
    assert judged([good], 3).weights.tolist() == [1, 1, 1]


@pytest.mark.parametrize(("teacher_wrong", "is_seen"), [(0.95, False), (0.2, True)])
def test_a_verdict_against_a_class_is_settled_only_by_a_teacher_that_sees_it(teacher_wrong, is_seen):
    for c in judged([case(0.9, teacher_wrong)], 3).classes:
        assert c.weight == 0
        assert c.settled == is_seen
    assert all(c.settled for c in judged([case(0.1, teacher_wrong)], 3).classes)


def test_what_the_teacher_sees_counts_where_the_generalist_is_silent_too():
    e = case(0.9, 0.0)
    silent = e.expert == 1
    e = replace(e, teacher=np.where(silent, 0, e.teacher).astype(np.uint8))  # misses all of class 1
    e = replace(e, said=PseudoLabel(e.said.label, np.where(silent, 0, 1).astype(np.float16)))
    first, second = judged([e], 3).classes
    assert (first.weight, first.settled) == (0, False)
    assert (second.weight, second.settled) == (0, True)


def test_a_class_that_no_held_out_case_shows_has_its_credit_alone():
    shown, trained = case(0.05, 0.05), case(0.05, 0.0, name="b", is_held_out=False)
    shown = replace(shown, expert=np.where(shown.expert == 2, UNKNOWN, shown.expert).astype(np.uint8))
    first, second = judged([shown, trained], 3).classes
    assert first.held_out is not None
    assert second.held_out is None
    assert (second.weight, second.settled) == (1, False)
    assert judged([shown, trained], 3, GuardSettings(credit=0)).weights[2] == 0


def test_one_odd_held_out_scan_does_not_condemn_what_is_good_everywhere_else():
    seen = [case(0.0, 0.0, name=str(k), is_held_out=False) for k in range(8)]
    odd = case(1.0, 1.0, name="odd")
    odd = replace(odd, teacher=odd.said.label)  # nobody knows anything of it
    for c in judged([*seen, odd], 3).classes:
        assert c.held_out[0] == c.held_out[1] < 0.5 < c.generalist_dice
        assert c.weight > 0.3
    bad = case(1.0, 0.1, name="odd")  # only the generalist does not
    assert judged([*seen, bad], 3).weights.tolist() == [1, 0, 0]


def test_the_teachers_dice_on_planes_it_has_learnt_does_not_count():
    both = judged([case(0.3, 0.0, name="seen", is_held_out=False), case(0.1, 0.4, name="new")], 3)
    assert both.basis == "held-out"
    assert both.cases == ("new",)
    assert both.weights.tolist() == [1, 1, 1]


def test_on_seen_planes_only_a_generalist_has_weight_as_far_as_it_follows_the_experts():
    learnt_by_heart = judged([case(0.12, 0.0, is_held_out=False)], 3, GuardSettings(spared=0.25))
    assert learnt_by_heart.basis == "seen"
    for c in learnt_by_heart.classes:
        assert 0.5 < c.weight < 1
        assert c.weight == pytest.approx(0.3 * (c.generalist_dice - 0.85) / 0.1 / 0.25)
    assert judged([case(0.06, 0.0, is_held_out=False)], 3).weights.tolist() == [1, 1, 1]
    assert judged([case(0.5, 0.0, is_held_out=False)], 3).weights.tolist() == [1, 0, 0]
    assert not any(c.settled for wrong in (0.06, 0.5) for c in judged([case(wrong, 0.0, is_held_out=False)], 3).classes)


def test_held_out_cases_of_which_the_generalist_says_nothing_decide_nothing_for_a_class():
    trained = case(0.05, 0.0, name="b", is_held_out=False)
    for teacher_wrong in (0.0, 1.0):
        silent = speaking_of(case(0.0, teacher_wrong), 0.0)
        for c in judged([silent, trained], 3).classes:
            assert (c.held_out, c.weight, c.settled) == (None, 1, False)
        for c in judged([silent, trained], 3, GuardSettings(credit=0)).classes:
            assert (c.weight, c.settled) == (0, teacher_wrong == 0)


def test_above_the_floor_weight_rises_to_what_the_held_out_cases_give():
    blind = case(0.62, 1.0)
    blind = replace(blind, teacher=np.zeros_like(blind.teacher))
    for c in judged([blind], 3, GuardSettings(floor=0.52)).classes:
        assert 0.52 < c.generalist_dice < 0.62
        assert c.weight == pytest.approx((c.generalist_dice - 0.52) / 0.1)


def test_voxels_count_with_their_weight_and_unknown_ones_not_at_all():
    e = case(0.5, 0.3)
    right = e.said.label == e.expert
    sure = PseudoLabel(np.where(right, e.said.label, UNKNOWN).astype(np.uint8), right.astype(np.float16))
    verdict = judged([Examined("a", e.expert, sure, e.teacher, True)], 3)
    assert [c.generalist_dice for c in verdict.classes] == [1, 1]
    assert all(0.5 < c.covered < 0.8 for c in verdict.classes)


def test_a_class_nobody_shows_and_no_case_at_all_hold_nothing_against_it():
    assert judged([], 3).weights.tolist() == [1, 1, 1]
    assert judged([], 3).basis == "nothing"
    absent = judged([case(0.1, 0.1)], 4).classes[2]
    assert (absent.generalist_dice, absent.held_out, absent.weight) == (None, None, 1)


def speaking_of(e: Examined, share: float) -> Examined:
    """The generalist is silent on the other voxels."""
    weight = np.where(np.arange(e.expert.shape[2]) < int(share * e.expert.shape[2]), 1, 0).astype(np.float16)
    return replace(e, said=PseudoLabel(e.said.label, np.broadcast_to(weight, e.expert.shape)))


def test_a_class_that_was_drawn_but_hardly_spoken_of_has_no_weight_and_is_settled_where_the_teacher_sees_it():
    for teacher_wrong, is_seen in ((0.5, True), (0.95, False)):
        for c in judged([speaking_of(case(0.0, teacher_wrong), 0.0)], 3).classes:
            assert (c.generalist_dice, c.covered, c.weight, c.settled) == (None, 0, 0, is_seen)
        for c in judged([speaking_of(case(0.0, teacher_wrong), 0.08)], 3).classes:
            assert 0 < c.covered < 0.1
            assert (c.weight, c.settled) == (0, is_seen)
        assert judged([speaking_of(case(0.0, teacher_wrong), 0.3)], 3).weights.tolist() == [1, 1, 1]


def test_a_held_out_case_counts_as_far_as_the_generalist_speaks_of_it():
    whole, part = (speaking_of(case(0.3, 0.5), share) for share in (1, 0.5))
    settings = GuardSettings(spared=0.2, floor=0, credit=0)
    for c in judged([part], 3, settings).classes:
        mine, its = c.held_out
        assert 0.5 < c.weight < 1
        assert c.weight == pytest.approx((1 - (1 - mine) / (1 - its)) * c.covered / (c.covered + 1) / 0.2)
    assert all(c.covered == 1 for c in judged([whole], 3, settings).classes)


def test_cases_are_judged_together_in_any_order():
    cases = [case(0.1, 0.4, name="a"), case(0.3, 0.3, name="b")]
    assert judged(cases, 3) == judged(cases[::-1], 3)


def test_a_bad_class_is_muted_where_it_is_and_where_it_was_asked_for():
    said = PseudoLabel(np.array([0, 1, 2, 0, UNKNOWN], np.uint8), np.array([1, 1, 1, 1, 0], np.float16))
    asked = np.array([0, 0, 2, 1, 1], np.uint8)
    result = guarded(said, asked, np.array([1, 0.25, 0]))
    assert result.label.tolist() == [0, 1, UNKNOWN, 0, UNKNOWN]
    assert result.weight.tolist() == [1, 0.25, 0, 0.25, 0]


def test_arrays_of_different_shapes_are_refused():
    e = case(0, 0)
    with pytest.raises(DataError, match="one shape"):
        judged([Examined("a", e.expert[1:], e.said, e.teacher, True)], 3)
