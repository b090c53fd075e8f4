"""The data directory's files in one DuckDB: opened at the start, begun, replaced, set aside, let go."""

import itertools
import re
import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path

import duckdb
from loguru import logger

from cloud.logs.collector.index.indexes import Indexes, sweep
from cloud.logs.collector.storage import directory
from cloud.logs.collector.storage.datafile import (
    SCHEMA_VERSION,
    DataFile,
    NewerFileError,
    Origin,
    attach,
    create,
    read_whole,
)
from cloud.logs.collector.storage.engine import is_damage, open_engine
from cloud.logs.collector.storage.names import FileName
from cloud.logs.collector.storage.removals import Removal, Removals
from cloud.logs.collector.storage.settings import StoreSettings
from cloud.logs.collector.storage.shelf import Shelf
from cloud.logs.collector.store import Guard

UNKNOWN_ROWS = 10_000_000_000
"""More than a file holds: so far row_ids go on behind one whose last is not known, so that none is given twice."""
HELD_S = 2.0
HELD_POLL_S = 0.01
_CUTS = 3
_DATABASE = re.compile(r"\bfile_\d+\b")


class Files:
    """All files of a data directory. Any thread may call; a file is changed only by whoever took it off the shelf."""

    def __init__(self, path: Path, settings: StoreSettings) -> None:
        """Lock and open `path`. `StoreError` when it is in use or cannot be made; `duckdb.Error` for a bad setting."""
        self.path = path
        self.shelf = Shelf()
        self.indexes = Indexes(is_on=settings.text_index)
        self.removals = Removals()
        self.refused: dict[str, str] = {}
        """Files that are there and cannot be read as they are, and why; they are left alone."""
        self.known_row_id = 0
        """The highest row_id that may have been given."""
        self._numbers = itertools.count(1)
        self._leaving: list[tuple[DataFile, bool]] = []
        self._lock = threading.Lock()
        self._examining = threading.Lock()
        self._lock_file = directory.lock(path)
        try:
            directory.sweep(path)
            sweep(path)
            self.connection = open_engine(path / directory.TEMP, settings)
            self._open_all()
        except BaseException:
            self._lock_file.close()
            raise

    def close(self) -> None:
        """Let go of the directory; DuckDB writes its log into the files as the last connection closes."""
        self.connection.close()
        self._lock_file.close()

    def begin(self, day: str, first_row_id: int, created_us: int) -> DataFile:
        """A new live file, on the shelf and in the directory. `duckdb.Error` or `OSError`: then there is none."""
        name = FileName(day, first_row_id, 0)
        while (self.path / str(name)).exists():  # an empty one that cannot be written any more
            name = FileName(day, first_row_id, name.generation + 1)
        create(self.connection, self.path / str(name), "unfinished", Origin(created_us))
        file = self.attach(self.path / str(name), is_writable=True)
        self.shelf.put(file)
        return file

    def attach(self, path: Path, *, is_writable: bool) -> DataFile:
        """A file of the directory under a name that no query knows yet; not on the shelf."""
        with self.connection.cursor() as cursor:
            return attach(cursor, path, self.next_database(), is_writable=is_writable)

    def next_database(self) -> str:
        return f"file_{next(self._numbers)}"

    def reattach(self, file: DataFile, *, is_writable: bool) -> DataFile:
        """`file` attached anew under its name, which nobody may be reading; the caller puts it on the shelf."""
        until_s = time.monotonic() + HELD_S
        with self.connection.cursor() as cursor:
            cursor.execute(f"DETACH DATABASE IF EXISTS {file.database}")
            while True:
                try:
                    return attach(cursor, file.path, file.database, is_writable=is_writable)
                except duckdb.BinderException as exc:
                    # Who has looked at all databases holds this one too, for a moment.
                    if "file handle conflict" not in str(exc) or time.monotonic() >= until_s:
                        raise
                time.sleep(HELD_POLL_S)

    def replace(self, old: Sequence[DataFile], new: Sequence[DataFile] = ()) -> None:
        """Show `new` in place of `old`, whose files are deleted as soon as nobody reads them."""
        self.shelf.put(*new, instead_of=old)
        self._leave(old, is_deleted=True)

    def set_aside(self, file: DataFile, cause: Exception) -> None:
        """Take a damaged file off the shelf and rename it; whoever reads it at the moment keeps it open."""
        with self._lock:
            if not self.shelf.has(file):  # another reader found the same
                return
            self.removals.add(Removal(file.end, file.last_row_id, is_damage=True))
            self.shelf.put(instead_of=[file])
            directory.set_aside(file.path, cause)
        self._leave([file], is_deleted=False)

    def named_in(self, sql: str) -> tuple[list[DataFile], bool]:
        """The files that a query reads, and whether others of these have left the shelf meanwhile."""
        named = set(_DATABASE.findall(sql))
        found = [file for file in self.shelf.files() if file.database in named]
        return found, len(found) < len(named)

    def damage(self, file: DataFile, guard: Guard | None = None) -> duckdb.Error | None:
        """What is wrong with the bytes of a file on the shelf, after reading all of them; None where nothing is.

        One thread at a time reads. `duckdb.InterruptException` where `guard` has it interrupted.
        """
        over = threading.Event()
        with nullcontext() if guard is None else guard(over.set):
            while not self._examining.acquire(timeout=HELD_POLL_S):
                if over.is_set():
                    raise duckdb.InterruptException(f"others examine files, and {file.path} has to wait")
        try:
            if not self.shelf.has(file):  # another has found the same
                return None
            with self.connection.cursor() as cursor, nullcontext() if guard is None else guard(cursor.interrupt):
                read_whole(cursor, file)
        except duckdb.InterruptException:
            raise
        except duckdb.Error as exc:
            return exc if is_damage(exc) else None
        finally:
            self._examining.release()
        return None

    def let_go(self) -> None:
        """Detach, and delete where they are to be, the files that left the shelf and that nobody reads any more."""
        with self._lock:
            leaving, self._leaving = self._leaving, []
        for file, is_deleted in leaving:
            try:
                if self.shelf.is_held(file):
                    raise BlockingIOError(f"{file.path} is being read")
                with self.connection.cursor() as cursor:
                    cursor.execute(f"DETACH DATABASE IF EXISTS {file.database}")
                self.indexes.forget(file)
                if is_deleted:
                    for each in (file.path, directory.write_ahead_log(file.path)):
                        each.unlink(missing_ok=True)
                    directory.sync(self.path)
            except (duckdb.Error, OSError):  # at the next call then; a start deletes it too
                with self._lock:
                    self._leaving.append((file, is_deleted))

    def _leave(self, files: Sequence[DataFile], *, is_deleted: bool) -> None:
        with self._lock:
            self._leaving += [(file, is_deleted) for file in files]
        self.let_go()

    def _open_all(self) -> None:
        for path in sorted(self.path.glob("logs-*.duckdb")):
            name = FileName.parse(path.name)
            if name is None:
                continue
            file = self._opened(path)
            if file is not None:
                self.shelf.put(file)
                self.known_row_id = max(self.known_row_id, file.last_row_id, name.first - 1)
            elif name.first:
                self.known_row_id = max(self.known_row_id, name.first + UNKNOWN_ROWS)
        # A process was killed between a new file and the deletion of those that it was made of.
        files = self.shelf.files()
        replaced = {name for file in files for name in file.replaces}
        self.replace([file for file in files if file.path.name in replaced])

    def _opened(self, path: Path) -> DataFile | None:
        """The attached file; None for one that was set aside or that must be left alone."""
        for _ in range(_CUTS):
            try:
                return self._attached(path)
            except (duckdb.Error, NewerFileError, OSError) as exc:
                log = directory.write_ahead_log(path)
                if isinstance(exc, duckdb.Error) and is_damage(exc) and log.name in str(exc) and log.exists():
                    directory.cut_log(path, exc)
                elif is_damage(exc):
                    directory.set_aside(path, exc)
                    return None
                else:
                    self.refused[path.name] = str(exc)
                    logger.bind(file=str(path), error=str(exc)).error("file left alone")
                    return None
        return None

    def _attached(self, path: Path) -> DataFile:
        path.chmod(0o600)
        file = self.attach(path, is_writable=False)
        if not directory.write_ahead_log(path).exists():
            return file
        # Only now that it is known to be of a version of ours: opened for writing, it takes in its log.
        return self.reattach(file, is_writable=file.schema_version in (0, SCHEMA_VERSION))


def checkpoint(connection: duckdb.DuckDBPyConnection, file: DataFile) -> bool:
    """Write the log of an attached file into it; False when something is in the way, as a full disk."""
    with suppress(duckdb.Error):
        connection.execute(f"CHECKPOINT {file.database}")
        return True
    return False
