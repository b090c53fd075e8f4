"""The store on native DuckDB: files by day of arrival in the data directory, committed by DuckDB's transaction.

One file of a day is live and takes what is appended; the others are sealed, and attached for reading only.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from cloud.logs.collector.lines import Mark
from cloud.logs.collector.row import FOLDED, HEADER, RECEIVED, header_of_columns
from cloud.logs.collector.storage import directory
from cloud.logs.collector.storage.datafile import SCHEMA_VERSION, DataFile
from cloud.logs.collector.storage.engine import insert_from, is_damage, is_invalidated, store_error, transaction
from cloud.logs.collector.storage.files import Files
from cloud.logs.collector.storage.marks import hand_on_marks, insert_marks, read_marks
from cloud.logs.collector.storage.removals import Removals
from cloud.logs.collector.storage.settings import DEFAULTS, StoreSettings
from cloud.logs.collector.store import Guard, Keep, QueryInterruptedError, StoreError, Table, TableDamagedError

_KEPT_LIST = ", ".join(column.name for column in RECEIVED if column.name not in FOLDED)


class DuckDbStore:
    """Implements `Store`. A data directory has one writer: a second one is refused by a lock file.

    `Upkeep` seals, merges and expires; without it the live files grow and are as they are.
    """

    def __init__(self, path: Path, settings: StoreSettings = DEFAULTS, now_s: Callable[[], float] = time.time) -> None:
        """Open `path`, making it (mode 0700) where it is missing; `StoreError` names what is in the way.

        Damaged files are set aside, and files of a newer version left alone: `files.refused` names these.
        """
        self.settings = settings
        self.now_s = now_s
        self._tellers: list[Callable[[], None]] = []
        self._damage_tellers: list[Callable[[], None]] = []
        self._append_lock = threading.RLock()
        self._live: dict[str, DataFile] = {}
        self._doubtful: set[str] = set()  # days whose last commit failed: the rows may be there all the same
        self._invalid: set[str] = set()
        self._suspects: frozenset[str] = frozenset()
        try:
            self.files = Files(path, settings)
        except (duckdb.Error, OSError) as exc:
            raise StoreError(f"cannot open store {path}: {exc}", is_lasting=True) from exc
        files = self.files.shelf.files()
        self._batch = max((file.last_batch for file in files), default=0)
        self._row_id = self.files.known_row_id
        for file in {file.name.day: file for file in files}.values():  # of each day the newest
            self._resume(file)

    @property
    def committed_row_id(self) -> int:
        return self._row_id

    @property
    def removals(self) -> Removals:
        return self.files.removals

    def append(self, rows: pa.Table, marks: Sequence[Mark] = (), keep: Keep | None = None) -> int:
        if not rows.num_rows and not marks:
            return 0
        count = int(rows.num_rows if keep is None else np.count_nonzero(keep))
        with self._append_lock:
            day = self._day_of(rows)
            try:
                file = self._live_file(day)
                # Otherwise the rows are there: a commit was said to fail and did not.
                is_new = file.last_row_id <= self._row_id
                if is_new:
                    self._insert(rows if count else None, marks, keep, file)
            except (duckdb.Error, OSError) as exc:
                self._doubt(day, exc)
                raise store_error(f"cannot append to the store of {day}", exc) from exc
            if count:
                self._batch += 1
                last = self._row_id + count
                rows_now = file.rows + count if is_new else file.rows
                file = replace(file, rows=rows_now, last_row_id=max(last, file.last_row_id), last_batch=self._batch)
                self.files.shelf.put(file)
                self._live[day] = file
                self._row_id = last  # last: who sees this number must find the rows
        if count:
            for tell in tuple(self._tellers):
                tell()
        return count

    def record(self, marks: Sequence[Mark]) -> None:
        """Commit `marks` without rows, from any thread."""
        self.append(pa.table({}), marks)

    def marks(self) -> Sequence[Mark]:
        with self.files.shelf.reading() as files:
            try:
                with self.files.connection.cursor() as cursor:
                    return read_marks(cursor, [file.database for file in files if file.schema_version])
            except duckdb.Error as exc:
                if not (is_damage(exc) and self.set_aside_damaged(files)):
                    raise store_error("cannot read which lines are stored", exc) from exc
        return self.marks()  # there is a file less

    @contextmanager
    def tables(self) -> Iterator[Sequence[Table]]:
        with self.files.shelf.reading() as files:
            yield [replace(file.table, index=self.files.indexes.of(file)) for file in files if file.rows]

    def query(self, sql: str, parameters: Mapping[str, object], guard: Guard | None = None) -> pa.Table:
        try:
            with self.files.connection.cursor() as cursor, nullcontext() if guard is None else guard(cursor.interrupt):
                return cursor.execute(sql, dict(parameters)).to_arrow_table()
        except duckdb.InterruptException as exc:
            raise QueryInterruptedError(f"cannot query the store: {exc}") from exc
        except duckdb.Error as exc:
            if is_damage(exc) and self._has_lost_damaged(sql, guard):
                raise TableDamagedError(f"cannot query the store: {exc}") from exc
            raise store_error("cannot query the store", exc) from exc

    def _has_lost_damaged(self, sql: str, guard: Guard | None) -> bool:
        """Whether a file that a query reads is set aside now, be it by another one; `QueryInterruptedError`.

        What is too large for the question's time is examined by the next upkeep.
        """
        files, have_left = self.files.named_in(sql)
        try:
            return self.set_aside_damaged(files, guard) or have_left
        except duckdb.InterruptException as exc:
            self._suspects |= {file.database for file in files}
            raise QueryInterruptedError(f"cannot query the store: {exc}") from exc

    def on_commit(self, tell: Callable[[], None]) -> Callable[[], None]:
        self._tellers.append(tell)
        return lambda: self._tellers.remove(tell)

    def on_set_aside(self, tell: Callable[[], None]) -> Callable[[], None]:
        """Call `tell` after a file was set aside, whose marks are gone with it, until the returned function is called.

        From any thread; who keeps account of lines reads `marks()` again then.
        """
        self._damage_tellers.append(tell)
        return lambda: self._damage_tellers.remove(tell)

    def close(self) -> None:
        """Let go of the directory; what is in the write-ahead logs is written into the files."""
        self.files.close()

    def live(self) -> list[DataFile]:
        """The files that are appended to."""
        with self._append_lock:
            return list(self._live.values())

    def stop_appending(self, is_due: Callable[[DataFile], bool]) -> None:
        """Let the live files for which `is_due` take no more rows: the next batch begins a new one."""
        with self._append_lock:
            for day, file in list(self._live.items()):
                if file.rows and day not in self._doubtful and is_due(file):
                    del self._live[day]

    def set_aside(self, file: DataFile, cause: duckdb.Error) -> None:
        """Take a damaged file out of the store; nothing more is appended to it."""
        with self._append_lock:
            live = self._live.get(file.name.day)
            if live is not None and live.database == file.database:
                del self._live[file.name.day]
            self.files.set_aside(file, cause)
        for tell in tuple(self._damage_tellers):
            tell()

    def set_aside_damaged(self, files: Sequence[DataFile], guard: Guard | None = None) -> bool:
        """Set those of `files` aside whose bytes are damaged; whether any of them has left the store then.

        `duckdb.InterruptException` where `guard` ends it.
        """
        for file in files:
            if exc := self.files.damage(file, guard):
                self.set_aside(file, exc)
        return not all(map(self.files.shelf.has, files))

    def examine_suspects(self) -> None:
        """Set aside what a question has met and had no time to examine, if it is damaged."""
        suspects, self._suspects = self._suspects, frozenset()
        self.set_aside_damaged([file for file in self.files.shelf.files() if file.database in suspects])

    def keep_marks_of(self, expired: Sequence[DataFile]) -> None:
        """Commit the marks of files that are to be deleted to the live file; `StoreError`.

        There is a live file then, whose name says how far row_ids have come.
        """
        databases = [file.database for file in expired if file.schema_version]
        with self._append_lock:
            day = max(self._live, default=self._today())
            try:
                database = self._live_file(day).database
                if not databases:
                    return
                with transaction(self.files.connection):
                    hand_on_marks(self.files.connection, databases, database)
            except (duckdb.Error, OSError) as exc:
                self._doubt(day, exc)
                raise store_error("cannot keep the marks of expired files", exc) from exc

    def _insert(self, rows: pa.Table | None, marks: Sequence[Mark], keep: Keep | None, file: DataFile) -> None:
        connection = self.files.connection
        with transaction(connection):
            if rows is not None:
                if keep is not None:
                    rows = rows.append_column("keep", pa.array(keep))
                header = HEADER.name if HEADER.name in rows.column_names else header_of_columns()
                insert_from(
                    connection,
                    rows,
                    f"INSERT INTO {file.database}.lines (row_id, batch, {_KEPT_LIST}, {HEADER.name})"  # noqa: S608 - our names
                    f" SELECT {self._row_id} + row_number() OVER (), {self._batch + 1}, {_KEPT_LIST}, {header}"
                    f" FROM incoming{'' if keep is None else ' WHERE keep'}",
                )
            if marks:
                insert_marks(connection, file.database, marks, self._row_id)
        with suppress(FileNotFoundError):  # DuckDB makes it by the umask
            directory.write_ahead_log(file.path).chmod(0o600)

    def _live_file(self, day: str) -> DataFile:
        file = self._live.get(day)
        if file is None:
            file = self.files.begin(day, self._row_id + 1, int(self.now_s() * 1e6))
        elif day in self._invalid:
            file = self.files.reattach(file, is_writable=True)
        elif day in self._doubtful:
            [(rows, last)] = self.files.connection.execute(
                f"SELECT count(*), coalesce(max(row_id), 0) FROM {file.database}.lines"  # noqa: S608 - our own name
            ).fetchall()
            file = replace(file, rows=rows, last_row_id=last)
        self._doubtful.discard(day)
        self._invalid.discard(day)
        self._live[day] = file
        return file

    def _doubt(self, day: str, exc: duckdb.Error | OSError) -> None:
        file = self._live.get(day)
        if file is None:
            return
        if isinstance(exc, duckdb.Error) and is_damage(exc):
            self.set_aside(file, exc)
            return
        self._doubtful.add(day)
        if is_invalidated(exc):
            self._invalid.add(day)

    def _resume(self, file: DataFile) -> None:
        """Go on with a file that was live when the last process ended, if it is not too old for that."""
        is_young = 0 <= self.now_s() - file.created_us / 1e6 < self.settings.seal_s
        if file.schema_version != SCHEMA_VERSION or file.replaces or not is_young:
            return
        if file.rows >= self.settings.seal_rows:
            return
        if not file.is_writable:
            try:
                file = self.files.reattach(file, is_writable=True)
            except duckdb.Error:  # somebody else is reading it; it stays as it is, if it can be read
                with suppress(duckdb.Error):
                    self.files.shelf.put(self.files.reattach(file, is_writable=False))
                return
            self.files.shelf.put(file)
        self._live[file.name.day] = file

    def _day_of(self, rows: pa.Table) -> str:
        if not rows.num_rows:
            return max(self._live, default=self._today())
        first = rows.column("observed_timestamp")[0].value
        return datetime.fromtimestamp(first // 1_000_000, UTC).strftime("%Y-%m-%d")

    def _today(self) -> str:
        return datetime.fromtimestamp(self.now_s(), UTC).strftime("%Y-%m-%d")
