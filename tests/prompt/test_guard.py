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


def case(said_wrong: float, teacher_wrong: float = 0.0, *, name: str = "a") -> Examined:
    truth = stream(0, "truth", name).integers(0, 3, (12, 13, 14)).astype(np.uint8)
    expert = np.full_like(truth, UNKNOWN)
    expert[5], expert[:, 6] = truth[5], truth[:, 6]
    said = flipped(truth, said_wrong, 1)
    weight = np.ones(truth.shape, np.float16)
    return Examined(name, expert, PseudoLabel(said, weight), flipped(truth, teacher_wrong, 2))


def test_dice_is_that_of_the_drawn_voxels():
    e = case(0.2)
    verdict = judged([e], 3)
    known = e.expert != UNKNOWN
    assert verdict.cases == ("a",)
    for c in verdict.classes:
        truth = e.expert[known] == c.value
        assert c.generalist_dice == pytest.approx(dice(e.said.label[known] == c.value, truth))
        assert c.covered == 1


@pytest.mark.parametrize("teacher_wrong", [0.0, 0.5, 1.0])
def test_labels_like_the_experts_are_trusted_and_half_wrong_ones_are_not_whatever_the_teacher_knows(teacher_wrong):
    assert judged([case(0.1, teacher_wrong)], 3).weights.tolist() == [1, 1, 1]
    assert judged([case(0.9, teacher_wrong)], 3).weights.tolist() == [1, 0, 0]


def test_above_the_floor_the_weight_rises():
    for found in judged([case(0.5)], 3).classes:
        settings = GuardSettings(floor=found.generalist_dice - 0.07)
        assert judged([case(0.5)], 3, settings).classes[found.value - 1].weight == pytest.approx(0.7)


def test_a_weight_that_is_almost_none_is_none():
    for found in judged([case(0.5)], 3).classes:
        settings = GuardSettings(floor=found.generalist_dice - 0.007)
        assert judged([case(0.5)], 3, settings).classes[found.value - 1].weight == 0


@pytest.mark.parametrize(("teacher_wrong", "is_seen"), [(0.95, False), (0.2, True)])
def test_a_verdict_against_a_class_is_settled_only_by_a_teacher_that_sees_it(teacher_wrong, is_seen):
    for c in judged([case(0.9, teacher_wrong)], 3).classes:
        assert c.weight == 0
        assert c.settled == is_seen
    assert not any(c.settled for c in judged([case(0.1, teacher_wrong)], 3).classes)


def test_what_the_teacher_sees_counts_where_the_generalist_is_silent_too():
    e = case(0.9, 0.0)
    silent = e.expert == 1
    e = replace(e, teacher=np.where(silent, 0, e.teacher).astype(np.uint8))  # misses all of class 1
    e = replace(e, said=PseudoLabel(e.said.label, np.where(silent, 0, 1).astype(np.float16)))
    first, second = judged([e], 3).classes
    assert (first.weight, first.settled) == (0, False)
    assert (second.weight, second.settled) == (0, True)


def test_one_odd_scan_does_not_condemn_what_is_good_everywhere_else():
    good = [case(0.0, name=str(k)) for k in range(8)]
    assert judged([*good, case(1.0, name="odd")], 3).weights.tolist() == [1, 1, 1]


def test_voxels_count_with_their_weight_and_unknown_ones_not_at_all():
    e = case(0.5)
    right = e.said.label == e.expert
    sure = PseudoLabel(np.where(right, e.said.label, UNKNOWN).astype(np.uint8), right.astype(np.float16))
    verdict = judged([replace(e, said=sure)], 3)
    assert [c.generalist_dice for c in verdict.classes] == [1, 1]
    assert all(0.5 < c.covered < 0.8 for c in verdict.classes)


def test_a_class_nobody_shows_and_no_case_at_all_hold_nothing_against_it():
    assert judged([], 3).weights.tolist() == [1, 1, 1]
    assert judged([], 3).cases == ()
    absent = judged([case(0.1)], 4).classes[2]
    assert (absent.generalist_dice, absent.weight, absent.settled) == (None, 1, False)


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
        judged([replace(e, expert=e.expert[1:])], 3)
