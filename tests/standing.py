"""Databases that stand for a whole run of tests, each of which finds them as they were made.

What SQLAlchemy has compiled for one of them once is compiled for all tests, and the schema is made once.
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from cloud.db.engine import Database, DatabaseLimits, open_database
from cloud.db.schema import sync

_MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of our own is made there


def nothing(_: Database) -> None:
    """No rows but those of the schema itself."""


class Standing(Protocol):
    """One of them, which is closed at the end of the run."""

    @property
    def url(self) -> str: ...

    def restored(self) -> Database:
        """As it was made, whatever the last test has left. No other test may use it any more."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None
    ) -> None: ...


class StandingSqlite:
    """A file that is copied over; where this machine has such a place it is in memory, for no test outlives a crash."""

    def __init__(self, limits: DatabaseLimits, fill: Callable[[Database], None] = nothing) -> None:
        """`fill` enters what every test is to find."""
        place = _MEMORY if _MEMORY.is_dir() else None
        self._directory = tempfile.TemporaryDirectory(prefix="t-", dir=place)
        self.path = Path(self._directory.name) / "nova.db"
        self._made = self.path.with_suffix(".made")
        self._database = open_database(self.url, limits)
        sync(self._database)
        fill(self._database)
        self._database.close()  # and what is in its log is in the file
        self.path.rename(self._made)

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    def restored(self) -> Database:
        self._database.close()
        for left in self.path.parent.glob(f"{self.path.name}*"):
            left.unlink()  # not written over: whoever still has it open keeps what is nobody else's
        shutil.copyfile(self._made, self.path)
        self.path.chmod(0o600)
        return self._database

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self._database.close()
        self._directory.cleanup()


class StandingPostgreSql:
    """A database on a server whose tables are emptied."""

    def __init__(self, url: str, limits: DatabaseLimits) -> None:
        """`url` is that of an empty one."""
        self.url = url
        self._database = open_database(url, limits)
        sync(self._database)
        with self._database.schema_change() as connection:
            found = connection.exec_driver_sql(
                "SELECT quote_ident(tablename) FROM pg_tables"
                " WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
            )
            tables = [row[0] for row in found]
            for table in tables:
                if connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar():  # noqa: S608 - its own name
                    raise ValueError(f"cannot empty table {table}: the schema itself has rows in it")
        self._empty = f"TRUNCATE {', '.join(tables)} RESTART IDENTITY"

    def restored(self) -> Database:
        with self._database.schema_change() as connection:
            connection.exec_driver_sql(self._empty)
        return self._database

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self._database.close()
