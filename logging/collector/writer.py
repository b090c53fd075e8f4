"""From the inbox to the store: parse batches, commit their rows, and let go of none that is not committed."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from loguru import logger

from cloud.logs.collector.batch import MAX_MESSAGES, Batch
from cloud.logs.collector.budget import Budget, waived
from cloud.logs.collector.columns.parser import BatchParser
from cloud.logs.collector.columns.rows import Rows, concatenated
from cloud.logs.collector.inbox import Inbox
from cloud.logs.collector.lines import LineAccounts, Mark, MarkKind
from cloud.logs.collector.metrics import Metrics
from cloud.logs.collector.redaction import Redactor
from cloud.logs.collector.store import Keep, Store, StoreBrokenError, StoreError
from cloud.logs.collector.worker import start_worker

FLUSH_S = 0.25  # the least time between two commits of small batches
RETRY_S = 1.0
LAST_RETRY_S = 0.1  # while stopping
STOP_TIMEOUT_S = 10.0
SPARE_BATCHES = 2  # of the pool: to be filled while a commit takes its time


@dataclass(slots=True)
class _Pending:
    """A batch whose rows are parsed and not all committed."""

    batch: Batch
    rows: Rows


class Writer:
    """One thread between inbox and store.

    A line that comes after a pause is committed at once; under load a commit takes all that came since the last one,
    250 ms later, sooner when senders wait for an answer, or as whole row groups as soon as there is one. While the
    store refuses for a passing reason (a full disk) the rows are kept and tried again every second, and the full inbox
    holds the senders.
    """

    def __init__(
        self,
        inbox: Inbox,
        store: Store,
        accounts: LineAccounts,
        budget: Budget,
        metrics: Metrics,
        on_broken: Callable[[], None],
        redactor: Redactor | None = None,
    ) -> None:
        """`on_broken` is called, from the writer's thread, when that ends early: the store's engine has given up."""
        self._inbox = inbox
        self._store = store
        self._accounts = accounts
        self._budget = budget
        self._metrics = metrics
        self._on_broken = on_broken
        self._redactor = redactor
        self._parser = BatchParser()
        self._pending: deque[_Pending] = deque()
        self._give_up_s = float("inf")
        self._has_given_up = False
        self._is_reload_due = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = start_worker("writer", self._run, self._on_broken)

    def stop(self) -> bool:
        """Commit what the closed inbox holds, within 10 s; what is not stored then is counted as lost.

        Whether the thread has ended. Where it has not, the store is still in its hands.
        """
        self._give_up_s = time.monotonic() + STOP_TIMEOUT_S
        self._stopping.set()
        self._inbox.close()
        if self._thread is None:
            return True
        self._thread.join(STOP_TIMEOUT_S + RETRY_S)
        if self.is_running:
            logger.error("what was received cannot be stored in time at shutdown")
        return not self.is_running

    @property
    def is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def reload_accounts(self) -> None:
        """Before the next commit, keep account of the lines by the store's marks anew; from any thread."""
        self._is_reload_due.set()

    def _run(self) -> None:
        next_commit_s = 0.0
        while self._pending or not self._inbox.is_drained:
            if not self._has_time:
                self._drop_the_rest()
                break
            if not self._pending and not self._take():
                continue
            self._gather(next_commit_s)
            is_hurried = self._inbox.take_hurry()  # first: what hurries later may not be here yet
            while self._has_room and self._take(timeout_s=0):
                pass
            if is_hurried and not self._has_room:
                self._inbox.hurry_on()  # not all of them has been taken
            if self._is_reload_due.is_set():
                self._reload()
            # Whole row groups are compressed once and go past DuckDB's log; the rest is the beginning of the next.
            waiting = self._waiting()
            self._commit(waiting if is_hurried else waiting // MAX_MESSAGES * MAX_MESSAGES or waiting)
            next_commit_s = time.monotonic() + FLUSH_S
            self._budget.save_if_due()
        self._budget.save()

    def _reload(self) -> None:
        self._is_reload_due.clear()
        try:
            self._accounts.reload_from(self._store.marks)
        except StoreBrokenError:
            raise
        except StoreError as exc:
            self._is_reload_due.set()
            logger.bind(error=str(exc)).error("store does not say which lines it has, trying again")

    def _gather(self, until_s: float) -> None:
        """Parse full batches as they come, until `until_s`, somebody hurries, or there is no room for more."""
        while self._has_room and (wait_s := until_s - time.monotonic()) > 0:
            if not self._inbox.wait_for_company(wait_s):
                return
            self._take(timeout_s=0)

    @property
    def _has_room(self) -> bool:
        """Whether another batch may wait: less than a row group does, and while it is stored there is more to fill."""
        return self._waiting() < MAX_MESSAGES and len(self._pending) < max(2, self._inbox.batches - SPARE_BATCHES)

    def _waiting(self) -> int:
        return sum(len(each.rows) for each in self._pending)

    @property
    def _has_time(self) -> bool:
        return time.monotonic() < self._give_up_s

    def _take(self, timeout_s: float | None = None) -> bool:
        """Parse the next batch; whether there was one, and time for it."""
        batch = self._inbox.take(timeout_s) if self._has_time else None
        if batch is None:
            return False
        rows = self._parser.read(batch)
        for reason, number in rows.failures.items():
            self._metrics.parse_failures.labels(reason).inc(number)
        self._metrics.parsed_by_reference.inc(rows.by_reference)
        if self._redactor is not None:
            rows = self._redacted(self._redactor, rows)
        self._metrics.hosts.saw(batch, rows)
        self._pending.append(_Pending(batch, self._budget.limited(batch, rows)))
        return True

    def _redacted(self, redactor: Redactor, rows: Rows) -> Rows:
        redacted = redactor.redact(rows.table)
        self._metrics.redacted.inc(redacted.redacted)
        self._metrics.withheld.inc(redacted.withheld)
        return replace(rows, table=redacted.table)

    def _commit(self, number: int) -> None:
        """Store the first `number` of the rows that wait."""
        parts = []
        left = number
        for each in self._pending:
            if left:
                parts.append(each.rows.slice(0, min(left, len(each.rows))))
                left -= len(parts[-1])
        for rows in concatenated(parts).by_day():
            self._store_all(rows)
        for part in parts:
            first = self._pending[0]
            first.rows = first.rows.slice(len(part), len(first.rows))
            if not len(first.rows):
                self._let_go(self._pending.popleft().batch)

    def _drop_the_rest(self) -> None:
        """Count what there was no time for."""
        self._has_given_up = True
        left = self._waiting()
        while (batch := self._inbox.take(timeout_s=0)) is not None:
            left += batch.count
            self._inbox.give_back(batch)
        self._metrics.store_failures.labels("shutdown").inc(left)
        logger.bind(records=left).error("no time to store all that was received, giving up at shutdown")

    def _let_go(self, batch: Batch) -> None:
        if not self._has_given_up:  # or nobody may be told that it is durable
            for tell in batch.on_commit:
                tell()
        self._inbox.give_back(batch)

    def _store_all(self, rows: Rows) -> None:
        """Commit `rows`, but those that the store refuses for good."""
        if rows.keep is None:
            fresh = self._accounts.fresh(rows.runs, rows.run, rows.sequence)
            cause = self._append(rows.table, fresh.marks, fresh.keep)
        else:
            fresh = self._accounts.fresh(rows.runs, np.where(rows.keep, rows.run, -1), rows.sequence)
            keep = rows.keep if fresh.keep is None else rows.keep & fresh.keep
            cause = self._append(rows.table, [*fresh.marks, *waived(rows)], keep)
        if cause is None:
            if not self._has_given_up:
                self._metrics.duplicates.inc(fresh.duplicates)
                self._metrics.untracked.inc(fresh.untracked)
        elif len(rows) > 1:
            middle = len(rows) // 2
            self._store_all(rows.slice(0, middle))
            self._store_all(rows.slice(middle, len(rows)))
        else:
            self._metrics.store_failures.labels("row_refused").inc()
            logger.bind(record=str(rows.table.to_pylist())[:4096], error=str(cause)).error("store refuses a record")
            if rows.run[0] >= 0:  # or it would be missed, and sent again, for ever
                number = int(rows.sequence[0])
                mark = Mark(rows.runs[int(rows.run[0])], number, number, MarkKind.WAIVED)
                self._append(rows.table.slice(0, 0), (mark,))

    def _append(self, table: pa.Table, marks: Sequence[Mark], keep: Keep | None = None) -> StoreError | None:
        """Commit in one transaction, again and again while the cause may pass; why not, where trying is of no use.

        When time has run out at shutdown, this and all that follows is given up, as the store asks for the same again.
        """
        refusals = 0
        while not self._has_given_up:
            try:
                with self._metrics.commit_seconds.time():
                    stored = self._store.append(table, marks, keep)
            except StoreBrokenError:
                raise
            except StoreError as exc:
                if exc.is_lasting:
                    return exc
                refusals += 1
                if time.monotonic() >= self._give_up_s:
                    self._has_given_up = True
                    logger.bind(error=str(exc)).error("store refuses, giving up at shutdown")
                    break
                self._metrics.store_failures.labels("retried").inc(table.num_rows)
                if refusals == 1:
                    logger.bind(records=table.num_rows, error=str(exc)).error("store refuses, trying again")
                if self._stopping.wait(RETRY_S):
                    time.sleep(LAST_RETRY_S)
            else:
                self._metrics.records.inc(stored)
                self._metrics.commit_rows.observe(stored)
                self._accounts.committed(marks)
                if refusals:
                    logger.bind(records=table.num_rows).warning("store takes records again")
                return None
        self._metrics.store_failures.labels("shutdown").inc(table.num_rows)
        return None
