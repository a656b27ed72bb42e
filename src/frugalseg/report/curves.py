"""The learning curve: what a model is worth against what its labels have cost."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np

from frugalseg.report.figures import INK, page_style, to_svg
from frugalseg.report.metrics import duration, lower_is_better, text, title
from frugalseg.report.palette import arm_style
from frugalseg.report.records import CurvePoint, Panel
from frugalseg.report.statistics import Summary, summarise
from frugalseg.report.tables import arms_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Cost = Literal["minutes", "units", "strokes"]

_COSTS: Mapping[Cost, tuple[str, Callable[[CurvePoint], float]]] = MappingProxyType(
    {
        "minutes": ("Annotation time (minutes)", lambda point: point.seconds / 60),
        "units": ("Slices or images drawn", lambda point: point.units),
        "strokes": ("Strokes drawn", lambda point: point.strokes),
    }
)

HEIGHT, GAP = 4.1, 0.43
"""Of a picture of curves, and between the names of two arms, in inches."""

BANDS = 6
"""With more arms the bands of spread would cover each other, and are left out."""


@dataclass(frozen=True)
class _Curve:
    """One arm: mean cost and the metric's summary at each round, and every single measurement."""

    arm: str
    colour: str
    mark: str
    seconds: float
    costs: tuple[float, ...]
    values: tuple[Summary, ...]
    dots: tuple[tuple[float, float], ...]

    @property
    def is_single(self) -> bool:
        """True for an arm that was measured at one cost only, as a bound is."""
        return len(self.costs) == 1


def learning_curves(points: Sequence[CurvePoint], metric: str) -> tuple[Panel, ...]:
    """Pictures of the metric against annotation minutes, units and strokes; of the arms alone when nothing grows.

    Strokes are shown where some were drawn. Lines are means over seeds, bands the standard deviation (where there are
    few arms), faint marks single seeds. An arm with one round is a dashed line beside arms with several.
    """
    measured = [p for p in points if metric in p.metrics]
    if not measured:
        return ()
    if all(curve.is_single for curve in _curves(measured, metric, "minutes")):
        return (_strip_chart(measured, metric),)
    costs: tuple[Cost, ...] = (
        ("minutes", "units", "strokes") if any(p.strokes for p in measured) else ("minutes", "units")
    )
    return tuple(_curve_panel(measured, metric, cost) for cost in costs)


def _curve_panel(points: Sequence[CurvePoint], metric: str, cost: Cost) -> Panel:
    from matplotlib.figure import Figure

    curves, axis = _curves(points, metric, cost), _COSTS[cost][0]
    name = f"curve-{cost}"
    with page_style(name):
        height = max(HEIGHT, 0.7 + GAP * len(curves))
        figure = Figure(figsize=(6.6, height))
        axes = figure.add_axes((0.1, 0.57 / height, 0.64, 1 - 0.66 / height))
        for curve in curves:
            if curve.is_single:
                _draw_bound(axes, curve)
            else:
                _draw_curve(axes, curve, band=len(curves) <= BANDS)
        axes.set_xlabel(axis)
        axes.set_ylabel(_axis_title(metric))
        axes.set_xlim(left=0)
        _set_limits(axes, curves, metric)
        _label_ends(axes, curves, metric, gap=GAP / (height - 0.66))
        image = to_svg(figure, name)
    heading = f"{title(metric)} against {axis[0].lower()}{axis[1:]}"
    return Panel(heading, "", image, f"{heading}. {_in_words(curves, metric)}")


def _strip_chart(points: Sequence[CurvePoint], metric: str) -> Panel:
    from matplotlib.figure import Figure

    curves, name = _curves(points, metric, "minutes"), "arms"
    has_cost = any(c.seconds for c in curves)
    with page_style(name):
        height = 0.75 + 0.5 * len(curves)
        figure = Figure(figsize=(7.6, height))
        axes = figure.add_axes((0.30, 0.55 / height, 0.52, 1 - 0.65 / height))
        for row, curve in enumerate(curves):
            _draw_strip(axes, row, curve, metric)
        axes.set_ylim(len(curves) - 0.5, -0.5)
        axes.set_yticks(range(len(curves)), [f"{c.arm} ({duration(c.seconds)})" if has_cost else c.arm for c in curves])
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.margins(x=0.06)
        axes.set_xlabel(_axis_title(metric))
        image = to_svg(figure, name)
    heading = f"{title(metric)} of each arm" + (" (annotation time in brackets)" if has_cost else "")
    return Panel(heading, "", image, f"{heading}. {_in_words(curves, metric)}")


def _curves(points: Sequence[CurvePoint], metric: str, cost: Cost) -> list[_Curve]:
    return [_curve(n, [p for p in points if p.arm == arm], metric, cost) for n, arm in enumerate(arms_of(points))]


def _curve(index: int, points: Sequence[CurvePoint], metric: str, cost: Cost) -> _Curve:
    of = _COSTS[cost][1]
    rounds = sorted({p.round for p in points})
    groups = [[p for p in points if p.round == r] for r in rounds]
    colour, mark = arm_style(index)
    return _Curve(
        arm=points[0].arm,
        colour=colour,
        mark=mark,
        seconds=float(np.mean([p.seconds for p in groups[-1]])),
        costs=tuple(float(np.mean([of(p) for p in group])) for group in groups),
        values=tuple(summarise([p.metrics[metric] for p in group]) for group in groups),
        dots=tuple((of(p), p.metrics[metric]) for p in points),
    )


def _draw_curve(axes: "Axes", curve: _Curve, *, band: bool) -> None:
    means = np.array([v.mean for v in curve.values])
    spread = np.array([v.std for v in curve.values])
    if band:
        axes.fill_between(curve.costs, means - spread, means + spread, color=curve.colour, alpha=0.16, linewidth=0)
    axes.plot(*zip(*curve.dots, strict=True), curve.mark, color=curve.colour, alpha=0.35, markersize=3, mew=0)
    axes.plot(curve.costs, means, color=curve.colour, marker=curve.mark, markersize=6, linewidth=2)


def _draw_bound(axes: "Axes", curve: _Curve) -> None:
    (value,) = curve.values
    axes.axhspan(value.mean - value.std, value.mean + value.std, color=curve.colour, alpha=0.1, linewidth=0)
    axes.axhline(value.mean, color=curve.colour, linewidth=1.6, linestyle=(0, (5, 3)))


def _draw_strip(axes: "Axes", row: int, curve: _Curve, metric: str) -> None:
    (value,) = curve.values
    axes.axhline(row, color=INK, alpha=0.13, linewidth=0.8)
    axes.plot(value.per_seed, [row] * value.n, curve.mark, color=curve.colour, alpha=0.4, markersize=6, mew=0)
    axes.errorbar(value.mean, row, xerr=value.std, color=curve.colour, marker="|", markersize=15, linewidth=2.5)
    axes.annotate(_with_spread(metric, value), (1.03, row), xycoords=("axes fraction", "data"), va="center")


def _set_limits(axes: "Axes", curves: Sequence[_Curve], metric: str) -> None:
    """Leaves room around what was measured; a score is never drawn beyond 1."""
    values = [
        number for curve in curves for v in curve.values for number in (*v.per_seed, v.mean - v.std, v.mean + v.std)
    ]
    low, high = min(values), max(values)
    room = max(0.06 * (high - low), 1e-3)
    is_score = not lower_is_better(metric) and max(v for c in curves for s in c.values for v in s.per_seed) <= 1
    axes.set_ylim(max(low - room, 0) if low >= 0 else low - room, min(high + room, 1) if is_score else high + room)


def _label_ends(axes: "Axes", curves: Sequence[_Curve], metric: str, *, gap: float) -> None:
    """Writes each arm's name beside its end, pushed apart where two ends meet; the gap is a part of the height."""
    bottom, top = axes.get_ylim()
    ends = [(c.values[-1].mean - bottom) / (top - bottom) for c in curves]
    for curve, height in zip(curves, apart(ends, gap), strict=True):
        last = curve.values[-1]
        cost = f" ({duration(curve.seconds)})" if curve.is_single else ""
        at, number = axes.transAxes, text(metric, last.mean) + cost
        axes.text(
            1.025, height + 0.21 * gap, curve.arm, transform=at, color=curve.colour, va="center", fontweight="bold"
        )
        axes.text(1.025, height - 0.25 * gap, number, transform=at, va="center", fontsize=10)


def apart(heights: Sequence[float], gap: float) -> list[float]:
    """The heights moved as little as needed for neighbours to be `gap` apart, kept within 0 and 1 while they fit."""
    order = np.argsort(heights, kind="stable")
    placed = np.array(heights, float)[order]
    ranks = np.arange(len(placed)) * gap
    # Least squares under "each at least gap above the one before" is isotonic regression of the heights less the gaps.
    from sklearn.isotonic import isotonic_regression

    room = max(1 - ranks[-1], 0)
    placed = isotonic_regression(placed - ranks, y_min=0, y_max=room) + ranks
    result = np.empty_like(placed)
    result[order] = placed
    return [float(h) for h in result]


def _axis_title(metric: str) -> str:
    return title(metric) + (" (lower is better)" if lower_is_better(metric) else "")


def _with_spread(metric: str, value: Summary) -> str:
    mean = text(metric, value.mean)
    return f"{mean} ± {text(metric, value.std)}" if value.n > 1 else f"{mean} (1 seed)"


def _in_words(curves: Sequence[_Curve], metric: str) -> str:
    ends = "; ".join(f"{c.arm}: {_with_spread(metric, c.values[-1])}" for c in curves)
    return f"Last values: {ends}"
