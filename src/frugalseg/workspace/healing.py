"""What is done at opening: labels whose file and row disagree. The files are the labels; rows describe them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from frugalseg.files import fingerprint_file
from frugalseg.workspace.database import Database
from frugalseg.workspace.labels import WorkspaceLabels, file_name, known_rater
from frugalseg.workspace.names import from_stem
from frugalseg.workspace.tables import CaseRow, LabelRow


@dataclass(frozen=True)
class _Misfit:
    """A label file without a row that describes it, or a row without its file."""

    file: str
    rater: str
    case: CaseRow | None
    row: LabelRow | None


def heal(labels: WorkspaceLabels, database: Database) -> tuple[str, ...]:
    """Makes rows agree with files; returns one sentence for each thing that was found.

    A process that died between file and row leaves a label without its description: it is taken over, as is one that
    the user saved from a viewer. A label whose file is gone is forgotten. Half-written files are removed. Raises
    `DataError` for a file that is no label of its case.
    """
    with database.reading() as session:
        if not any(_misfits(labels.folder, session)):
            return ()
    with database.writing() as session:
        return tuple(_mend(misfit, labels, session) for misfit in list(_misfits(labels.folder, session)))


def _misfits(folder: Path, session: Session) -> Iterator[_Misfit]:
    rows = {row.file: row for row in session.scalars(select(LabelRow).order_by(LabelRow.file))}
    cases = {file_name(case): case for case in session.scalars(select(CaseRow))}
    for path in sorted((folder / "labels").glob("*/*")):
        if path.is_dir() or (path.name.startswith(".") and not path.name.startswith(".part-")):
            continue
        file = path.relative_to(folder).as_posix()
        row = rows.pop(file, None)
        if row is None or row.fingerprint != fingerprint_file(path):
            yield _Misfit(file, from_stem(path.parent.name), cases.get(path.name), row)
    for file, row in rows.items():
        yield _Misfit(file, row.rater, None, row)


def _mend(misfit: _Misfit, labels: WorkspaceLabels, session: Session) -> str:
    path = labels.folder / misfit.file
    if misfit.case is not None:
        label = labels.read(path, misfit.case)
        known_rater(session, misfit.rater)
        labels.describe(session, misfit.case, misfit.rater, file=misfit.file, label=label)
        return f"{path}: the label was not as it had been noted, and is used as it is"
    if misfit.row is not None:
        session.delete(misfit.row)
        return f"{path}: the label is gone, and was forgotten"
    if path.name.startswith(".part-"):
        path.unlink()
        return f"{path}: was not written to its end, and was removed"
    return f"{path}: belongs to no case of the workspace, and is ignored"
