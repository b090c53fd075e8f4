import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.inbox import Inbox
from cloud.logs.collector.metrics import Metrics
from cloud.logs.collector.store import DayTable, StoreBrokenError, StoreError
from cloud.logs.collector.writer import Writer
from tests.collector.batches import DAY_US, NOON_US, received
from tests.waiting import wait_until


class FakeStore:
    """Implements `Store`: keeps what is appended in lists, and refuses as it is told."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.refuse: Callable[[list[str]], StoreError | None] = lambda batch: None
        self.attempts = 0

    @property
    def committed_row_id(self) -> int:
        return sum(map(len, self.batches))

    def append(self, rows: pa.Table) -> int:
        self.attempts += 1
        batch = rows.column("message").to_pylist()
        if error := self.refuse(batch):
            raise error
        self.batches.append(batch)
        return len(batch)

    def days(self) -> Sequence[DayTable]:
        return ()

    def query(self, sql: str, parameters: Mapping[str, object]) -> pa.Table:
        raise NotImplementedError

    def on_commit(self, tell: Callable[[], None]) -> Callable[[], None]:
        raise NotImplementedError

    def close(self) -> None: ...

    @property
    def messages(self) -> list[str]:
        return [message for batch in self.batches for message in batch]


class Running:
    """A writer with a fake store."""

    def __init__(self) -> None:
        self.store = FakeStore()
        self.inbox = Inbox(1 << 20)
        self.metrics = Metrics()
        self.broken = threading.Event()
        self.writer = Writer(self.inbox, self.store, self.metrics, on_broken=self.broken.set)

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


def put(running: Running, *messages: str) -> None:
    running.inbox.put([received(f"<13>1 - h a - - - {message}".encode()) for message in messages])


def test_a_line_after_a_pause_is_committed_at_once(running: Running) -> None:
    running.writer.start()
    put(running, "one")
    wait_until(lambda: running.store.batches == [["one"]], timeout_s=0.2, what="the first line")
    assert running.count("store_records") == 1


def test_what_comes_soon_after_a_commit_is_one_commit(running: Running) -> None:
    running.writer.start()
    put(running, "one")
    wait_until(lambda: running.store.batches, what="the first line")
    for number in range(20):
        put(running, str(number))
    wait_until(lambda: len(running.store.messages) == 21, what="the others")
    assert running.store.batches == [["one"], [str(number) for number in range(20)]]


def test_a_whole_row_group_does_not_wait(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.logs.collector.writer.MAX_BATCH", 10)
    monkeypatch.setattr("cloud.logs.collector.writer.FLUSH_S", 3600)
    put(running, *map(str, range(30)))
    running.writer.start()
    wait_until(lambda: len(running.store.messages) == 30, what="three row groups")
    assert [len(batch) for batch in running.store.batches] == [10, 10, 10]


def test_stop_commits_what_waits_without_waiting_for_more(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.logs.collector.writer.FLUSH_S", 3600)
    running.writer.start()
    put(running, "one")
    wait_until(lambda: running.store.batches, what="the first line")
    put(running, "two")
    running.writer.stop()
    assert running.store.messages == ["one", "two"]
    assert running.inbox.is_drained


def test_a_passing_refusal_is_tried_again_with_the_same_rows_in_the_same_order(running: Running) -> None:
    refused: list[list[str]] = []

    def three_times(batch: list[str]) -> StoreError | None:
        refused.append(batch)
        return StoreError("disk full") if len(refused) <= 3 else None

    running.store.refuse = three_times
    put(running, "one", "two")
    running.writer.start()
    wait_until(lambda: running.store.batches, what="the fourth attempt")
    assert refused == [["one", "two"]] * 4
    assert running.store.batches == [["one", "two"]]
    assert running.count("store_failures", "retried") == 6
    assert running.count("store_records") == 2
    assert not running.broken.is_set()


def test_while_the_store_refuses_senders_are_held(running: Running) -> None:
    running.inbox = Inbox(1)
    running.writer = Writer(running.inbox, running.store, running.metrics, on_broken=running.broken.set)
    running.store.refuse = lambda batch: StoreError("disk full")
    running.writer.start()
    put(running, "one")
    wait_until(lambda: running.store.attempts, what="an attempt")
    put(running, "two")
    sender = threading.Thread(target=put, args=(running, "three"))
    sender.start()
    sender.join(0.05)
    assert sender.is_alive()
    running.store.refuse = lambda batch: None
    sender.join(10)
    wait_until(lambda: running.store.messages == ["one", "two", "three"], what="all three")


def test_one_poison_row_costs_itself_only(running: Running) -> None:
    running.store.refuse = lambda batch: StoreError("bad value", is_lasting=True) if "poison" in batch else None
    put(running, "a", "b", "poison", "c", "d", "e", "f")
    running.writer.start()
    wait_until(lambda: len(running.store.messages) == 6, what="the others")
    assert running.store.messages == ["a", "b", "c", "d", "e", "f"]
    assert running.count("store_failures", "row_refused") == 1
    put(running, "g")
    wait_until(lambda: running.store.messages[-1] == "g", what="the next")


def test_a_broken_engine_ends_the_writer_and_says_so(running: Running) -> None:
    running.store.refuse = lambda batch: StoreBrokenError("database has been invalidated")
    put(running, "one")
    running.writer.start()
    assert running.broken.wait(10)
    assert running.store.attempts == 1


def test_an_error_that_nobody_expected_ends_the_writer_and_says_so(running: Running) -> None:
    def surprise(batch: list[str]) -> StoreError | None:
        raise RuntimeError("surprise")

    running.store.refuse = surprise
    put(running, "one")
    running.writer.start()
    assert running.broken.wait(10)


def test_what_is_refused_to_the_end_is_counted_as_lost(running: Running) -> None:
    running.store.refuse = lambda batch: StoreError("disk full")
    put(running, "one", "two")
    running.writer.start()
    wait_until(lambda: running.store.attempts, what="an attempt")
    running.writer.stop()
    assert running.count("store_failures", "shutdown") == 2
    assert running.store.attempts < 100  # it paused between them


def test_a_batch_over_midnight_is_one_commit_a_day(running: Running) -> None:
    midnight = NOON_US + DAY_US // 2
    for text, observed_us in (("a", midnight - 2), ("b", midnight - 1), ("c", midnight), ("d", midnight + 1)):
        running.inbox.put([received(f"<13>1 - h a - - - {text}".encode(), observed_us)])
    running.writer.start()
    wait_until(lambda: len(running.store.messages) == 4, what="both days")
    assert running.store.batches == [["a", "b"], ["c", "d"]]


def test_failures_of_parsing_are_counted_by_reason(running: Running) -> None:
    running.inbox.put([received(b"no pri"), received(b"\xff"), received(b"<13>1 - h a - - - @cee: x")])
    running.writer.start()
    wait_until(lambda: len(running.store.messages) == 3, what="the rows")
    assert [running.count("parse_failures", reason) for reason in ("no_pri", "utf8", "json", "timestamp")] == [
        2,
        1,
        1,
        0,
    ]


def test_stopping_a_writer_that_never_ran_is_no_error(running: Running) -> None:
    running.writer.stop()


def test_with_the_real_store_a_thousand_small_batches_arrive_in_order(running: Running, tmp_path: Path) -> None:
    store = DuckDbStore(tmp_path)
    writer = Writer(running.inbox, store, running.metrics, on_broken=running.broken.set)
    writer.start()
    for number in range(1000):
        put(running, str(number))
    wait_until(lambda: store.committed_row_id == 1000, what="1000 rows")
    writer.stop()
    [day] = store.days()
    rows = store.query(f"SELECT message FROM {day.sql_name} ORDER BY row_id", {}).to_pylist()  # noqa: S608
    assert [row["message"] for row in rows] == [str(number) for number in range(1000)]
    store.close()
