"""The tables of a workspace. Rows describe; labels, models and logs are files beside the database."""

from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_as_dataclass, mapped_column, registry

FORMAT = 1
"""Version of this layout; a workspace of a later one is refused."""

tables = registry(type_annotation_map={dict[str, Any]: JSON, list[Any]: JSON})


@mapped_as_dataclass(tables, kw_only=True)
class MetaRow:
    """What the workspace is about: exactly one row."""

    __tablename__ = "meta"
    __table_args__ = (CheckConstraint("id = 1"),)

    id: Mapped[int] = mapped_column(primary_key=True, default=1)
    version: Mapped[int]
    data: Mapped[str] = mapped_column(Text)
    labels_are: Mapped[str] = mapped_column(String(16))
    classes: Mapped[list[Any]]
    split: Mapped[dict[str, Any]]
    settings: Mapped[dict[str, Any]]
    created: Mapped[str] = mapped_column(String(40))


@mapped_as_dataclass(tables, kw_only=True)
class CaseRow:
    """One image or volume as it was when the workspace was made. `stem` is its name in labels/RATER/."""

    __tablename__ = "cases"

    id: Mapped[str] = mapped_column(String(255), primary_key=True)
    stem: Mapped[str] = mapped_column(String(255), unique=True)
    group: Mapped[str] = mapped_column(String(255))
    shape: Mapped[list[Any]]
    spacing: Mapped[list[Any]]
    affine: Mapped[list[Any] | None] = mapped_column(JSON)
    fingerprint: Mapped[str] = mapped_column(String(64))
    subset: Mapped[str | None] = mapped_column(String(16), index=True)


@mapped_as_dataclass(tables, kw_only=True)
class RaterRow:
    """Who draws. `stem` is the name of the folder below labels/."""

    __tablename__ = "raters"

    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    stem: Mapped[str] = mapped_column(String(255), unique=True)


@mapped_as_dataclass(tables, kw_only=True)
class RoundRow:
    """One turn of the loop: what a strategy chose, until it is closed."""

    __tablename__ = "rounds"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    strategy: Mapped[str] = mapped_column(String(64))
    settings: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(16), default="open")
    closed: Mapped[str | None] = mapped_column(String(40), default=None)


@mapped_as_dataclass(tables, kw_only=True)
class UnitRow:
    """What one act of annotation buys. `round`, `strategy` and `rank` are empty when nobody selected it."""

    __tablename__ = "units"
    __table_args__ = (UniqueConstraint("round", "rank"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    case: Mapped[str] = mapped_column(ForeignKey("cases.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    axis: Mapped[int]
    index: Mapped[list[Any]]
    round: Mapped[int | None] = mapped_column(ForeignKey("rounds.number"), index=True, default=None)
    strategy: Mapped[str | None] = mapped_column(String(64), default=None)
    rank: Mapped[int | None] = mapped_column(default=None)
    state: Mapped[str] = mapped_column(String(16), default="selected")


@mapped_as_dataclass(tables, kw_only=True)
class LabelRow:
    """What a rater has drawn on a case so far: which file, and how many voxels are known in it."""

    __tablename__ = "labels"

    case: Mapped[str] = mapped_column(ForeignKey("cases.id"), primary_key=True)
    rater: Mapped[str] = mapped_column(ForeignKey("raters.name"), primary_key=True)
    file: Mapped[str] = mapped_column(Text)
    fingerprint: Mapped[str] = mapped_column(String(64))
    known: Mapped[int]
    updated: Mapped[str] = mapped_column(String(40))


@mapped_as_dataclass(tables, kw_only=True)
class AnnotationRow:
    """One act of annotation with its cost. Rows are added, never changed. `round` was the latest one at that time."""

    __tablename__ = "annotations"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    unit: Mapped[int] = mapped_column(ForeignKey("units.id"), index=True)
    rater: Mapped[str] = mapped_column(ForeignKey("raters.name"), index=True)
    seconds: Mapped[float]
    when: Mapped[str] = mapped_column(String(40))
    round: Mapped[int | None] = mapped_column(ForeignKey("rounds.number"), index=True, default=None)


@mapped_as_dataclass(tables, kw_only=True)
class RunRow:
    """One training: what it was asked, and what came out."""

    __tablename__ = "runs"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    round: Mapped[int | None] = mapped_column(ForeignKey("rounds.number"), index=True)
    method: Mapped[str] = mapped_column(String(64))
    settings: Mapped[dict[str, Any]]
    seed: Mapped[int]
    started: Mapped[str] = mapped_column(String(40))
    state: Mapped[str] = mapped_column(String(16), default="running")
    model: Mapped[str | None] = mapped_column(Text, default=None)
    fingerprint: Mapped[str | None] = mapped_column(String(64), default=None)
    metrics: Mapped[dict[str, Any]] = mapped_column(default_factory=dict)
    seconds: Mapped[float] = mapped_column(default=0.0)
