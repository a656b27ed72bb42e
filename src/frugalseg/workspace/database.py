"""The database of a workspace: SQLite by default, whatever SQLAlchemy speaks by URL."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from frugalseg.errors import DataError

PATIENCE_S = 60
"""How long a process waits for another one that is writing."""


class Database:
    """Short transactions. Processes may share it: writers wait for each other, readers never wait.

    Connections are opened when needed and not kept, so a process may fork at any time.
    """

    def __init__(self, url: URL) -> None:
        self.engine = create_engine(url, poolclass=NullPool)
        self._writer = self.engine.execution_options(begin="BEGIN IMMEDIATE")
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that sees one state of the database."""
        with self._complaining(), Session(self.engine) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session alone with the database (SQLite); it is committed when the block ends without an error."""
        with self._complaining(), Session(self._writer) as session, session.begin():
            yield session

    @contextmanager
    def _complaining(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            place = self.engine.url.render_as_string(hide_password=True)
            raise DataError(
                f"{place}: the workspace's database says '{error.orig}'; check that the file is whole and writable, "
                f"and that no other program has held it for more than {PATIENCE_S} s"
            ) from error


def _prepare_sqlite(connection: Any, _: Any) -> None:
    # The driver must not begin transactions on its own: `_begin_sqlite` does, and takes the lock at once for writers.
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout = {PATIENCE_S * 1000}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))


def now() -> str:
    """The time in UTC as ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
