"""Makes the indexes that are missing, one after another, each in a process of its own: ingest has nothing of it."""

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from loguru import logger

from cloud.logs.collector.index.build import BuildOrder
from cloud.logs.collector.index.indexes import Indexes, index_path, version_of
from cloud.logs.collector.storage.datafile import DataFile
from cloud.logs.collector.storage.names import UNFINISHED
from cloud.logs.collector.storage.shelf import Shelf

DEADLINE_S = 3600.0
POLL_S = 0.1
MAX_ATTEMPTS = 3
"""For one file: what fails as often is not tried again before the next start."""
_COMMAND = (sys.executable, "-I", "-m", "cloud.logs.collector.index.build")


@dataclass(frozen=True, slots=True)
class IndexCounts:
    """Of sealed files that are to have an index."""

    indexed: int
    pending: int


class Indexer:
    """One file at a time, from one thread; the newest first, since they are asked for most."""

    def __init__(
        self,
        shelf: Shelf,
        indexes: Indexes,
        on_built: Callable[[float], None] = lambda _: None,
        command: Sequence[str] = _COMMAND,
    ) -> None:
        """`command` makes an index."""
        self._shelf = shelf
        self._indexes = indexes
        self.on_built = on_built
        """Hears how many seconds an index took."""
        self._command = command
        self._stopping = threading.Event()
        self._failures: Counter[str] = Counter()

    def build_due(self) -> list[str]:
        """Make all that is missing, and give the names of what was made."""
        made = []
        while not self._stopping.is_set() and (file := self._next()) is not None:
            begun_s = time.monotonic()
            cause = self._build(file)
            if cause is None:
                took_s = time.monotonic() - begun_s
                made.append(index_path(file.path).name)
                self.on_built(took_s)
                logger.bind(file=file.path.name, seconds=round(took_s, 1)).info("index made")
            elif not self._stopping.is_set() and self._shelf.has(file):
                self._failures[file.database] += 1
                logger.bind(file=str(file.path), error=cause).warning("index not made")
        return made

    def counts(self) -> IndexCounts:
        sealed = [file for file in self._shelf.files() if not file.is_writable]
        indexed = sum(self._indexes.of(file) is not None for file in sealed)
        return IndexCounts(indexed, sum(self._indexes.is_due(file) for file in sealed))

    def stop(self) -> None:
        """What is being made is given up, soon."""
        self._stopping.set()

    def _next(self) -> DataFile | None:
        due = [
            file
            for file in self._shelf.files()
            if self._failures[file.database] < MAX_ATTEMPTS and self._indexes.is_due(file)
        ]
        return max(due, key=lambda file: file.last_row_id, default=None)

    def _build(self, file: DataFile) -> str | None:
        """Why there is no index now; None where there is one."""
        path = index_path(file.path)
        unfinished = path.with_name(f"{UNFINISHED}{path.name}")
        try:
            with self._shelf.holding([file]):  # a file that is being read is not deleted
                if not self._shelf.has(file):
                    return "the file has gone"
                unfinished.unlink(missing_ok=True)
                if cause := self._run(BuildOrder(str(file.path), str(unfinished), version_of(file))):
                    return cause
                if not self._shelf.has(file):
                    return "the file has gone"
                unfinished.rename(path)
                return None if self._indexes.open(file) else "it cannot be read"
        except OSError as exc:
            return str(exc)
        finally:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)

    def _run(self, order: BuildOrder) -> str | None:
        """Run the process to its end; what went wrong."""
        process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd="/",
        )
        with process:
            try:
                return self._watched(process, order)
            finally:
                process.kill()

    def _watched(self, process: "subprocess.Popen[bytes]", order: BuildOrder) -> str | None:
        until_s = time.monotonic() + DEADLINE_S
        given: bytes | None = order.to_json()
        while True:
            try:
                _, errors = process.communicate(given, POLL_S)
            except subprocess.TimeoutExpired:
                given = None
            else:
                last = errors.decode(errors="replace").strip().rpartition("\n")[2][:1000]
                return None if process.returncode == 0 else last or f"exit code {process.returncode}"
            if self._stopping.is_set():
                return "the collector stops"
            if time.monotonic() >= until_s:
                return f"it took more than {DEADLINE_S:g} s"
