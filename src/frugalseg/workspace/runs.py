"""Trainings and what came of them, within the caller's transaction."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from frugalseg.errors import DataError
from frugalseg.files import fingerprint_file
from frugalseg.workspace.database import now
from frugalseg.workspace.records import Run
from frugalseg.workspace.tables import RunRow


def start(session: Session, number: int | None, method: str, *, settings: Mapping[str, Any], seed: int) -> Run:
    """The run that was asked for in these very words, done or not; a new one when there is none."""
    kept = json.loads(json.dumps(dict(settings)))
    query = select(RunRow).where(RunRow.round == number, RunRow.method == method, RunRow.seed == seed)
    same = [row for row in session.scalars(query.order_by(RunRow.id)) if row.settings == kept]
    if same:
        return _record(same[0])
    row = RunRow(round=number, method=method, settings=kept, seed=seed, started=now())
    session.add(row)
    session.flush()
    return _record(row)


def finish(session: Session, run: Run, *, folder: Path, model: Path | None) -> Run:
    """Notes what came of the run; the model is noted relative to the workspace `folder` when it lies in there."""
    row = session.get(RunRow, run.id)
    if row is None:
        raise DataError(f"{folder}: there is no run {run.id}")
    if wrong := sorted(name for name, value in run.metrics.items() if not math.isfinite(value)):
        raise DataError(f"{folder}: run {run.id} has no finite number for {', '.join(wrong)}; leave such metrics out")
    if model is not None:
        row.model = _inside(folder, model)
        row.fingerprint = fingerprint_file(model)
    row.metrics, row.seconds, row.state = dict(run.metrics), run.seconds, "done"
    return _record(row)


def _inside(folder: Path, file: Path) -> str:
    root, path = folder.absolute(), file.absolute()
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()


def all_runs(session: Session, number: int | None) -> tuple[Run, ...]:
    """The runs in the order in which they were started: of one round, or all."""
    query = select(RunRow).order_by(RunRow.id)
    return tuple(
        _record(row) for row in session.scalars(query if number is None else query.where(RunRow.round == number))
    )


def _record(row: RunRow) -> Run:
    return Run(
        id=row.id,
        round=row.round,
        method=row.method,
        settings=row.settings,
        seed=row.seed,
        is_done=row.state == "done",
        model=row.model,
        fingerprint=row.fingerprint,
        metrics=row.metrics,
        seconds=row.seconds,
    )
