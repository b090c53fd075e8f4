"""The store on native DuckDB: one file a day of arrival in the data directory, committed by DuckDB's transaction."""

import fcntl
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import duckdb
import pyarrow as pa

from cloud.logs.collector.row import COLUMNS, RECEIVED
from cloud.logs.collector.store import DayTable, StoreBrokenError, StoreError

_FILE = re.compile(r"logs-(\d{4}-\d\d-\d\d)\.duckdb\Z")
_COLUMN_LIST = ", ".join(f"{column.name} {column.sql}" for column in COLUMNS)
_RECEIVED_LIST = ", ".join(column.name for column in RECEIVED)
_SETTINGS: Mapping[str, object] = {
    "threads": 1,  # one writer with one thread is the fastest; each reader runs on a thread of its own anyway
    "timezone": "UTC",
    "memory_limit": "2GB",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
}


class DuckDbStore:
    """Implements `Store`. A data directory has one writer: a second one is refused by a lock file."""

    def __init__(self, directory: Path) -> None:
        """Open `directory`, making it (mode 0700) where it is missing; `StoreError` names what is in the way."""
        self._directory = directory
        self._lock_file = _locked(directory)
        self._tellers: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._days: dict[str, DayTable] = {}
        self._invalid: set[str] = set()
        self._batch = 0
        self._connection = duckdb.connect()
        try:
            for name, value in _SETTINGS.items():
                self._connection.execute(f"SET GLOBAL {name} = ?", [value])
            for path in sorted(directory.glob("logs-*.duckdb")):
                if match := _FILE.match(path.name):
                    self._open_day(match[1])
        except duckdb.Error as exc:
            self.close()
            raise StoreError(f"cannot open store {directory}: {exc}", is_lasting=True) from exc
        self._row_id = max((table.last_row_id for table in self._days.values()), default=0)

    @property
    def committed_row_id(self) -> int:
        return self._row_id

    def append(self, rows: pa.Table) -> int:
        if not rows.num_rows:
            return 0
        first = rows.column("observed_timestamp")[0].value
        day = datetime.fromtimestamp(first // 1_000_000, UTC).strftime("%Y-%m-%d")
        try:
            table = self._days.get(day)
            if table is None or day in self._invalid:
                table = self._open_day(day)
            if table.last_row_id <= self._row_id:  # else these rows are there: a commit was said to fail and did not
                self._insert(rows, table)
        except (duckdb.Error, OSError) as exc:
            if "invalidated" in str(exc):  # a checkpoint met a full disk; opened anew, the file is whole
                self._invalid.add(day)
            raise _store_error(f"cannot append to the store of {day}", exc) from exc
        self._batch += 1
        with self._lock:
            self._days[day] = replace(table, last_row_id=self._row_id + rows.num_rows)
        self._row_id += rows.num_rows  # last: who sees this number must find the rows
        for tell in tuple(self._tellers):
            tell()
        return int(rows.num_rows)

    def days(self) -> Sequence[DayTable]:
        with self._lock:
            return sorted(self._days.values(), key=lambda table: table.day, reverse=True)

    def query(self, sql: str, parameters: Mapping[str, object]) -> pa.Table:
        try:
            with self._connection.cursor() as cursor:
                return cursor.execute(sql, dict(parameters)).to_arrow_table()
        except duckdb.Error as exc:
            raise _store_error("cannot query the store", exc) from exc

    def on_commit(self, tell: Callable[[], None]) -> Callable[[], None]:
        self._tellers.append(tell)
        return lambda: self._tellers.remove(tell)

    def close(self) -> None:
        """Let go of the directory; DuckDB writes its log into the files as the last connection closes."""
        self._connection.close()
        self._lock_file.close()

    def _insert(self, rows: pa.Table, table: DayTable) -> None:
        with self._transaction():
            self._connection.register("incoming", rows)
            self._connection.execute(
                f"INSERT INTO {table.sql_name} (row_id, batch, {_RECEIVED_LIST})"  # noqa: S608 - our own names
                f" SELECT {self._row_id} + row_number() OVER (), {self._batch + 1}, {_RECEIVED_LIST} FROM incoming"
            )

    def _open_day(self, day: str) -> DayTable:
        name = f"day_{day.replace('-', '_')}"
        if day in self._invalid:
            self._connection.execute(f"DETACH DATABASE IF EXISTS {name}")
        path = self._directory / f"logs-{day}.duckdb"
        if not path.exists():
            self._make_file(path)
        self._connection.execute(f"ATTACH IF NOT EXISTS {_quoted(path)} AS {name} (STORAGE_VERSION 'latest')")
        self._connection.execute(f"CREATE TABLE IF NOT EXISTS {name}.logs ({_COLUMN_LIST})")
        row_id, batch = self._connection.execute(
            f"SELECT coalesce(max(row_id), 0), coalesce(max(batch), 0) FROM {name}.logs"  # noqa: S608 - our own name
        ).fetchall()[0]
        self._batch = max(self._batch, batch)
        self._invalid.discard(day)
        table = DayTable(day, f"{name}.logs", row_id)
        with self._lock:
            self._days[day] = table
        return table

    def _make_file(self, path: Path) -> None:
        """A database at `path`, which has this name only when it is whole: a full disk leaves the beginning of one."""
        unfinished = path.with_name("unfinished.duckdb")
        self._connection.execute("DETACH DATABASE IF EXISTS unfinished")
        unfinished.unlink(missing_ok=True)
        self._connection.execute(f"ATTACH {_quoted(unfinished)} AS unfinished (STORAGE_VERSION 'latest')")
        self._connection.execute("DETACH unfinished")
        unfinished.rename(path)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN")
        try:
            yield
            self._connection.execute("COMMIT")
        except duckdb.Error:
            with suppress(duckdb.Error):  # a commit that failed has ended the transaction already
                self._connection.execute("ROLLBACK")
            raise


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _store_error(what: str, exc: duckdb.Error | OSError) -> StoreError:
    if isinstance(exc, duckdb.FatalException | duckdb.InternalException):
        return StoreBrokenError(f"{what}: {exc}")
    is_for_a_value = isinstance(exc, duckdb.DataError | duckdb.IntegrityError | duckdb.InvalidInputException)
    return StoreError(f"{what}: {exc}", is_lasting=is_for_a_value)


def _locked(directory: Path) -> IO[bytes]:
    """The lock file of `directory`, held until it is closed or the process ends, however it ends."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock_file = (directory / "lock").open("ab")
    except OSError as exc:
        raise StoreError(f"cannot use data directory {directory}: {exc}", is_lasting=True) from exc
    try:
        fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        lock_file.close()
        raise StoreError(f"cannot use data directory {directory}: another collector has it", is_lasting=True) from exc
    return lock_file
