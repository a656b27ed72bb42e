"""Rounds, their units and the acts of annotation, within the caller's transaction."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from frugalseg.data.cost import paging_axes
from frugalseg.data.geometry import Geometry
from frugalseg.data.unit import Unit
from frugalseg.errors import DataError
from frugalseg.workspace.database import now
from frugalseg.workspace.labels import geometry_of, known_rater, locked_case
from frugalseg.workspace.records import Drawn, Round
from frugalseg.workspace.tables import AnnotationRow, CaseRow, RoundRow, UnitRow


def open_round(
    session: Session, number: int, units: Sequence[Unit], strategy: str, *, settings: Mapping[str, Any]
) -> None:
    """Adds a round with these units, the most wanted first. Raises `DataError` when it is not the latest."""
    last = latest_round(session)
    if last is not None and number <= last:
        raise DataError(f"round {number} was selected already; the next one is {last + 1}")
    session.add(RoundRow(number=number, strategy=strategy, settings=dict(settings)))
    session.flush()
    for rank, unit in enumerate(units):
        row = _row(session, unit)
        row.round, row.strategy, row.rank = number, strategy, rank
        session.add(row)


def latest_round(session: Session) -> int | None:
    """The number of the latest round, None before the first."""
    return session.scalar(select(func.max(RoundRow.number)))


def all_rounds(session: Session) -> tuple[Round, ...]:
    """The rounds in order."""
    rows = session.scalars(select(RoundRow).order_by(RoundRow.number))
    return tuple(Round(r.number, r.strategy, r.state == "closed", r.settings) for r in rows)


def close(session: Session, number: int) -> None:
    """Notes that nothing more will be drawn or trained in this round; raises `DataError` when there is none."""
    row = session.get(RoundRow, number)
    if row is None:
        raise DataError(f"there is no round {number} to close")
    row.state, row.closed = "closed", row.closed or now()


def units_of(session: Session, number: int) -> list[Unit]:
    """The round's units, the most wanted first."""
    return [to_unit(row) for row in session.scalars(_of_round(number))]


def pending_of(session: Session, number: int, rater: str | None) -> list[Unit]:
    """The round's units that nobody, or not this rater, has drawn, the most wanted first."""
    if rater is None:
        query = _of_round(number).where(UnitRow.state == "selected")
    else:
        query = _of_round(number).where(
            UnitRow.id.not_in(select(AnnotationRow.unit).where(AnnotationRow.rater == rater))
        )
    return [to_unit(row) for row in session.scalars(query)]


def _of_round(number: int) -> Select[UnitRow]:
    return select(UnitRow).where(UnitRow.round == number).order_by(UnitRow.rank)


def add_annotation(session: Session, unit: Unit, rater: str, seconds: float) -> None:
    """Notes one act of annotation: its cost, and that the unit is done."""
    if not (math.isfinite(seconds) and seconds >= 0):
        raise DataError(f"{unit}: an annotation cannot cost {seconds} seconds; give a number of seconds, 0 or more")
    row = _find(session, unit) or _row(session, unit)
    row.index, row.state = list(unit.index), "done"
    session.add(row)
    session.flush()
    name = known_rater(session, rater).name
    session.add(AnnotationRow(unit=row.id, rater=name, seconds=seconds, when=now(), round=latest_round(session)))


def all_drawn(session: Session, rater: str | None, up_to_round: int | None) -> tuple[Drawn, ...]:
    """The acts of annotation in the order in which they happened."""
    query = (
        select(AnnotationRow, UnitRow, CaseRow)
        .join(UnitRow, AnnotationRow.unit == UnitRow.id)
        .join(CaseRow, UnitRow.case == CaseRow.id)
        .order_by(AnnotationRow.id)
    )
    if rater is not None:
        query = query.where(AnnotationRow.rater == rater)
    if up_to_round is not None:
        query = query.where(or_(AnnotationRow.round.is_(None), AnnotationRow.round <= up_to_round))
    return tuple(_drawn(act, to_unit(unit), geometry_of(case)) for act, unit, case in session.execute(query))


def _drawn(act: AnnotationRow, unit: Unit, geometry: Geometry) -> Drawn:
    regions = zip(unit.regions(geometry.shape), paging_axes(unit, geometry), strict=True)
    slices = 1 if geometry.ndim == 2 else sum(region[axis].stop - region[axis].start for region, axis in regions)
    return Drawn(unit, act.rater, slices=slices, seconds=act.seconds, when=act.when, round=act.round)


def to_unit(row: UnitRow) -> Unit:
    """The unit that a row describes."""
    return Unit(row.case, row.kind, row.axis, tuple(row.index))  # type: ignore[arg-type]


def _row(session: Session, unit: Unit) -> UnitRow:
    case = locked_case(session, unit.case)
    if unit.is_placed:
        unit.regions(tuple(case.shape))
    return UnitRow(case=case.id, kind=unit.kind, axis=unit.axis, index=list(unit.index))


def _find(session: Session, unit: Unit) -> UnitRow | None:
    """The row that asked for this unit, perhaps before its planes were placed; one still to be drawn comes first."""
    query = (
        select(UnitRow)
        .where(UnitRow.case == unit.case, UnitRow.kind == unit.kind, UnitRow.axis == unit.axis)
        .order_by(UnitRow.state.desc(), UnitRow.id.desc())
    )
    rows = list(session.scalars(query))
    exact = [row for row in rows if tuple(row.index) == unit.index]
    open_planes = [row for row in rows if not to_unit(row).is_placed]
    return next(iter(exact + open_planes), None)
