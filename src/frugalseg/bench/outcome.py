"""What a bench found: `results.json`, one contact sheet an arm, and the page."""

from collections.abc import Iterator

import yaml

from frugalseg.bench.bench import S
from frugalseg.bench.run import BenchRun
from frugalseg.errors import DataError
from frugalseg.files import held
from frugalseg.report.page import write_report
from frugalseg.report.pictures import contact_sheet
from frugalseg.report.records import CurvePoint, Panel, Report
from frugalseg.report.results import Measured, Paired, Results, environment, write_results
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
    return tuple(
        CurvePoint(arm, seed, round=0, seconds=0.0, units=0, metrics=found.trials.found(arm, seed)["metrics"])
        for arm, seed in found.trials.finished()
    )


def _results(found: BenchRun[S], points: tuple[CurvePoint, ...], command: str) -> Results:
    return Results(
        bench=found.bench.name,
        preset=found.preset,
        data=found.data.record(),
        seeds=tuple(sorted({point.seed for point in points})),
        arms={row.arm: {k: Measured.of(v.per_seed) for k, v in row.metrics.items()} for row in rows_of(points)},
        paired=tuple(Paired.of(c) for c in comparisons(points, found.bench.compare)),
        command=command,
        environment=environment(found.device),
    )


def _page(found: BenchRun[S], points: tuple[CurvePoint, ...], results: Results) -> Report:
    data = results.data
    return Report(
        title=f"{found.bench.name} on {data.name}",
        subtitle=f"{found.bench.about} {data.cases} cases; seeds {', '.join(map(str, results.seeds))}",
        headline=found.bench.metrics[0],
        curves=points,
        rows=rows_of(points),
        comparisons=comparisons(points, found.bench.compare),
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
