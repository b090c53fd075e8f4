"""What a store needs beside its writer: logs written into their files, files sealed, merged, thinned, deleted."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import duckdb
from loguru import logger

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.index.indexer import Indexer
from cloud.logs.collector.index.indexes import index_path
from cloud.logs.collector.storage import directory
from cloud.logs.collector.storage.backup import take_snapshot
from cloud.logs.collector.storage.datafile import SCHEMA_VERSION, DataFile
from cloud.logs.collector.storage.engine import is_damage, store_error, transaction
from cloud.logs.collector.storage.files import checkpoint
from cloud.logs.collector.storage.marks import compact
from cloud.logs.collector.storage.policy import KEEP_ALL, Policy
from cloud.logs.collector.storage.removals import Removal
from cloud.logs.collector.storage.rewrite import RewriteStoppedError, rewrite
from cloud.logs.collector.store import StoreBrokenError, StoreError
from cloud.logs.collector.worker import start_worker

CHECKPOINT_POLL_S = 0.2
ROUND_S = 30.0
INDEX_ROUND_S = 5.0
PATIENCE_S = 30.0
ROW_GROUP = 122_880
_LEAST_SHARE = 8  # a full row group alone is no reason to write a log below this share of checkpoint_bytes
STOP_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Expired:
    """What a policy takes, or would take."""

    deleted: Sequence[str]
    """Files, by name."""
    thinned: Sequence[str]
    """Files that lose the rows of some severities."""
    rows: int
    freed_bytes: int
    """Of the deleted files; what thinning frees shows only afterwards."""


class Upkeep:
    """Three threads: for what is short and due at its time, for what may take minutes, and for the indexes.

    No append waits for them.

    The methods do one round each, from any thread; sealing, merging and expiring are done one at a time.
    """

    def __init__(
        self, store: DuckDbStore, policy: Policy = KEEP_ALL, on_broken: Callable[[], None] = lambda: None
    ) -> None:
        self._store = store
        self._files = store.files
        self._policy = policy
        self._on_broken = on_broken
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._patient_until_s = 0.0
        self._newest: dict[str, float] = {}  # of sealed files, which do not change
        self._counts: dict[tuple[str, str], int] = {}
        self._groups: dict[str, int] = {}  # how many were full when the log was last written
        self._rewriting = store.files.connection.cursor()
        self.indexer = Indexer(store.files.shelf, store.files.indexes)
        self.lock = threading.RLock()
        """Held while files are switched: whoever holds it finds the sealed files as they are."""

    def start(self) -> None:
        self._threads = [
            start_worker("store-checkpoint", lambda: self._run(self._short, CHECKPOINT_POLL_S), self._on_broken),
            start_worker("store-upkeep", lambda: self._run(self._long, ROUND_S), self._on_broken),
            start_worker("store-index", lambda: self._run(self._index, INDEX_ROUND_S), self._on_broken),
        ]

    def stop(self) -> None:
        """End the threads; a file that is being rewritten stays as it was."""
        self._stopping.set()
        self.indexer.stop()
        with suppress(duckdb.ConnectionException):  # the store is closed already
            self._rewriting.interrupt()
        for thread in self._threads:
            thread.join(STOP_TIMEOUT_S)
        self._rewriting.close()

    def checkpoint(self) -> None:
        """Write the logs that have grown large into their files, best as soon as a row group is full.

        A row group that is written in parts is written anew each time, and takes half as much space again.
        """
        limit = self._store.settings.checkpoint_bytes
        live = self._store.live()
        self._groups = {file.database: self._groups.get(file.database, 0) for file in live}
        for file in live:
            size = directory.size_bytes(directory.write_ahead_log(file.path))
            groups = file.rows // ROW_GROUP
            if size >= limit or (size >= limit // _LEAST_SHARE and groups > self._groups[file.database]):
                with self._files.connection.cursor() as cursor:
                    if checkpoint(cursor, file):
                        self._groups[file.database] = groups

    def seal_due(self) -> None:
        """Seal the live files that are old or large, or of a day that is over."""
        settings, now_s = self._store.settings, self._store.now_s()
        newest_day = max((file.name.day for file in self._store.live()), default="")

        def is_due(file: DataFile) -> bool:
            age_s = now_s - file.created_us / 1e6
            is_over = file.name.day < newest_day and now_s >= file.end.timestamp() + settings.idle_seal_s
            is_old = not 0 <= age_s < settings.seal_s  # one of the future too: the clock was set back
            return file.rows >= settings.seal_rows or is_old or is_over

        self._store.stop_appending(is_due)
        self._seal_stopped()

    def seal(self) -> None:
        """Seal all live files that hold rows, so that other processes may read them."""
        self._store.stop_appending(lambda _: True)
        self._seal_stopped()

    def merge(self) -> list[str]:
        """Make one file of the sealed ones of each past day, and give the names of what was made."""
        today = datetime.fromtimestamp(self._store.now_s(), UTC).strftime("%Y-%m-%d")
        made = []
        with self.lock:
            for day, parts in self._sealed_by_day():
                is_old_schema = any(part.schema_version < SCHEMA_VERSION for part in parts)
                if day < today and (len(parts) > 1 or is_old_schema):
                    made.append(self._rewrite(parts).path.name)
        return made

    def expire(self, policy: Policy | None = None, *, is_dry_run: bool = False) -> Expired:
        """Delete what `policy`, or that of the settings, does not keep; `StoreError` when the disk is too full to."""
        policy = policy or self._policy
        with self.lock:
            self._forget_gone()
            self.seal_due()  # what is appended to stays, however old
            self._files.let_go()
            whole = self._expired_files(policy)
            thinned = self._thinned_files(policy, whole)
            rows = sum(file.rows for file in whole) + sum(count for _, _, count in thinned)
            freed = sum(map(_total_bytes, whole))
            if not is_dry_run:
                if whole:
                    self._store.keep_marks_of(whole)  # first: a number must not be missed nor taken again
                    for file in whole:
                        self._files.removals.add(Removal(self._newest_of(file), file.last_row_id))
                    self._files.replace(whole)
                    logger.bind(files=[file.path.name for file in whole], bytes=freed).info("files expired")
                for file, severities, _ in thinned:
                    self._rewrite([file], severities)
        return Expired([file.path.name for file in whole], [file.path.name for file, _, _ in thinned], rows, freed)

    def snapshot(self) -> Path:
        """Everything that is stored at this moment as files of a directory of its own; for `drop_snapshot` to end."""
        with self.lock:
            self.seal()
            live = {file.database for file in self._store.live()}
            files = self._files.shelf.files()
            if busy := [file.path.name for file in files if file.is_writable and file.database not in live]:
                raise StoreError(f"cannot take a snapshot: {', '.join(busy)} cannot be sealed now")
            try:
                return take_snapshot(self._files.path, (file.path for file in files if not file.is_writable))
            except OSError as exc:
                raise StoreError(f"cannot take a snapshot: {exc}") from exc

    def _expired_files(self, policy: Policy) -> list[DataFile]:
        sealed = self._sealed()
        expired = []
        if (longest_s := policy.longest_s) is not None:
            expired = [file for file in sealed if self._newest_s(file) <= self._store.now_s() - longest_s]
        if policy.max_bytes is not None:
            sizes = {file.database: _total_bytes(file) for file in self._files.shelf.files()}
            gone = {file.database for file in expired}
            left = sum(size for database, size in sizes.items() if database not in gone)
            for file in sorted(sealed, key=lambda file: file.last_row_id):
                if left <= policy.max_bytes:
                    break
                if file.database not in gone:
                    expired.append(file)
                    left -= sizes[file.database]
        return expired

    def _forget_gone(self) -> None:
        here = {file.database for file in self._files.shelf.files()}
        self._newest = {name: newest for name, newest in self._newest.items() if name in here}
        self._counts = {key: count for key, count in self._counts.items() if key[0] in here}

    def _thinned_files(self, policy: Policy, whole: Sequence[DataFile]) -> list[tuple[DataFile, list[int], int]]:
        """Files, the severities that go, and how many rows these have there."""
        gone = {file.database for file in whole}
        found = []
        for file in self._sealed():
            if file.database in gone:
                continue
            newest_s = self._newest_s(file)
            over = [n for n, age_s in policy.age_s.items() if newest_s <= self._store.now_s() - age_s]
            if over and (count := self._count(file, over)):
                found.append((file, over, count))
        return found

    def _count(self, file: DataFile, severities: Sequence[int]) -> int:
        """How many rows of the sealed `file` have one of `severities`."""
        numbers = ", ".join(map(str, severities))
        if (known := self._counts.get((file.database, numbers))) is not None:
            return known
        with self._files.connection.cursor() as cursor:
            [(count,)] = cursor.execute(
                f"SELECT count(*) FROM {file.source} WHERE severity IN ({numbers})"  # noqa: S608 - our names, numbers
            ).fetchall()
        self._counts[file.database, numbers] = int(count)
        return int(count)

    def _newest_s(self, file: DataFile) -> float:
        """When the newest row of the sealed `file` arrived; the beginning of its day when it has none."""
        if file.database in self._newest:
            return self._newest[file.database]
        with self._files.connection.cursor() as cursor:
            [(newest_us,)] = cursor.execute(
                f"SELECT epoch_us(max(observed_timestamp)) FROM {file.source}"  # noqa: S608 - our own name
            ).fetchall()
        self._newest[file.database] = newest_us / 1e6 if newest_us is not None else file.end.timestamp() - 86_400
        return self._newest[file.database]

    def _newest_of(self, file: DataFile) -> datetime:
        """The same, or later where it cannot be read."""
        with suppress(duckdb.Error):
            return datetime.fromtimestamp(self._newest_s(file), UTC)
        return file.end

    def _seal_stopped(self) -> None:
        """Attach for reading only what is not appended to any more; what is being read waits for the next round."""
        with self.lock:
            live = {file.database for file in self._store.live()}
            for file in self._files.shelf.files():
                if file.is_writable and file.database not in live and self._is_worth_waiting(file):
                    self._seal_file(file)

    def _is_worth_waiting(self, file: DataFile) -> bool:
        """Whether to try now: while somebody reads `file` for long, others are not to wait for that time and again."""
        if self._files.shelf.is_held(file) and time.monotonic() < self._patient_until_s:
            return False
        self._patient_until_s = time.monotonic() + PATIENCE_S
        return True

    def _seal_file(self, file: DataFile) -> None:
        with self._files.connection.cursor() as cursor:
            try:
                if file.schema_version:
                    with transaction(cursor):
                        compact(cursor, file.database)
                cursor.execute(f"CHECKPOINT {file.database}")
            except duckdb.Error as exc:
                logger.bind(file=str(file.path), error=str(exc)).warning("file not sealed, trying again")
                return
        with self._files.shelf.switching(file) as is_free:
            if not is_free or not self._files.shelf.has(file):
                return
            try:
                self._files.shelf.put(self._files.reattach(file, is_writable=False))
            except (duckdb.Error, OSError) as exc:
                self._lost(file, exc)

    def _lost(self, file: DataFile, exc: Exception) -> None:
        """`file` is detached and could not be attached again."""
        if isinstance(exc, duckdb.Error) and is_damage(exc):
            self._store.set_aside(file, exc)
            return
        self._files.removals.add(Removal(file.end, file.last_row_id, is_damage=True))
        self._files.shelf.put(instead_of=[file])
        self._files.refused[file.path.name] = str(exc)
        logger.bind(file=str(file.path), error=str(exc)).error("file left alone")

    def _sealed(self) -> list[DataFile]:
        return [file for file in self._files.shelf.files() if not file.is_writable]

    def _sealed_by_day(self) -> list[tuple[str, list[DataFile]]]:
        """The days none of whose files is live, with their files."""
        live = {file.name.day for file in self._files.shelf.files() if file.is_writable}
        by_day = groupby(self._sealed(), key=lambda file: file.name.day)
        return [(day, list(parts)) for day, parts in by_day if day not in live]

    def _rewrite(self, parts: Sequence[DataFile], without: Sequence[int] = ()) -> DataFile:
        try:
            return rewrite(self._files, self._rewriting, parts, without=without, reached=self._step)
        except duckdb.InterruptException as exc:
            raise RewriteStoppedError from exc
        except (duckdb.Error, OSError) as exc:
            if isinstance(exc, duckdb.Error) and is_damage(exc):
                self._store.set_aside_damaged(parts)
            raise store_error(f"cannot rewrite {', '.join(part.path.name for part in parts)}", exc) from exc

    def _step(self, _name: str) -> None:
        if self._stopping.is_set():
            raise RewriteStoppedError

    def _short(self) -> None:
        self.checkpoint()
        self.seal_due()

    def _long(self) -> None:
        try:
            self._files.let_go()
            self._store.examine_suspects()
            self.merge()
            self.expire()
        except RewriteStoppedError:
            return
        except StoreBrokenError:
            raise
        except (duckdb.Error, OSError, StoreError) as exc:
            logger.bind(error=str(exc)).error("store upkeep failed, trying again")

    def _index(self) -> None:
        self.indexer.build_due()

    def _run(self, work: Callable[[], None], pause_s: float) -> None:
        while not self._stopping.wait(pause_s):
            work()


def _total_bytes(file: DataFile) -> int:
    """What a file takes on disk, with its log and its index."""
    return directory.total_bytes(file.path) + directory.size_bytes(index_path(file.path))
