"""What a budget bought: the area under the budget curve, the metric at each budget, who wins against whom.

All of it comes from points: one for each arm, seed and round, with the headline's value for every case.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from frugalseg.errors import DataError
from frugalseg.report.bootstrap import crossed_interval
from frugalseg.report.metrics import lower_is_better
from frugalseg.report.records import Budgets, CurvePoint, Gap
from frugalseg.report.statistics import Difference, Summary, summarise
from frugalseg.report.tables import arms_of
from frugalseg.seeds import stream

AUBC = "aubc"
"""The area under the budget curve as a metric's key."""


def area_under_curve(costs: Sequence[float], values: Sequence[float]) -> float:
    """The mean height of the polygon through the points (trapezoids), whatever the range of the costs.

    Raises `DataError` for fewer than two points and for costs that do not grow.
    """
    x, y = np.asarray(costs, np.float64), np.asarray(values, np.float64)
    if len(x) < 2 or len(x) != len(y) or (np.diff(x) <= 0).any():
        raise DataError(f"a budget curve needs two or more costs that grow, and a value for each, not {list(costs)}")
    return float(np.trapezoid(y, x) / (x[-1] - x[0]))


def budgets_of(points: Sequence[CurvePoint], metric: str, pairs: Iterable[tuple[str, str]] = ()) -> Budgets | None:
    """What the budgets bought; None where no arm was measured at two of them.

    Of `pairs` those are compared that have a seed in common and the same budgets in all of their common seeds.
    """
    curves = _curves(points, metric)
    arms = [arm for arm in arms_of(points) if arm in curves]
    if not arms:
        return None
    return Budgets(
        metric=metric,
        area={arm: summarise([curve.area for _, curve in sorted(curves[arm].items())]) for arm in arms},
        at={arm: _at(curves[arm]) for arm in arms},
        wins={a: {b: _wins(curves[a], curves[b], metric) for b in arms if b != a} for a in arms},
        gaps=tuple(gap for a, b in pairs if (gap := _gap(a, b, curves)) is not None),
    )


@dataclass(frozen=True)
class _Curve:
    """One arm and seed: budgets in units, the metric at each, and each group's values, one row a budget."""

    units: tuple[int, ...]
    values: tuple[float, ...]
    groups: Mapping[str, np.ndarray]

    @property
    def area(self) -> float:
        return area_under_curve(self.units, self.values)


def _curves(points: Sequence[CurvePoint], metric: str) -> dict[str, dict[int, _Curve]]:
    """Arm -> seed -> curve, of what was measured at two budgets or more."""
    found: dict[str, dict[int, _Curve]] = {}
    for arm in arms_of(points):
        mine = [p for p in points if p.arm == arm and metric in p.metrics]
        for seed in sorted({p.seed for p in mine}):
            course = sorted((p for p in mine if p.seed == seed), key=lambda p: p.round)
            units = tuple(p.units for p in course)
            if len(units) > 1 and all(a < b for a, b in pairwise(units)):
                values = tuple(p.metrics[metric] for p in course)
                found.setdefault(arm, {})[seed] = _Curve(units, values, _by_group(course))
    return found


def _by_group(course: Sequence[CurvePoint]) -> dict[str, np.ndarray]:
    common = set.intersection(*(set(p.groups) for p in course))
    return {group: np.array([p.groups[group] for p in course], np.float64) for group in sorted(common)}


def _at(curves: Mapping[int, _Curve]) -> dict[int, Summary]:
    """The metric at the budgets that all seeds have."""
    common = set.intersection(*(set(curve.units) for curve in curves.values()))
    return {
        units: summarise([c.values[c.units.index(units)] for _, c in sorted(curves.items())])
        for units in sorted(common)
    }


def _wins(a: Mapping[int, _Curve], b: Mapping[int, _Curve], metric: str) -> float | None:
    gaps = []
    for seed in sorted(a.keys() & b.keys()):
        mine, other = (dict(zip(c.units, c.values, strict=True)) for c in (a[seed], b[seed]))
        first = min(a[seed].units[0], b[seed].units[0])
        gaps += [mine[n] - other[n] for n in sorted(mine.keys() & other.keys()) if n > first]
    if not gaps:
        return None
    better = np.sign(gaps) * (-1 if lower_is_better(metric) else 1)
    return float(np.mean((better + 1) / 2))


def _gap(a: str, b: str, curves: Mapping[str, Mapping[int, _Curve]]) -> Gap | None:
    left, right = curves.get(a, {}), curves.get(b, {})
    seeds = sorted(left.keys() & right.keys())
    if not seeds or any(left[s].units != right[s].units for s in seeds):
        return None
    difference = float(np.mean([left[s].area - right[s].area for s in seeds]))
    groups = sorted(set.intersection(*(set(arm[s].groups) for arm in (left, right) for s in seeds)))
    interval = None
    if min(len(seeds), len(groups)) > 1:
        sums = np.array([[_sum(left[s], g) - _sum(right[s], g) for g in groups] for s in seeds])
        sizes = np.array([left[seeds[0]].groups[g].shape[1] for g in groups], np.int64)
        interval = crossed_interval(sums, sizes, stream(0, "bootstrap", a, b))
    return Gap(a, b, Difference(difference, interval), len(seeds), len(groups))


def _sum(curve: _Curve, group: str) -> float:
    """The sum over a group's cases of the areas under their own curves: areas add up."""
    return area_under_curve(curve.units, curve.groups[group].sum(1).tolist())
