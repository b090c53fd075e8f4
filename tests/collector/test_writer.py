import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from cloud.logs.collector.batch import MAX_MESSAGES, Batch, Source
from cloud.logs.collector.budget import Budget
from cloud.logs.collector.columns.rows import Rows
from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.inbox import Inbox
from cloud.logs.collector.lines import LineAccounts, Mark, MarkKind, Run
from cloud.logs.collector.metrics import Metrics
from cloud.logs.collector.storage.removals import Removals
from cloud.logs.collector.store import Guard, Keep, StoreBrokenError, StoreError, Table
from cloud.logs.collector.writer import Writer
from tests.waiting import wait_until

NOON_US = 1_800_014_400_000_000  # 2027-01-15 12:00:00 UTC
MIDNIGHT_US = NOON_US + 43_200_000_000
PEER = Source("192.0.2.7")
RUN = Run("compute-01", "A")
LONG_S = 3600.0


class FakeStore:
    """Implements `Store`: keeps what is appended in lists, and refuses as it is told."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.marked: list[Mark] = []
        self.sizes: list[int] = []
        self.refuse: Callable[[list[str]], StoreError | None] = lambda batch: None
        self.attempts = 0
        self.refuse_marks = 0

    @property
    def committed_row_id(self) -> int:
        return sum(self.sizes)

    @property
    def removals(self) -> Removals:
        raise NotImplementedError

    def append(self, rows: pa.Table, marks: Sequence[Mark] = (), keep: Keep | None = None) -> int:
        self.attempts += 1
        is_small = rows.num_rows < 1000
        batch = rows.column("message").to_pylist() if is_small else []
        if error := self.refuse(batch):
            raise error
        if is_small and keep is not None:
            batch = list(itertools.compress(batch, keep))
        self.marked += marks
        self.sizes.append(int(rows.num_rows if keep is None else np.count_nonzero(keep)))
        self.batches.append(batch)
        return self.sizes[-1]

    def marks(self) -> Sequence[Mark]:
        if self.refuse_marks:
            self.refuse_marks -= 1
            raise StoreError("cannot read")
        return self.marked

    def tables(self) -> AbstractContextManager[Sequence[Table]]:
        raise NotImplementedError

    def query(self, sql: str, parameters: Mapping[str, object], guard: Guard | None = None) -> pa.Table:
        raise NotImplementedError

    def on_commit(self, tell: Callable[[], None]) -> Callable[[], None]:
        raise NotImplementedError

    def close(self) -> None: ...

    @property
    def messages(self) -> list[str]:
        return [message for batch in self.batches for message in batch]


class Running:
    """A writer with a fake store, which `start` starts."""

    def __init__(self) -> None:
        self.store = FakeStore()
        self.use(self.store)

    def use(self, store: FakeStore | DuckDbStore, batches: int = 4, batch_bytes: int = 1 << 20) -> None:
        self.inbox = Inbox(batches, batch_bytes)
        self.metrics = Metrics()
        self.accounts = LineAccounts(store.marks())
        self.broken = threading.Event()
        budget = Budget(0, self.metrics)
        self.writer = Writer(self.inbox, store, self.accounts, budget, self.metrics, on_broken=self.broken.set)

    def put(self, *messages: str, observed_us: int = NOON_US, told: Callable[[], None] | None = None) -> bool:
        """Lines that nobody numbered; whether there was room for all of them."""
        return self.put_lines(*(b"<13>1 - h a - - - %s" % m.encode() for m in messages), at=observed_us, told=told)

    def put_numbered(self, *numbers: int, told: Callable[[], None] | None = None) -> bool:
        """Lines of RUN whose messages are their numbers."""
        line = b'<13>1 - h a - - [line@32473 host="compute-01" start="A" n="%d"] %d'
        return self.put_lines(*(line % (number, number) for number in numbers), at=NOON_US, told=told)

    def put_lines(self, *lines: bytes, at: int, told: Callable[[], None] | None) -> bool:
        with self.inbox.lock:
            for line in lines:
                batch = self.inbox.current(len(line))
                if batch is None:
                    return False
                batch.add_payload(line, PEER, at)
            if told is not None and batch is not None:
                batch.on_commit.append(told)
            self.inbox.filled()
        return True

    def put_many(self, count: int) -> None:
        """Short lines, all at once."""
        with self.inbox.lock:
            while count:
                batch = self.inbox.current(8)
                assert batch is not None
                begin, number = batch.used, min(count, batch.free_messages, batch.free_bytes // 5)
                end = begin + 5 * number
                batch.data[begin:end] = b"<13>x" * number
                starts = np.arange(begin, end, 5, dtype=np.int32)
                batch.add(starts, starts + np.int32(5), end, PEER, NOON_US)
                count -= number
            self.inbox.filled()

    def hurry(self) -> None:
        with self.inbox.lock:
            self.inbox.hurry()

    def wait_for(self, *messages: str, timeout_s: float = 10.0) -> None:
        wait_until(lambda: self.store.messages == list(messages), timeout_s, what=f"{messages} to be stored")

    def count(self, name: str, reason: str | None = None) -> float | None:
        return self.metrics.registry.get_sample_value(f"cloudlog_{name}_total", {"reason": reason} if reason else {})


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setattr("cloud.logs.collector.writer.RETRY_S", 0.01)
    monkeypatch.setattr("cloud.logs.collector.writer.LAST_RETRY_S", 0.01)
    monkeypatch.setattr("cloud.logs.collector.writer.STOP_TIMEOUT_S", 0.1)
    made = Running()
    yield made
    made.writer.stop()


@pytest.fixture
def patient(running: Running, monkeypatch: pytest.MonkeyPatch) -> Running:
    """One that has just committed a line, and waits an hour for company."""
    monkeypatch.setattr("cloud.logs.collector.writer.FLUSH_S", LONG_S)
    running.writer.start()
    running.put("first")
    running.wait_for("first")
    return running


def test_a_line_after_a_pause_is_committed_at_once(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.logs.collector.writer.FLUSH_S", LONG_S)
    running.writer.start()
    running.put("one")
    running.wait_for("one")
    assert running.count("store_records") == 1


def test_what_comes_soon_after_a_commit_is_one_commit(running: Running) -> None:
    running.writer.start()
    running.put("one")
    running.wait_for("one")
    for number in range(20):
        running.put(str(number))
    wait_until(lambda: len(running.store.messages) == 21, what="the others")
    assert running.store.batches == [["one"], [str(number) for number in range(20)]]
    assert running.metrics.registry.get_sample_value("cloudlog_store_commit_rows_bucket", {"le": "10.0"}) == 1
    assert running.metrics.registry.get_sample_value("cloudlog_store_commit_rows_bucket", {"le": "100.0"}) == 2


def test_who_hurries_does_not_wait_for_company(patient: Running) -> None:
    told = threading.Event()
    patient.put("two", told=told.set)
    patient.hurry()
    patient.wait_for("first", "two")
    assert told.wait(10)


def test_a_whole_row_group_does_not_wait_and_its_remainder_is_the_beginning_of_the_next(patient: Running) -> None:
    patient.put_many(2 * MAX_MESSAGES - 1)
    wait_until(lambda: len(patient.store.sizes) == 2, what="a row group")
    assert patient.store.sizes == [1, 122_880]
    patient.put_many(1)
    patient.hurry()
    wait_until(lambda: len(patient.store.sizes) == 3, what="the remainder")
    assert patient.store.sizes[2] == 122_880


def test_a_remainder_does_not_wait_for_more_than_the_time_between_commits(running: Running) -> None:
    running.put_many(MAX_MESSAGES + 5)
    running.writer.start()
    wait_until(lambda: sum(running.store.sizes) == 122_885, what="all of them")
    assert running.store.sizes == [122_880, 5]


def test_who_hurries_gets_the_remainder_of_a_row_group_committed_too(patient: Running) -> None:
    told = threading.Event()
    patient.use(patient.store)
    patient.put_many(MAX_MESSAGES + 5)
    patient.put("last", told=told.set)
    patient.hurry()
    patient.writer.start()
    assert told.wait(10)
    assert patient.store.sizes == [1, 122_880, 6]


def test_when_there_is_hardly_room_left_nothing_waits(patient: Running) -> None:
    """Else large messages, of which the pool holds less than a row group, would be stored once in FLUSH_S."""
    patient.use(patient.store, batches=3, batch_bytes=1000)
    patient.put("a")
    patient.writer.start()
    patient.wait_for("first", "a")
    assert patient.put("b" * 900)
    assert patient.put("c" * 900)
    assert patient.put("d" * 900)
    patient.wait_for("first", "a", "b" * 900, "c" * 900)


def test_stop_commits_what_waits_without_waiting_for_more(patient: Running) -> None:
    told = threading.Event()
    patient.put("two", told=told.set)
    patient.writer.stop()
    assert patient.store.messages == ["first", "two"]
    assert patient.inbox.is_drained
    assert told.is_set()


def test_a_line_that_comes_again_is_dropped_and_counted(running: Running) -> None:
    running.writer.start()
    running.put_numbered(1, 2)
    running.wait_for("1", "2")
    running.put_numbered(2, 3, 3)
    running.wait_for("1", "2", "3")
    assert running.count("lines_duplicate") == 2
    assert running.count("store_records") == 3
    assert running.store.marked == [Mark(RUN, 1, 2), Mark(RUN, 3, 3)]


def test_a_batch_of_nothing_but_duplicates_is_confirmed(running: Running) -> None:
    told = threading.Event()
    running.writer.start()
    running.put_numbered(1)
    running.wait_for("1")
    running.put_numbered(1, told=told.set)
    assert told.wait(10)
    assert running.store.messages == ["1"]


def test_senders_hear_of_it_after_the_commit(running: Running) -> None:
    stored_then: list[int] = []
    running.put_numbered(1, 2, told=lambda: stored_then.append(running.store.committed_row_id))
    running.writer.start()
    wait_until(lambda: stored_then, what="the answer")
    assert stored_then == [2]


def test_a_passing_refusal_is_tried_again_with_the_same_rows_in_the_same_order(running: Running) -> None:
    refused: list[list[str]] = []

    def three_times(batch: list[str]) -> StoreError | None:
        refused.append(batch)
        return StoreError("disk full") if len(refused) <= 3 else None

    running.store.refuse = three_times
    running.put("one", "two")
    running.writer.start()
    running.wait_for("one", "two")
    assert refused == [["one", "two"]] * 4
    assert running.count("store_failures", "retried") == 6
    wait_until(lambda: running.count("store_records") == 2, what="the count")
    assert not running.broken.is_set()


def test_while_the_store_refuses_the_pool_is_used_up_and_then_there_is_room_again(running: Running) -> None:
    running.use(running.store, batches=2, batch_bytes=104)
    told = threading.Event()
    running.inbox.on_room(told.set)
    running.store.refuse = lambda batch: StoreError("disk full")
    running.put("a" * 80)
    running.writer.start()
    wait_until(lambda: running.store.attempts, what="an attempt")
    assert running.put("b" * 80)
    assert not running.put("c" * 80)
    assert not told.is_set()
    running.store.refuse = lambda batch: None
    assert told.wait(10)
    wait_until(lambda: running.put("c" * 80), what="room")
    running.wait_for("a" * 80, "b" * 80, "c" * 80)


def test_one_poison_row_costs_itself_only_and_is_not_missed(running: Running) -> None:
    told = threading.Event()
    running.store.refuse = lambda batch: StoreError("bad value", is_lasting=True) if "3" in batch else None
    running.put_numbered(1, 2, 3, 4, 5, told=told.set)
    running.writer.start()
    assert told.wait(10)
    assert running.store.messages == ["1", "2", "4", "5"]
    assert running.count("store_failures", "row_refused") == 1
    assert Mark(RUN, 3, 3, MarkKind.WAIVED) in running.store.marked
    [report] = running.accounts.report(in_flight=True)
    assert (report.stored, report.waived, report.gaps) == (4, 1, [])


def test_a_full_disk_right_after_a_poison_row_does_not_end_the_writer(running: Running) -> None:
    outcomes = iter([StoreError("bad value", is_lasting=True), StoreError("disk full")])
    running.store.refuse = lambda batch: next(outcomes, None)
    running.put_numbered(7)
    running.writer.start()
    wait_until(lambda: running.store.marked == [Mark(RUN, 7, 7, MarkKind.WAIVED)], what="the mark")
    assert not running.broken.is_set()


def test_a_broken_engine_ends_the_writer_and_says_so(running: Running) -> None:
    told = threading.Event()
    running.store.refuse = lambda batch: StoreBrokenError("database has been invalidated")
    running.put("one", told=told.set)
    running.writer.start()
    assert running.broken.wait(10)
    assert running.store.attempts == 1
    assert not told.is_set()


def test_an_error_that_nobody_expected_ends_the_writer_and_says_so(running: Running) -> None:
    def surprise(batch: list[str]) -> StoreError | None:
        raise RuntimeError("surprise")

    running.store.refuse = surprise
    running.put("one")
    running.writer.start()
    assert running.broken.wait(10)


def test_what_is_refused_to_the_end_is_counted_as_lost_and_nobody_is_told_otherwise(running: Running) -> None:
    """Nor is anything stored behind it: the store asks for the same again, since its commit may have been one."""
    told = threading.Event()
    running.store.refuse = lambda batch: StoreError("disk full") if "one" in batch else None
    running.put("one", "two", told=told.set)
    running.put("three", observed_us=MIDNIGHT_US, told=told.set)
    running.writer.start()
    wait_until(lambda: running.store.attempts, what="an attempt")
    running.writer.stop()
    assert running.count("store_failures", "shutdown") == 3
    assert running.store.messages == []
    assert running.store.attempts < 100  # it paused between them
    assert not told.is_set()


def test_what_there_is_no_time_to_parse_at_shutdown_is_counted_and_not_confirmed(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloud.logs.collector.writer.RETRY_S", 10)  # the stop waits so much longer
    told = threading.Event()
    read, began = running.writer._parser.read, threading.Event()

    def slow(batch: Batch) -> Rows:
        began.set()
        time.sleep(0.3)  # longer than there is time for
        return read(batch)

    monkeypatch.setattr(running.writer._parser, "read", slow)
    running.put("one")
    running.writer.start()
    assert began.wait(10)
    running.put("two", "three", told=told.set)
    assert running.writer.stop()
    assert running.count("store_failures", "shutdown") == 2
    assert running.store.messages == ["one"]
    assert not told.is_set()


def test_a_writer_that_does_not_end_in_time_says_so(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.logs.collector.writer.STOP_TIMEOUT_S", 0.0)
    read, began, go_on = running.writer._parser.read, threading.Event(), threading.Event()

    def stuck(batch: Batch) -> Rows:
        began.set()
        assert go_on.wait(10)
        return read(batch)

    monkeypatch.setattr(running.writer._parser, "read", stuck)
    running.put("one")
    running.writer.start()
    assert began.wait(10)
    assert not running.writer.stop()
    assert running.writer.is_running
    go_on.set()
    wait_until(lambda: not running.writer.is_running, what="the end")


def test_a_batch_over_midnight_is_one_commit_a_day_and_is_confirmed_after_the_last(running: Running) -> None:
    stored_then: list[int] = []
    for text, at in (("a", -2), ("b", -1), ("c", 0), ("d", 1)):
        running.put(text, observed_us=MIDNIGHT_US + at, told=lambda: stored_then.append(running.store.committed_row_id))
    running.writer.start()
    running.wait_for("a", "b", "c", "d")
    assert running.store.batches == [["a", "b"], ["c", "d"]]
    wait_until(lambda: stored_then == [4, 4, 4, 4], what="the answers")


def test_accounts_are_kept_anew_when_the_store_has_lost_marks(running: Running) -> None:
    running.writer.start()
    running.put_numbered(1, 2)
    running.wait_for("1", "2")
    running.store.marked = [Mark(RUN, 1, 1)]  # as after a file was set aside
    running.writer.reload_accounts()
    running.put_numbered(1, 2)
    running.wait_for("1", "2", "2")


def test_a_store_that_does_not_give_its_marks_is_asked_again_and_ends_nothing(running: Running) -> None:
    running.writer.start()
    running.put_numbered(1)
    running.wait_for("1")
    running.store.marked = []
    running.store.refuse_marks = 1
    running.writer.reload_accounts()
    running.put_numbered(2)  # with the accounts as they were
    running.wait_for("1", "2")
    running.put_numbered(1)
    running.wait_for("1", "2", "1")
    assert not running.broken.is_set()


def test_failures_of_parsing_are_counted_by_reason(running: Running) -> None:
    running.put_lines(b"no pri", b"\xff", b"<13>1 - h a - - - @cee: x", at=NOON_US, told=None)
    running.writer.start()
    wait_until(lambda: len(running.store.messages) == 3, what="the rows")
    reasons = ("no_pri", "utf8", "json", "timestamp")
    assert [running.count("parse_failures", reason) for reason in reasons] == [2, 1, 1, 0]


def test_stopping_a_writer_that_never_ran_is_no_error(running: Running) -> None:
    running.writer.stop()


def test_with_the_real_store_many_small_batches_arrive_in_order_and_memory_stays(
    running: Running, tmp_path: Path
) -> None:
    store = DuckDbStore(tmp_path)
    running.use(store, batches=3, batch_bytes=20_000)
    running.writer.start()

    def put(first: int, count: int) -> None:
        for number in range(first, first + count):
            wait_until(partial(running.put, str(number)), what="room")
        wait_until(lambda: store.committed_row_id == first + count, what=f"{first + count} rows")

    put(0, 5000)
    before = pa.total_allocated_bytes()
    put(5000, 15_000)
    assert pa.total_allocated_bytes() - before < 1 << 20
    running.writer.stop()
    with store.tables() as [table]:
        rows = store.query(f"SELECT message FROM {table.sql_name} ORDER BY row_id", {})  # noqa: S608 - our own name
    assert rows.column("message").to_pylist() == [str(number) for number in range(20_000)]
    store.close()


def test_the_writer_keeps_its_rows_while_the_disk_is_full(running: Running, small_disk: Path) -> None:
    store = DuckDbStore(small_disk / "data")
    running.use(store)
    running.writer.start()
    running.put_numbered(1)
    wait_until(lambda: store.committed_row_id == 1, what="the first line")
    filler, room = small_disk / "filler", os.statvfs(small_disk)
    filler.write_bytes(b"x" * (room.f_bavail * room.f_frsize))
    line = b'<13>1 - h a - - [line@32473 host="compute-01" start="A" n="%d"] %s'
    lines = [line % (number, os.urandom(1000).hex().encode()) for number in range(2, 52)]
    told = threading.Event()
    running.put_lines(*lines, at=NOON_US, told=told.set)
    wait_until(lambda: (running.count("store_failures", "retried") or 0) >= 150, what="three refusals")
    assert store.committed_row_id == 1
    assert not told.is_set()
    filler.unlink()
    assert told.wait(10)
    assert store.committed_row_id == 51
    assert list(store.marks()) == [Mark(RUN, 1, 51)]
    running.writer.stop()
    store.close()
