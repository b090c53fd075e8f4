"""What the writer makes of a budget, with a real store: what is stored, what is missed, and who is told."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloud.logs.collector.batch import Source
from cloud.logs.collector.budget import Budget
from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.inbox import Inbox
from cloud.logs.collector.lines import LineAccounts, Mark, MarkKind, Run, RunReport
from cloud.logs.collector.metrics import Metrics
from cloud.logs.collector.store import StoreError
from cloud.logs.collector.writer import Writer

NOON_US = 1_800_014_400_000_000  # 2027-01-15 12:00:00 UTC
MIDNIGHT_US = NOON_US + 43_200_000_000
NOON_S = NOON_US / 1e6
PEER, BACKFILL = Source("192.0.2.7"), Source("backfill")
RUN, OTHER = Run("compute-01", "A"), Run("compute-02", "A")
INFO, WARNING = 6, 4
LINE_BYTES = 100


def line(number: int, severity: int = INFO, *, host: str = "compute-01", body: str | None = None) -> bytes:
    """100 bytes; its message is its number, but for the spaces behind it, or that of the `body`."""
    text = f'<{severity}>1 - h a - - [line@32473 host="{host}" start="A" n="{number}"] {body or number}'
    return text.encode().ljust(LINE_BYTES)


class Site:
    """A writer with a real store in `data`, from start to stop."""

    def __init__(self, data: Path, daily_bytes: int = 300) -> None:
        self.store = DuckDbStore(data, now_s=lambda: NOON_S)
        self.metrics = Metrics()
        self.accounts = LineAccounts(self.store.marks())
        self.inbox = Inbox(4, 1 << 20)
        self.broken = threading.Event()
        self.writer = Writer(
            self.inbox,
            self.store,
            self.accounts,
            Budget(daily_bytes, self.metrics, data),
            self.metrics,
            on_broken=self.broken.set,
        )
        self.writer.start()

    def send(self, *lines: bytes, at: int = NOON_US, source: Source = PEER) -> None:
        """One batch; returns when the sender is told that it is durable."""
        told = threading.Event()
        self.put(*lines, at=at, source=source, told=told.set)
        assert told.wait(10)

    def put(self, *lines: bytes, at: int, source: Source, told: Callable[[], None]) -> None:
        with self.inbox.lock:
            batch = self.inbox.current(len(lines) * LINE_BYTES)
            assert batch is not None
            for each in lines:
                batch.add_payload(each, source, at)
            batch.on_commit.append(told)
            self.inbox.hurry()
            self.inbox.filled()

    def stored(self) -> list[str]:
        with self.store.tables() as tables:
            found = [
                self.store.query(f"SELECT row_id, message FROM {table.sql_name}", {}).to_pylist()  # noqa: S608 - our names
                for table in tables
            ]
        rows = sorted((row["row_id"], row["message"]) for part in found for row in part)
        return [message.strip() for _, message in rows]

    def report(self, host: str = "compute-01") -> RunReport:
        [report] = self.accounts.report(host, in_flight=True)
        return report

    def dropped(self) -> list[float | None]:
        value = self.metrics.registry.get_sample_value
        return [value("cloudlog_budget_dropped_total", {"reason": reason}) for reason in ("info", "all")]

    def stop(self) -> None:
        self.writer.stop()
        self.store.close()
        assert not self.broken.is_set()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.stop()


def test_what_is_dropped_is_not_stored_not_missed_and_its_sender_is_told(site: Site) -> None:
    site.send(*(line(number, WARNING if number in (6, 9) else INFO) for number in range(1, 11)))
    assert site.stored() == ["1", "2", "3", "6", "9"]
    report = site.report()
    assert (report.stored, report.waived, report.gaps, report.last) == (5, 5, [], 10)
    assert site.dropped() == [5, 0]
    assert site.metrics.registry.get_sample_value("cloudlog_store_records_total") == 5


def test_a_number_that_never_came_is_missed_all_the_same(site: Site) -> None:
    site.send(line(1), line(2), line(3), line(4), line(7), line(8, WARNING))
    report = site.report()
    assert (report.stored, report.waived, report.gaps) == (4, 2, [(5, 6)])


def test_a_batch_of_which_all_is_dropped_is_let_go_of_when_its_marks_are_durable(site: Site) -> None:
    site.send(*(line(number, WARNING) for number in range(1, 7)))
    marks_then: list[list[Mark]] = []
    told = threading.Event()

    def tell() -> None:
        marks_then.append(list(site.store.marks()))
        told.set()

    site.put(line(7, WARNING), line(8), at=NOON_US, source=PEER, told=tell)
    assert told.wait(10)
    assert marks_then == [[Mark(RUN, 1, 6), Mark(RUN, 7, 8, MarkKind.WAIVED)]]
    assert site.stored() == ["1", "2", "3", "4", "5", "6"]
    assert site.dropped() == [0, 2]
    assert site.inbox.size_bytes == 0


def test_unnumbered_lines_alone_are_dropped_without_a_trace_but_the_count(site: Site) -> None:
    site.send(*(b"<14>1 - h a - - - x".ljust(LINE_BYTES) for _ in range(3)))
    site.send(b"<14>1 - h a - - - y", b"<14>1 - h a - - - z")
    assert site.stored() == ["x"] * 3
    assert site.dropped() == [2, 0]
    assert site.store.marks() == []


def test_only_the_host_that_is_over_its_budget_is_limited(site: Site) -> None:
    both = [line(number, host=host) for number in range(1, 6) for host in ("compute-01", "compute-02")]
    site.send(*both[:6], *both[6::2])
    site.send(line(4, WARNING, host="compute-02"))
    assert site.stored() == ["1", "1", "2", "2", "3", "3", "4"]
    assert (site.report("compute-02").stored, site.report("compute-02").gaps) == (4, [])
    assert site.report("compute-01").waived == 2


def test_a_dropped_line_that_comes_again_is_dropped_again_and_stored_once_when_it_is_backfilled(site: Site) -> None:
    lines = [line(number) for number in range(1, 6)]
    site.send(*lines)
    site.send(*lines)
    site.send(*lines, source=BACKFILL)
    assert site.stored() == ["1", "2", "3", "4", "5"]
    report = site.report()
    assert (report.stored, report.waived, report.gaps) == (5, 0, [])


def test_a_batch_of_duplicates_and_dropped_lines_stores_neither(site: Site) -> None:
    site.send(*(line(number, WARNING) for number in range(1, 4)))
    site.send(line(4), line(3, WARNING), line(4), line(5, WARNING))
    assert site.stored() == ["1", "2", "3", "5"]
    assert site.metrics.registry.get_sample_value("cloudlog_lines_duplicate_total") == 1
    assert (site.report().stored, site.report().waived, site.report().gaps) == (4, 1, [])


def test_what_is_backfilled_is_stored_however_much_it_is(site: Site) -> None:
    site.send(*(line(number, WARNING) for number in range(1, 8)))
    site.send(*(line(number) for number in range(8, 30)), source=BACKFILL)
    site.send(line(1, host="compute-02"))
    assert site.stored() == [*map(str, range(1, 7)), *map(str, range(8, 30)), "1"]
    assert site.report().gaps == []


def test_lines_of_a_migration_are_kept(site: Site) -> None:
    body = '@cee: {"migration":"m1","message":"%s"}'
    site.send(*(line(number) for number in range(1, 5)), line(5, body=body % "a"), line(6))
    assert site.stored() == ["1", "2", "3", "a"]


def test_on_a_new_day_a_host_is_let_be_again_and_a_batch_over_midnight_is_whole(site: Site) -> None:
    site.send(*(line(number) for number in range(1, 5)))
    told = threading.Event()
    with site.inbox.lock:
        batch = site.inbox.current(LINE_BYTES)
        assert batch is not None
        for number, at in ((5, MIDNIGHT_US - 1), (6, MIDNIGHT_US), (7, MIDNIGHT_US + 1)):
            batch.add_payload(line(number), PEER, at)
        batch.on_commit.append(told.set)
        site.inbox.hurry()
    assert told.wait(10)
    assert site.stored() == ["1", "2", "3", "6", "7"]
    assert (site.report().waived, site.report().gaps) == (2, [])


def test_a_restart_keeps_the_counts_and_misses_nothing(tmp_path: Path) -> None:
    first = Site(tmp_path)
    first.send(line(1))
    first.send(*(line(number) for number in range(2, 6)))  # too soon after that to be saved before the stop
    first.stop()
    second = Site(tmp_path)
    assert (second.report().waived, second.report().gaps) == (2, [])
    second.send(line(6), line(7, WARNING))
    assert second.stored() == ["1", "2", "3", "7"]
    assert (second.report().stored, second.report().waived, second.report().gaps) == (4, 3, [])
    second.stop()


def test_a_store_that_refuses_for_a_while_gets_the_marks_with_the_rows(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloud.logs.collector.writer.RETRY_S", 0.01)
    append, refusals = site.store.append, iter([StoreError("disk full")] * 3)

    def refuse(*arguments: object) -> int:
        if error := next(refusals, None):
            raise error
        return append(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(site.store, "append", refuse)
    site.send(*(line(number) for number in range(1, 6)))
    assert site.stored() == ["1", "2", "3"]
    assert site.store.marks() == [Mark(RUN, 1, 3), Mark(RUN, 1, 5, MarkKind.WAIVED)]


def test_a_poison_row_beside_dropped_ones_costs_only_itself(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    append = site.store.append

    def refuse(rows: object, marks: object = (), keep: object = None) -> int:
        numbers = rows.column("sequence").to_pylist() if rows.num_columns else []  # type: ignore[attr-defined]
        if 2 in numbers:
            raise StoreError("bad value", is_lasting=True)
        return append(rows, marks, keep)  # type: ignore[arg-type]

    monkeypatch.setattr(site.store, "append", refuse)
    site.send(*(line(number) for number in range(1, 6)))
    assert site.stored() == ["1", "3"]
    report = site.report()
    assert (report.stored, report.waived, report.gaps) == (2, 3, [])
