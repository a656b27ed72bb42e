"""Making and finding a workspace: whole or absent, never half-written."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, inspect, make_url
from sqlalchemy.orm import Session

from frugalseg.data.pool import Pool
from frugalseg.data.splits import Split, check_split
from frugalseg.errors import DataError
from frugalseg.files import write_bytes
from frugalseg.workspace.database import Database, now
from frugalseg.workspace.names import to_stems
from frugalseg.workspace.tables import FORMAT, CaseRow, MetaRow, tables

DATABASE = "frugalseg.db"
ELSEWHERE = "database.url"
"""File that names another database than the folder's own."""


def is_workspace(folder: Path) -> bool:
    """True when the folder holds a workspace."""
    return (folder / DATABASE).is_file() or (folder / ELSEWHERE).is_file()


def find_database(folder: Path) -> Database:
    """The database of the workspace in that folder; raises `DataError` when there is none."""
    if not is_workspace(folder):
        what = "is no workspace" if folder.is_dir() else "does not exist"
        raise DataError(f"{folder}: this folder {what}; make one with `frugalseg init {folder} --images ...`")
    if (folder / ELSEWHERE).is_file():
        return Database(make_url((folder / ELSEWHERE).read_text(encoding="utf-8").strip()))
    return Database(_own(folder))


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder` that becomes it when the block ends without an error.

    Raises `DataError` when `folder` is a workspace already or holds anything.
    """
    if is_workspace(folder):
        raise DataError(f"{folder}: there is a workspace here already; open it, or choose another folder")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder}: a workspace needs a folder of its own, but this one is not empty; name a new one")
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".part-{folder.name}-", dir=folder.parent))
    try:
        yield part
        part.chmod(0o755)
        part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def new_database(folder: Path, url: str | None) -> Database:
    """An empty database: in the folder, or at the URL, which the folder then names."""
    if url is None:
        return Database(_own(folder))
    place = make_url(url)
    if place.password is not None:
        raise DataError(
            f"{place}: the folder keeps this URL, so give the password by the driver's own means (~/.pgpass)"
        )
    database = Database(place)
    if inspect(database.engine).has_table(MetaRow.__tablename__):
        raise DataError(f"{place}: this database holds a workspace already; give each one a database of its own")
    write_bytes(folder / ELSEWHERE, f"{place.render_as_string()}\n".encode())
    return database


def fill(
    session: Session, pool: Pool, *, data: str, labels_are: str, split: Split, settings: Mapping[str, Any]
) -> None:
    """Makes the tables and notes what the workspace is about, within the caller's transaction.

    Raises `DataError` for a split that names unknown cases or cuts a group.
    """
    check_split(split, pool.cases)
    subsets = {case: name for name, ids in split.parts.items() for case in ids}
    stems = to_stems(case.id for case in pool.cases)
    tables.metadata.create_all(session.connection())
    session.add(
        MetaRow(
            version=FORMAT,
            data=data,
            labels_are=labels_are,
            classes=list(pool.classes),
            split={name: list(ids) for name, ids in split.parts.items()},
            settings=dict(settings),
            created=now(),
        )
    )
    for case in pool.cases:
        place = case.geometry
        row = CaseRow(
            id=case.id,
            stem=stems[case.id],
            group=case.group,
            shape=list(place.shape),
            spacing=list(place.spacing),
            affine=None if place.affine is None else [list(line) for line in place.affine],
            fingerprint=case.source.fingerprint(),
            subset=subsets.get(case.id),
        )
        session.add(row)


def _own(folder: Path) -> URL:
    return URL.create("sqlite", database=str(folder.absolute() / DATABASE))
