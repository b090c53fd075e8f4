"""The index files of a data directory: which data file has one that is its own, and what is done with the others."""

import threading
from pathlib import Path

from loguru import logger

from cloud.logs.collector.index.layout import IndexDamagedError, Version
from cloud.logs.collector.index.text_index import TextIndex
from cloud.logs.collector.storage import directory
from cloud.logs.collector.storage.datafile import SCHEMA_VERSION, DataFile

MIN_ROWS = 50_000
"""What has fewer is read whole in a few hundredths of a second."""


def index_path(data_file: Path) -> Path:
    return data_file.with_suffix(".index")


def version_of(file: DataFile) -> Version:
    return Version(
        file.path.name, file.created_us, file.rows, file.first_row_id, file.last_row_id, file.last_batch,
        directory.size_bytes(file.path),
    )  # fmt: skip


class Indexes:
    """Any thread may call. Without the index of a file its rows are read one by one: nothing else is different."""

    def __init__(self, *, is_on: bool = True) -> None:
        self.is_on = is_on
        self._lock = threading.Lock()
        self._known: dict[str, TextIndex | None] = {}
        """By the names under which sealed files are attached; None for those that have no index."""

    def of(self, file: DataFile) -> TextIndex | None:
        """The index of `file`, if it is sealed and has one."""
        if not self.is_on or file.is_writable:
            return None
        with self._lock:
            if file.database in self._known:
                return self._known[file.database]
        return self.open(file)

    def open(self, file: DataFile) -> TextIndex | None:
        """As `of`, after a look at what lies beside the sealed `file` now; an index that is not its own is deleted."""
        path = index_path(file.path)
        found = None
        try:
            found = TextIndex(path, version_of(file), lambda exc: self._lost(file, exc))
        except FileNotFoundError:
            pass
        except IndexDamagedError as exc:
            self._give_up(file, exc)
        except OSError as exc:
            logger.bind(file=str(path), error=str(exc)).warning("index not read")
        if found is None and not file.path.exists():  # the data file has left the store
            return None
        with self._lock:
            self._known[file.database] = found
        return found

    def is_due(self, file: DataFile) -> bool:
        """Whether `file` is to have an index and has none."""
        is_fit = not file.is_writable and file.rows >= MIN_ROWS and file.schema_version == SCHEMA_VERSION
        return self.is_on and is_fit and self.of(file) is None

    def forget(self, file: DataFile) -> None:
        """Of a file that leaves the store: its index is deleted."""
        with self._lock:
            self._known.pop(file.database, None)
        index_path(file.path).unlink(missing_ok=True)

    def _lost(self, file: DataFile, exc: Exception) -> None:
        """An index that was used cannot be read any more."""
        with self._lock:
            is_used = self._known.get(file.database) is not None
        if is_used:  # otherwise it has gone with its data file, or another has found the same
            self._give_up(file, exc)

    def _give_up(self, file: DataFile, exc: Exception) -> None:
        """Without the index from here on, until it is made anew."""
        with self._lock:
            self._known[file.database] = None
        index_path(file.path).unlink(missing_ok=True)
        logger.bind(file=str(index_path(file.path)), error=str(exc)).warning("index not used, it will be made anew")


def sweep(data: Path) -> None:
    """Remove the indexes whose data files are gone."""
    for path in data.glob("logs-*.index"):
        if not path.with_suffix(".duckdb").exists():
            path.unlink(missing_ok=True)
