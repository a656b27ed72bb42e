"""The labels of a workspace: files that any viewer opens, described by rows."""

import os
from functools import cached_property
from pathlib import Path

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from frugalseg.data.formats import read_values
from frugalseg.data.geometry import Geometry
from frugalseg.data.label import SemanticLabel
from frugalseg.data.write import write_label
from frugalseg.errors import DataError, GeometryMismatch, LabelValueError, nearest
from frugalseg.files import fingerprint_file
from frugalseg.workspace.database import Database, now
from frugalseg.workspace.names import from_stem, to_stem
from frugalseg.workspace.tables import CaseRow, LabelRow, RaterRow


class WorkspaceLabels:
    """What raters have drawn, as ``labels/RATER/CASE.nii.gz`` (volumes) or ``.png`` (2D), read when asked for.

    The files are the labels: what lies there counts, and reading asks no database. Rows describe them. A file is
    written before its row, both while no other process writes; `frugalseg.workspace.healing` mends what a crash left.
    """

    def __init__(self, folder: Path, database: Database, classes: tuple[str, ...]) -> None:
        self.folder = folder
        self.classes = classes
        self._database = database

    def get(self, case: str, rater: str) -> SemanticLabel | None:
        """What this rater has drawn on this case, or None. Raises `DataError` for a damaged file."""
        return self._read_if_there(self._case(case), rater)

    def put(self, case: str, rater: str, label: SemanticLabel) -> None:
        """Replaces what this rater has drawn on this case; the file is whole or absent, whatever happens."""
        with self._database.writing() as session:
            self.write(session, locked_case(session, case), rater, label)

    def raters(self, case: str) -> tuple[str, ...]:
        """Who has drawn on this case, in alphabetical order."""
        name = file_name(self._case(case))
        folders = (f.name for f in os.scandir(self.folder / "labels") if os.path.isfile(os.path.join(f.path, name)))
        return tuple(sorted(from_stem(folder) for folder in folders))

    def add(self, session: Session, case: CaseRow, rater: str, label: SemanticLabel) -> None:
        """Writes what is known in `label` over what the rater had drawn, within the caller's transaction."""
        before = self._read_if_there(case, rater)
        self.write(session, case, rater, label if before is None else before.updated(label))

    def write(self, session: Session, case: CaseRow, rater: str, label: SemanticLabel) -> None:
        """Replaces file and row within the caller's transaction. Raises `DataError` when the label does not fit."""
        self.check(case, label)
        file = f"labels/{known_rater(session, rater).stem}/{file_name(case)}"
        write_label(self.folder / file, label, geometry_of(case))
        self.describe(session, case, rater, file=file, label=label)

    def check(self, case: CaseRow, label: SemanticLabel) -> None:
        """Raises `DataError` when the label does not fit the case or the workspace's classes."""
        if label.array.shape != tuple(case.shape) or label.classes != self.classes:
            raise DataError(
                f"{case.id}: a label of shape {label.array.shape} with the classes {label.classes} does not fit a case "
                f"of shape {tuple(case.shape)} in a workspace with the classes {self.classes}"
            )

    def describe(self, session: Session, case: CaseRow, rater: str, *, file: str, label: SemanticLabel) -> None:
        """Sets the row of a file that lies there already."""
        row = LabelRow(
            case=case.id,
            rater=rater,
            file=file,
            fingerprint=fingerprint_file(self.folder / file),
            known=int(np.count_nonzero(label.known)),
            updated=now(),
        )
        session.merge(row)
        session.flush()

    def read(self, path: Path, case: CaseRow) -> SemanticLabel:
        """The label in a file of this case; another program may have saved it with another dtype."""
        values, geometry = read_values(path)
        expected = geometry_of(case)
        difference = geometry.differs(expected) or ("" if values.shape == expected.shape else f"shape {values.shape}")
        if difference:
            raise GeometryMismatch(f"{path}: the label does not lie on case '{case.id}': {difference}; save it again")
        if not np.isin(values, np.arange(256)).all():
            raise LabelValueError(
                f"{path}: label values must be whole numbers from 0 to 255; save it as 8-bit integers"
            )
        try:
            return SemanticLabel(values.astype(np.uint8), self.classes)
        except LabelValueError as error:
            raise LabelValueError(f"{path}: {error}; correct the file, or move it away") from None

    def _read_if_there(self, case: CaseRow, rater: str) -> SemanticLabel | None:
        path = self.folder / "labels" / to_stem(rater) / file_name(case)
        return self.read(path, case) if path.is_file() else None

    @cached_property
    def _cases(self) -> dict[str, CaseRow]:
        """The rows of all cases; they never change once the workspace is made."""
        with self._database.reading() as session:
            return {row.id: row for row in session.scalars(select(CaseRow))}

    def _case(self, case: str) -> CaseRow:
        if case not in self._cases:
            raise DataError(f"there is no case '{case}' in the workspace{nearest(case, self._cases)}")
        return self._cases[case]


def locked_case(session: Session, case: str) -> CaseRow:
    """The case's row; other writers of the case wait until the transaction ends. Raises `DataError` for none."""
    row = session.get(CaseRow, case, with_for_update=True)
    if row is None:
        hint = nearest(case, session.scalars(select(CaseRow.id)))
        raise DataError(f"there is no case '{case}' in the workspace{hint}")
    return row


def known_rater(session: Session, rater: str) -> RaterRow:
    """The rater's row, made when new. Raises `DataError` for a name that differs in capitals only from a known one."""
    row = session.get(RaterRow, rater)
    if row is None:
        twin = session.scalar(select(RaterRow.name).where(func.lower(RaterRow.name) == rater.lower()))
        if twin is not None:
            raise DataError(f"there is a rater '{twin}' already: '{rater}' differs in capitals only; use one of them")
        row = RaterRow(name=rater, stem=to_stem(rater))
        session.add(row)
        session.flush()
    return row


def file_name(case: CaseRow) -> str:
    """The name of the case's label files: NIfTI for volumes, PNG for images."""
    return case.stem + (".nii.gz" if len(case.shape) == 3 else ".png")


def geometry_of(case: CaseRow) -> Geometry:
    """The case's geometry as it was when the workspace was made."""
    affine = None if case.affine is None else tuple(tuple(row) for row in case.affine)
    return Geometry(tuple(case.shape), tuple(case.spacing), affine)
