"""Tables from points: one row an arm at its last round, and differences between arms seed by seed."""

from collections.abc import Iterable, Sequence

from frugalseg.errors import DataError
from frugalseg.report.records import Comparison, CurvePoint, Row
from frugalseg.report.statistics import paired_difference, summarise


def arms_of(points: Iterable[CurvePoint]) -> tuple[str, ...]:
    """The arms in the order in which they first occur."""
    return tuple(dict.fromkeys(point.arm for point in points))


def last_points(points: Sequence[CurvePoint], arm: str) -> tuple[CurvePoint, ...]:
    """The arm's points of the last round that all of its seeds have reached, in the order of the seeds."""
    mine = [p for p in points if p.arm == arm]
    if not mine:
        raise DataError(f"no point was measured for the arm '{arm}'; there are: {', '.join(arms_of(points))}")
    reached = min(max(p.round for p in mine if p.seed == seed) for seed in {p.seed for p in mine})
    return tuple(sorted((p for p in mine if p.round == reached), key=lambda p: p.seed))


def rows_of(points: Sequence[CurvePoint]) -> tuple[Row, ...]:
    """One row an arm; a metric that some seed lacks is left out."""
    return tuple(_row(arm, last_points(points, arm)) for arm in arms_of(points))


def comparison(points: Sequence[CurvePoint], a: str, b: str, *, metric: str) -> Comparison:
    """Arm `a` minus arm `b` at their last rounds over the seeds that both have; raises `DataError` for none."""
    left, right = (
        {p.seed: p.metrics[metric] for p in last_points(points, arm) if metric in p.metrics} for arm in (a, b)
    )
    seeds = sorted(left.keys() & right.keys())
    return Comparison(a, b, metric, paired_difference([left[s] for s in seeds], [right[s] for s in seeds]))


def comparisons(points: Sequence[CurvePoint], wanted: Iterable[tuple[str, str, str]]) -> tuple[Comparison, ...]:
    """The differences (arm, other arm, metric) that are wanted and can be told: both arms have it for a common seed."""
    seeds: dict[tuple[str, str], set[int]] = {}
    for arm in arms_of(points):
        for point in last_points(points, arm):
            for metric in point.metrics:
                seeds.setdefault((arm, metric), set()).add(point.seed)
    none: set[int] = set()
    return tuple(
        comparison(points, a, b, metric=metric)
        for a, b, metric in wanted
        if seeds.get((a, metric), none) & seeds.get((b, metric), none)
    )


def _row(arm: str, points: tuple[CurvePoint, ...]) -> Row:
    names = [name for name in points[0].metrics if all(name in p.metrics for p in points)]
    return Row(
        arm,
        summarise([p.seconds for p in points]),
        summarise([p.units for p in points]),
        summarise([p.strokes for p in points]),
        {name: summarise([p.metrics[name] for p in points]) for name in names},
    )
