"""From the inbox to the store: parse a batch, commit it, and never let go of one that has not been committed."""

import threading
import time
from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.compute as pc
from loguru import logger

from cloud.logs.collector.inbox import Inbox
from cloud.logs.collector.metrics import Metrics
from cloud.logs.collector.parsing import parse_batch
from cloud.logs.collector.store import Store, StoreBrokenError, StoreError
from cloud.logs.collector.worker import start_worker

MAX_BATCH = 122_880  # one row group of DuckDB: compressed once, past its log
FLUSH_S = 0.25  # the least time between two commits of small batches
RETRY_S = 1.0
LAST_RETRY_S = 0.1  # while stopping
STOP_TIMEOUT_S = 10.0
_DAY_US = 86_400_000_000


class Writer:
    """One thread between inbox and store.

    A line that comes after a pause is committed at once; under load a commit takes all that came since the last one,
    250 ms later or as soon as a whole row group waits. While the store refuses for a passing reason (a full disk) the
    batch is kept and tried again every second, and the full inbox holds the senders.
    """

    def __init__(self, inbox: Inbox, store: Store, metrics: Metrics, on_broken: Callable[[], None]) -> None:
        """`on_broken` is called, from the writer's thread, when that ends early: the store's engine has given up."""
        self._inbox = inbox
        self._store = store
        self._metrics = metrics
        self._on_broken = on_broken
        self._give_up_s = float("inf")
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = start_worker("writer", self._run, self._on_broken)

    def stop(self) -> None:
        """Commit what the closed inbox holds, within 10 s; what the store still refuses then is counted as lost."""
        self._give_up_s = time.monotonic() + STOP_TIMEOUT_S
        self._stopping.set()
        self._inbox.close()
        if self._thread is not None:
            self._thread.join(STOP_TIMEOUT_S + RETRY_S)

    def _run(self) -> None:
        next_commit_s = 0.0
        while not self._inbox.is_drained:
            batch = self._inbox.take(MAX_BATCH)
            while len(batch) < MAX_BATCH and (wait_s := next_commit_s - time.monotonic()) > 0:
                more = self._inbox.take(MAX_BATCH - len(batch), wait_s)
                batch += more
                if not more and self._stopping.is_set():
                    break
            if not batch:
                continue
            parsed = parse_batch(batch)
            for reason in parsed.failures:
                self._metrics.parse_failures.labels(reason).inc()
            for rows in _by_day(parsed.table):
                self._store_all(rows)
            next_commit_s = time.monotonic() + FLUSH_S

    def _store_all(self, rows: pa.Table) -> None:
        """Commit `rows`, again and again while the cause may pass; otherwise find the rows that are refused."""
        is_first = True
        while True:
            try:
                with self._metrics.commit_seconds.time():
                    self._metrics.records.inc(self._store.append(rows))
            except StoreBrokenError:
                raise
            except StoreError as exc:
                if exc.is_lasting:
                    self._halve(rows, exc)
                    return
                if time.monotonic() >= self._give_up_s:
                    self._metrics.store_failures.labels("shutdown").inc(rows.num_rows)
                    logger.bind(records=rows.num_rows, error=str(exc)).error("records lost at shutdown")
                    return
                self._metrics.store_failures.labels("retried").inc(rows.num_rows)
                if is_first:
                    logger.bind(records=rows.num_rows, error=str(exc)).error("store refuses, trying again")
                is_first = False
                if self._stopping.wait(RETRY_S):
                    time.sleep(LAST_RETRY_S)
            else:
                if not is_first:
                    logger.bind(records=rows.num_rows).warning("store takes records again")
                return

    def _halve(self, rows: pa.Table, cause: StoreError) -> None:
        if rows.num_rows > 1:
            middle = rows.num_rows // 2
            self._store_all(rows.slice(0, middle))
            self._store_all(rows.slice(middle))
            return
        self._metrics.store_failures.labels("row_refused").inc()
        logger.bind(record=str(rows.to_pylist())[:4096], error=str(cause)).error("store refuses a record")


def _by_day(rows: pa.Table) -> Iterator[pa.Table]:
    """`rows` by the day (UTC) of their arrival, which is the file they go to; nearly always one."""
    days = pc.divide(rows.column("observed_timestamp").cast(pa.int64()), _DAY_US)
    for day in pc.unique(days):
        yield rows.filter(pc.equal(days, day))
