"""Areas, wins and bootstrap intervals against closed forms and brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalseg.errors import DataError
from frugalseg.report.bootstrap import crossed_interval
from frugalseg.report.budget import area_under_curve, budgets_of
from frugalseg.report.page import render
from frugalseg.report.page_budget import sentences
from frugalseg.report.records import Advised, CurvePoint, Report
from frugalseg.report.results import measured_budgets, paired_budgets
from frugalseg.seeds import stream

UNITS = (4, 8, 12)


def make_course(arm, seed, values, *, units=UNITS, groups=4, spread=0.0):
    """One arm and seed: each group has two cases, which lie `spread` around the value."""
    points = []
    for number, (n, value) in enumerate(zip(units, values, strict=True)):
        cases = {f"p{g}": (value - spread * (g + 1), value + spread * (g + 1)) for g in range(groups)}
        points.append(CurvePoint(arm, seed, number, 10.0 * n, n, {"dice": value}, strokes=3 * n, groups=cases))
    return points


def make_arms(gain=0.1, seeds=4, noise=0.0):
    """Two arms that share the first batch; the good one is better by `gain` from then on."""
    rng = np.random.default_rng(0)
    points = []
    for seed in range(seeds):
        base = 0.4 + 0.02 * seed
        plain = [base, base + 0.1, base + 0.2]
        points += make_course("plain", seed, plain)
        points += make_course("good", seed, [base, *(v + gain + noise * rng.normal() for v in plain[1:])])
    return points


@given(st.floats(-2, 2), st.floats(-2, 2), st.lists(st.integers(1, 9), min_size=2, max_size=6))
@settings(max_examples=30, deadline=None)
def test_the_area_under_a_line_is_its_height_in_the_middle(slope, offset, steps):
    costs = np.cumsum(steps)
    line = slope * costs + offset
    middle = slope * (costs[0] + costs[-1]) / 2 + offset
    assert area_under_curve(costs.tolist(), line.tolist()) == pytest.approx(middle, abs=1e-9)


@pytest.mark.parametrize("factor", [0.1, 60])
def test_the_area_does_not_depend_on_the_unit_of_cost(factor):
    costs, values = [1, 2, 5, 9], [0.1, 0.5, 0.4, 0.8]
    assert area_under_curve([factor * c for c in costs], values) == pytest.approx(area_under_curve(costs, values))


@pytest.mark.parametrize(("costs", "values"), [([3], [0.5]), ([1, 1], [0, 1]), ([2, 1], [0, 1]), ([1, 2], [0.5])])
def test_what_is_no_curve_has_no_area(costs, values):
    with pytest.raises(DataError, match="two or more costs that grow"):
        area_under_curve(costs, values)


def test_the_interval_is_that_of_drawing_seeds_and_patients_one_by_one():
    rng = np.random.default_rng(1)
    cases = {g: rng.normal(0.02, 0.05, (5, size)) for g, size in enumerate((1, 2, 3, 2))}  # 5 seeds, groups of cases
    sums, sizes = np.stack([c.sum(1) for c in cases.values()], 1), np.array([c.shape[1] for c in cases.values()])
    means = []
    for _ in range(4000):
        seeds, groups = rng.integers(5, size=5), rng.integers(4, size=4)
        means.append(np.mean([value for s in seeds for g in groups for value in cases[g][s]]))
    found = crossed_interval(sums, sizes, np.random.default_rng(2), draws=4000)
    assert found == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.004)


def test_patients_without_spread_leave_the_bootstrap_over_seeds():
    gaps = np.array([0.0, 0.1, 0.2])
    low, high = crossed_interval(np.repeat(gaps[:, None], 2, 1), np.array([1, 1]), np.random.default_rng(0))
    assert (low, high) == pytest.approx((0.0, 0.2), abs=0.034)  # 1 in 27 sets holds the lowest seed only


def test_the_same_seed_gives_the_same_interval():
    sums, sizes = np.random.default_rng(0).normal(size=(4, 5)), np.full(5, 2)
    one, two = (crossed_interval(sums, sizes, stream(0, "x")) for _ in range(2))
    assert one == two


@pytest.mark.parametrize(("n_seeds", "n_groups"), [(4, 10), (10, 10)])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(n_seeds, n_groups):
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        noise = (
            rng.normal(0, 0.03, (n_seeds, 1)) + rng.normal(0, 0.03, n_groups) + rng.normal(0, 0.05, (n_seeds, n_groups))
        )
        low, high = crossed_interval(noise, np.ones(n_groups, np.int64), rng, draws=400)
        hits += low <= 0 <= high
    assert 0.85 <= hits / 200 <= 0.995


def test_the_area_over_the_cases_is_that_of_the_mean():
    found = budgets_of(make_arms(), "dice", [("good", "plain")])
    assert found.area["plain"].per_seed == pytest.approx([0.5 + 0.02 * s for s in range(4)])
    assert found.area["good"].per_seed == pytest.approx([0.575 + 0.02 * s for s in range(4)])
    (gap,) = found.gaps
    assert (gap.n_seeds, gap.n_groups, gap.result.difference) == (4, 4, pytest.approx(0.075))
    assert gap.result.interval == pytest.approx((0.075, 0.075))
    assert not gap.result.is_noise


def test_values_are_told_at_each_budget_that_all_seeds_have():
    points = [p for p in make_arms() if (p.arm, p.seed, p.round) != ("good", 3, 2)]
    found = budgets_of(points, "dice")
    assert list(found.at["plain"]) == [4, 8, 12]
    assert list(found.at["good"]) == [4, 8]
    assert found.at["good"][8].per_seed == pytest.approx([0.6, 0.62, 0.64, 0.66])


def test_wins_are_counted_over_common_seeds_and_budgets_after_the_shared_one():
    points = make_course("a", 0, [0.5, 0.6, 0.7]) + make_course("a", 1, [0.5, 0.6, 0.7])
    points += make_course("b", 0, [0.5, 0.5, 0.7]) + make_course("c", 7, [0.1, 0.1, 0.1])
    found = budgets_of(points, "dice").wins
    assert found["a"]["b"] == 0.75  # one win, one tie
    assert found["b"]["a"] == 0.25
    assert found["a"]["c"] is None


def test_a_lower_distance_wins():
    points = make_course("far", 0, [9, 9, 9]) + make_course("near", 0, [9, 1, 1])
    points = [CurvePoint(p.arm, p.seed, p.round, p.seconds, p.units, {"hd95_mm": p.metrics["dice"]}) for p in points]
    assert budgets_of(points, "hd95_mm").wins["near"]["far"] == 1


def test_arms_with_fewer_seeds_are_compared_over_the_common_ones():
    points = [p for p in make_arms(seeds=5) if p.arm == "plain" or p.seed < 2]
    found = budgets_of(points, "dice", [("good", "plain")])
    assert found.area["plain"].n == 5
    assert found.gaps[0].n_seeds == 2
    assert found.gaps[0].result.difference == pytest.approx(0.075)


def test_arms_with_other_budgets_are_not_compared():
    points = make_course("a", 0, [0.1, 0.2, 0.3]) + make_course("b", 0, [0.1, 0.2, 0.3], units=(4, 9, 12))
    found = budgets_of(points, "dice", [("a", "b"), ("a", "absent")])
    assert found.gaps == ()
    assert found.wins["a"]["b"] == 0.5  # at the last budget


def test_an_arm_with_one_budget_has_no_curve():
    bound = make_course("bound", 0, [0.9], units=(99,))
    assert budgets_of(bound, "dice") is None
    assert list(budgets_of(bound + make_arms(), "dice").area) == ["plain", "good"]


@pytest.mark.parametrize(
    ("points", "sentence"),
    [
        (make_arms(), "good: better than plain (+0.075, 4 seeds)."),
        (make_arms(gain=-0.1), "good: worse than plain (−0.075, 4 seeds)."),
        (make_arms(gain=0, noise=0.05), "good: no significant difference from plain ("),
        (make_arms(seeds=1), "good: too few seeds or patients to tell it from plain (+0.075, 1 seed)."),
    ],
)
def test_one_sentence_says_who_differs(points, sentence):
    found = budgets_of(points, "dice", [("good", "plain")])
    assert sentences(found)[0].startswith(sentence)
    assert sentence in " ".join(render(Report("x", curves=tuple(points), budgets=found)).split())


def test_arms_compared_with_the_same_one_share_a_sentence():
    points = make_arms() + make_course("other", 0, [0.4, 0.5, 0.6]) + make_course("other", 1, [0.42, 0.52, 0.62])
    found = budgets_of(points, "dice", [("good", "plain"), ("other", "plain"), ("good", "other")])
    assert sentences(found) == [
        "Better than plain: good (+0.075, 4 seeds).",
        "No significant difference from plain: other (+0.000, 2 seeds).",
        "good: better than other (+0.075, 2 seeds).",
    ]


def test_results_hold_areas_budgets_and_intervals():
    found = budgets_of(make_arms(noise=0.01), "dice", [("good", "plain")])
    measured = measured_budgets(found, "good")
    assert list(measured) == ["aubc", "dice_at_4", "dice_at_8", "dice_at_12"]
    assert measured["aubc"].per_seed == found.area["good"].per_seed
    assert measured_budgets(found, "bound") == {}
    (pair,) = paired_budgets(found)
    assert (pair.a, pair.b, pair.metric, pair.interval) == ("good", "plain", "aubc", found.gaps[0].result.interval)
    assert paired_budgets(None) == ()


def test_the_page_shows_wins_and_the_advice_of_each_round():
    words = {"units": 8, "basis": "validation cases", "radius": 0.8, "agreement": 0.99}
    advice = Advised("good", 0, 1, gain=0.001, band=(0.0, 0.002), stop=True, words="stop: enough", **words)
    points = tuple(make_arms())
    page = render(Report("x", curves=points, budgets=budgets_of(points, "dice"), advice=(advice,)))
    assert "Who wins how often" in page
    assert "good, seed 0: stop after round 1 (8 drawn); the curve is measured on validation cases" in page
    assert "stop: enough" in page
    assert page.count("<svg") == 3  # minutes, slices, strokes
