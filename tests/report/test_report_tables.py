from dataclasses import replace

import pytest
from report_worlds import make_points

from frugalseg.errors import DataError
from frugalseg.report.metrics import duration, lower_is_better, text, title
from frugalseg.report.tables import arms_of, comparison, comparisons, last_points, rows_of


def test_arms_come_in_the_order_in_which_they_were_given():
    assert arms_of(make_points()) == ("good", "plain", "bound")


def test_a_row_holds_the_last_round():
    good = rows_of(make_points())[0]
    assert good.metrics["dice"].mean == pytest.approx(0.71)
    assert good.metrics["dice"].std == pytest.approx(0.01)
    assert (good.seconds.mean, good.units.mean) == (360, 24)


def test_an_unfinished_seed_holds_the_others_back():
    points = tuple(p for p in make_points() if (p.arm, p.seed, p.round) != ("good", 1, 2))
    assert {(p.seed, p.round) for p in last_points(points, "good")} == {(0, 1), (1, 1), (2, 1)}


def test_a_metric_that_one_seed_lacks_is_left_out():
    first, *rest = make_points(rounds=1)
    assert "hd95_mm" not in rows_of([replace(first, metrics={"dice": 0.5}), *rest])[0].metrics


def test_arms_are_compared_over_the_seeds_that_both_have():
    points = [p for p in make_points() if not (p.arm == "plain" and p.seed == 2)]
    found = comparison(points, "good", "plain", metric="dice")
    assert found.result.difference == pytest.approx(0.1)
    assert found.result.interval == pytest.approx((0.1, 0.1))


def test_an_arm_that_was_not_measured_is_named():
    with pytest.raises(DataError, match="the arm 'best'; there are: good, plain, bound"):
        comparison(make_points(), "best", "plain", metric="dice")


def test_only_differences_that_can_be_told_are():
    points = [p for p in make_points() if not (p.arm == "plain" and p.seed != 2) and (p.arm, p.seed) != ("bound", 2)]
    wanted = [("good", "plain", "dice"), ("plain", "bound", "dice"), ("good", "best", "dice"), ("good", "plain", "x")]
    assert [(c.a, c.b, c.metric) for c in comparisons(points, wanted)] == [("good", "plain", "dice")]


@pytest.mark.parametrize(
    ("key", "name", "lower", "number"),
    [
        ("dice", "Dice", False, "0.123"),
        ("dice_left_atrium", "Dice left atrium", False, "0.123"),
        ("hd95_mm", "HD95 (mm)", True, "0.12"),
        ("hd95_mm_core", "HD95 (mm) core", True, "0.12"),
        ("noc80", "Clicks to 0.80 IoU", True, "0.1"),
        ("decode_ms", "Decoding (ms)", True, "0.1"),
        ("iou_box_disc", "IoU box disc", False, "0.123"),
        ("rings", "rings", False, "0.123"),
        ("seconds", "Time (s)", True, "0"),
    ],
)
def test_metrics_are_named_and_written_for_people(key, name, lower, number):
    assert (title(key), lower_is_better(key), text(key, 0.1234)) == (name, lower, number)


@pytest.mark.parametrize(("seconds", "words"), [(0, "0 s"), (99, "99 s"), (120, "2 min"), (36000, "10.0 h")])
def test_durations_are_written_for_people(seconds, words):
    assert duration(seconds) == words
