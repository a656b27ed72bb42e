"""What a bench found: `results.json`, one contact sheet an arm, and the page."""

from collections.abc import Iterator

import yaml

from frugalseg.bench.bench import Course, S
from frugalseg.bench.run import BenchRun
from frugalseg.errors import DataError
from frugalseg.files import held
from frugalseg.report.budget import AUBC, budgets_of
from frugalseg.report.page import write_report
from frugalseg.report.pictures import contact_sheet
from frugalseg.report.records import Budgets, CurvePoint, Panel, Report, Row
from frugalseg.report.results import (
    Measured,
    Paired,
    Results,
    cost_of,
    measured_budgets,
    paired_budgets,
    write_results,
)
from frugalseg.report.tables import comparisons, rows_of


def write_outcome(found: BenchRun[S], *, command: str) -> Results:
    """Writes results.json, pictures/ARM.png and report.html in OUT from every (arm, seed) that has finished.

    Raises `DataError` while nothing has finished, `SettingsError` when another process has put results of other
    settings beside them.
    """
    with held(found.trials.out, wait=True):
        found.check()
        points = _points(found)
        if not points:
            raise DataError(f"{found.trials.out}: nothing of the bench has finished yet; the same command goes on")
        results = _results(found, points, command)
        write_results(found.trials.out / "results.json", results)
        write_report(found.trials.out / "report.html", _page(found, points, results))
    return results


def _points(found: BenchRun[S]) -> tuple[CurvePoint, ...]:
    return tuple(point for arm, seed in found.trials.finished() for point in _of_job(found, arm, seed))


def _of_job(found: BenchRun[S], arm: str, seed: int) -> tuple[CurvePoint, ...]:
    measured = found.measured(arm, seed)
    if measured.course is not None:
        return measured.course.points
    return (CurvePoint(arm, seed, round=0, seconds=0.0, units=0, metrics=measured.metrics),)


def _courses(found: BenchRun[S]) -> list[Course]:
    courses = (found.measured(arm, seed).course for arm, seed in found.trials.finished())
    return [course for course in courses if course is not None]


def _budgets(found: BenchRun[S], points: tuple[CurvePoint, ...]) -> Budgets | None:
    if not found.bench.curve:
        return None
    pairs = [(a, b) for a, b, metric in found.bench.compare if metric == AUBC]
    return budgets_of(points, found.bench.curve, pairs)


def _results(found: BenchRun[S], points: tuple[CurvePoint, ...], command: str) -> Results:
    budgets = _budgets(found, points)
    return Results(
        bench=found.bench.name,
        preset=found.preset,
        data=found.data.record(),
        seeds=tuple(sorted({point.seed for point in points})),
        arms={row.arm: _measured(row, budgets) for row in rows_of(points)},
        paired=(*(Paired.of(c) for c in comparisons(points, found.bench.compare)), *paired_budgets(budgets)),
        command=command,
        environment=found.trials.environment(found.device),
    )


def _measured(row: Row, budgets: Budgets | None) -> dict[str, Measured]:
    metrics = {key: Measured.of(summary.per_seed) for key, summary in row.metrics.items()}
    return metrics if budgets is None else {**metrics, **cost_of(row), **measured_budgets(budgets, row.arm)}


def _page(found: BenchRun[S], points: tuple[CurvePoint, ...], results: Results) -> Report:
    data, courses = results.data, _courses(found)
    return Report(
        title=f"{found.bench.name} on {data.name}",
        subtitle=f"{found.bench.about} {data.cases} cases; seeds {', '.join(map(str, results.seeds))}",
        headline=found.bench.curve or found.bench.metrics[0],
        curves=points,
        rows=rows_of(points),
        comparisons=comparisons(points, found.bench.compare),
        budgets=_budgets(found, points),
        advice=tuple(one for course in courses for one in course.advice),
        chosen=tuple(one for course in courses for one in course.chosen),
        gallery=tuple(_sheets(found)),
        gallery_note=found.bench.gallery_note,
        configuration=yaml.safe_dump(found.settings.model_dump(mode="json"), sort_keys=False),
        facts={
            **results.environment.facts(),
            "preset": results.preset,
            "data": data.fingerprint,
            "command": results.command,
        },
    )


def _sheets(found: BenchRun[S]) -> Iterator[Panel]:
    """The pictures of each arm with the first seed it has finished, on one sheet."""
    first = {arm: seed for arm, seed in reversed(found.trials.finished())}
    for arm in [a for a in found.trials.arms if a in first]:
        pictures = found.measured(arm, first[arm]).pictures
        if pictures:
            file = found.trials.out / "pictures" / f"{arm}.png"
            contact_sheet(pictures, file)
            yield Panel(arm, f"seed {first[arm]}", file.read_bytes(), f"{arm}: {len(pictures)} pictures")
