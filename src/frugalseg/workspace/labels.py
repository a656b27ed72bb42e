"""The labels of a workspace: files that any viewer opens, described by rows."""

from pathlib import Path

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from frugalseg.data.formats import read_values
from frugalseg.data.geometry import Geometry
from frugalseg.data.label import SemanticLabel
from frugalseg.data.write import write_label
from frugalseg.errors import DataError, GeometryMismatch, nearest
from frugalseg.files import fingerprint_file
from frugalseg.workspace.database import Database, now
from frugalseg.workspace.names import to_stem
from frugalseg.workspace.tables import CaseRow, LabelRow, RaterRow


class WorkspaceLabels:
    """What raters have drawn, as ``labels/RATER/CASE.nii.gz`` (volumes) or ``.png`` (2D), read when asked for.

    Files are written before their rows, both while no other process writes; the file decides after a crash.
    """

    def __init__(self, folder: Path, database: Database, classes: tuple[str, ...]) -> None:
        self.folder = folder
        self.classes = classes
        self._database = database

    def get(self, case: str, rater: str) -> SemanticLabel | None:
        """What this rater has drawn on this case, or None. Raises `DataError` for a file that is gone or damaged."""
        with self._database.reading() as session:
            row = session.get(LabelRow, (case, rater))
            return None if row is None else self.read(self.folder / row.file, session.get_one(CaseRow, case))

    def put(self, case: str, rater: str, label: SemanticLabel) -> None:
        """Replaces what this rater has drawn on this case; the file is whole or absent, whatever happens."""
        with self._database.writing() as session:
            self.write(session, locked_case(session, case), rater, label)

    def raters(self, case: str) -> tuple[str, ...]:
        """Who has drawn on this case, in alphabetical order."""
        with self._database.reading() as session:
            return tuple(sorted(session.scalars(select(LabelRow.rater).where(LabelRow.case == case))))

    def add(self, session: Session, case: CaseRow, rater: str, label: SemanticLabel) -> None:
        """Writes what is known in `label` over what the rater had drawn, within the caller's transaction."""
        row = session.get(LabelRow, (case.id, rater))
        before = None if row is None else self.read(self.folder / row.file, case)
        self.write(session, case, rater, label if before is None else before.updated(label))

    def write(self, session: Session, case: CaseRow, rater: str, label: SemanticLabel) -> None:
        """Replaces file and row within the caller's transaction. Raises `DataError` when the label does not fit."""
        self.check(case, label)
        file = f"labels/{known_rater(session, rater).stem}/{case.stem}{suffix(case)}"
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
        if not path.is_file():
            raise DataError(f"{path}: the label was moved or deleted; put it back, or open the workspace again without")
        values, geometry = read_values(path)
        expected = geometry_of(case)
        if difference := geometry.differs(expected):
            raise GeometryMismatch(f"{path}: the label does not lie on case '{case.id}': {difference}; save it again")
        whole = values.astype(np.uint8)
        if not np.array_equal(whole, values):
            raise DataError(f"{path}: label values must be whole numbers from 0 to 255; save it as 8-bit integers")
        return SemanticLabel(whole, self.classes)


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


def suffix(case: CaseRow) -> str:
    """The suffix of the case's label files: NIfTI for volumes, PNG for images."""
    return ".nii.gz" if len(case.shape) == 3 else ".png"


def geometry_of(case: CaseRow) -> Geometry:
    """The case's geometry as it was when the workspace was made."""
    affine = None if case.affine is None else tuple(tuple(row) for row in case.affine)
    return Geometry(tuple(case.shape), tuple(case.spacing), affine)
