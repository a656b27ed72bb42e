"""What is said of a strategy beside random, by the bench's verdict, where it is better and where it cannot be."""

from dataclasses import replace

import numpy as np
import pytest
from pool_worlds import numbers, planted, view_of_points

from choosing_worlds import choose_units
from frugalseg.data.unit import Unit
from frugalseg.report.budget import AUBC, budgets_of
from frugalseg.report.page_budget import verdict
from frugalseg.report.records import CurvePoint
from frugalseg.strategies import STRATEGIES
from frugalseg.strategies.coreclr import CoreClr
from frugalseg.strategies.embedding.embedder import unit_length
from frugalseg.strategies.features import features

SEEDS = range(6)
BUDGETS = (5, 10)
COMPARED = ["coreset", "typiclust", "probcover", "coregcn", "coreclr", "coreclr-k-centre"]


class AsThePoints:
    """An embedder that has learnt where the points lie."""

    def embed(self, view, pictures, folder):
        return unit_length(features(view, [Unit(picture.case) for picture in pictures]))


@pytest.fixture(autouse=True)
def coreclr_sees_the_points(tiny_networks, monkeypatch):
    for name, cover in (("coreclr", "median"), ("coreclr-k-centre", "centre")):
        entry = replace(STRATEGIES[name], build=lambda _, cover=cover: CoreClr(AsThePoints(), cover=cover))
        monkeypatch.setitem(STRATEGIES, name, entry)


def course(world, strategy, seed):
    """At each budget the share of each patient's points that are right with the class of the nearest labelled one."""
    points, classes, patients = world(seed)
    ranked = numbers(choose_units(view_of_points(points), strategy, BUDGETS[-1], seed=seed))
    for number, budget in enumerate(BUDGETS):
        chosen = np.array(ranked[:budget])
        nearest = np.linalg.norm(points[:, None] - points[None, chosen], axis=-1).argmin(1)
        right = classes[chosen][nearest] == classes
        groups = {str(p): (float(right[patients == p].mean()),) for p in np.unique(patients)}
        score = float(np.mean(list(groups.values())))
        yield CurvePoint(strategy, seed, number, 0.0, budget, {"dice": score}, groups=groups)


def said(world, strategy):
    """What the bench says of the strategy beside random."""
    points = [p for seed in SEEDS for name in (strategy, "random") for p in course(world, name, seed)]
    (gap,) = budgets_of(points, "dice", [(strategy, "random")]).gaps
    return verdict("random", gap.result, metric=AUBC)


def redundant(seed):
    """Patients who look each their own way, some with many more points than others."""
    points, patients = planted(seed)
    return points, patients, patients


def identical(seed):
    """Independent points of one Gaussian, whose classes and patients have nothing to do with where they lie."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(300, 8))
    return points, rng.permutation(np.repeat([0, 1], 150)), rng.permutation(np.repeat(np.arange(10), 30))


@pytest.mark.parametrize("strategy", COMPARED)
def test_a_strategy_is_reported_better_in_a_pool_with_redundancy(strategy):
    assert said(redundant, strategy) == "better than random"


@pytest.mark.parametrize("strategy", COMPARED)
def test_a_strategy_is_not_reported_better_where_all_units_are_alike(strategy):
    assert said(identical, strategy) in ("no significant difference from random", "worse than random")
