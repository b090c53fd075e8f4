"""Counts, histograms and facets out of a real store."""

import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.store import Guard, StoreError
from cloud.logs.query.counting import Asked, Counting, CountTable
from cloud.logs.query.facets import facets
from cloud.logs.query.histogram import histogram, interval_for
from cloud.logs.query.language.compiler import compile_where
from cloud.logs.query.language.parser import parse
from cloud.logs.query.limit import Limit
from cloud.logs.query.memory import TooManyValuesError
from cloud.logs.query.time_range import TimeRange
from cloud.logs.query.where import Where
from tests.collector.batches import DAY_US, NOON_US, numbered, table_of

NOON = datetime(2027, 1, 15, 12, tzinfo=UTC)
EVERYTHING = TimeRange()


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDbStore]:
    """Of three days 10, 20 and 30 rows, some of them of each host, in two files each."""
    opened = DuckDbStore(tmp_path_factory.mktemp("days"))
    for day, rows in enumerate((10, 20, 30)):
        for host in ("h1", "h2"):
            opened.append(numbered(0, rows // 2, host=host, observed_us=NOON_US + day * DAY_US))
            opened.stop_appending(lambda file: True)
    yield opened
    opened.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDbStore]:
    opened = DuckDbStore(tmp_path)
    yield opened
    opened.close()


def asked(text: str = "", time: TimeRange = EVERYTHING) -> Asked:
    return Asked(compile_where(parse(text).condition), time, Limit.after(30))


def count(store: DuckDbStore, text: str, time: TimeRange = EVERYTHING) -> CountTable:
    query = parse(text)
    return Counting(store).stage(Asked(compile_where(query.condition), time, Limit.after(30)), query.stages[0])


def listed(table: CountTable) -> list[list[object]]:
    return [list(row) for row in table.rows]


TABLES = [
    ("| count", ("count",), [[60]]),
    ("| count by host", ("host", "count"), [["h1", 30], ["h2", 30]]),
    ("host:h1 | count by 1d", ("time", "count"), [[f"2027-01-{15 + n}T00:00:00Z", 5 * (n + 1)] for n in range(3)]),
    ("| count by 1d, host", ("time", "host", "count"),
     [[f"2027-01-{15 + n}T00:00:00Z", host, 5 * (n + 1)] for n in range(3) for host in ("h1", "h2")]),
    ("| top 2 message", ("message", "count"), [["0", 6], ["1", 6]]),
    ("| top 3 service", ("service", "count"), [["nova-api", 60]]),
    ("| count by event, severity, facility", ("event", "severity", "facility", "count"), [[None, "info", "local0", 60]]),
    ("| count by fields.x", ("fields.x", "count"), [[None, 60]]),
    ("host:h3 | count by host", ("host", "count"), []),
    ("host:h3 | count", ("count",), [[0]]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "columns", "rows"), TABLES)
def test_a_pipe_counts_over_all_files(
    days: DuckDbStore, text: str, columns: tuple[str, ...], rows: list[list[object]]
) -> None:
    table = count(days, text)
    assert (table.columns, listed(table)) == (columns, rows)
    assert (table.others, table.counts.is_partial) == (48 if text == "| top 2 message" else 0, False)


def test_only_the_time_range_is_counted(days: DuckDbStore) -> None:
    day = timedelta(days=1)
    assert listed(count(days, "| count", TimeRange(NOON + day, NOON + 2 * day))) == [[20]]
    assert listed(count(days, "| count by 1d", TimeRange(NOON + day))) == [
        ["2027-01-16T00:00:00Z", 20],
        ["2027-01-17T00:00:00Z", 30],
    ]


def test_values_of_fields_are_counted_beside_a_condition_on_others(store: DuckDbStore) -> None:
    for status, code in ((200, "a"), (500, "b"), (500, "a"), (500, "b")):
        body = b'{"message": "m", "status": %d, "code": "%s"}' % (status, code.encode())
        store.append(table_of(b"<134>1 - h nova-api - - - @cee: " + body))
    assert listed(count(store, "fields.status:500 | count by fields.code, fields.status")) == [
        ["b", "500", 2],
        ["a", "500", 1],
    ]


def test_intervals_follow_the_clock_of_the_range(store: DuckDbStore) -> None:
    store.append(table_of(b"<134>1 2027-01-10T08:00:00Z h nova-api - - - old", b"<134>1 - h nova-api - - - none"))
    assert listed(count(store, "| count by 1h")) == [["2027-01-15T12:00:00Z", 2]]
    assert listed(count(store, "| count by 1h", TimeRange(clock="emitted"))) == [
        ["2027-01-10T08:00:00Z", 1],
        ["2027-01-15T12:00:00Z", 1],
    ]


def test_rare_values_beyond_the_bound_are_added_up(store: DuckDbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.logs.query.counting.MAX_GROUPS", 3)
    for number in range(10):
        store.append(
            numbered(number, 1 + (number == 4), host=f"h{number}", observed_us=NOON_US + number * 3_600_000_000)
        )
    table = count(store, "| count by host")
    assert len(table.rows) == 3
    assert listed(table)[0] == ["h4", 2]
    assert (table.others, table.counts.total) == (7, 11)


def test_values_beyond_the_size_of_an_answer_are_added_up(store: DuckDbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.logs.query.tally.PAGE_BYTES", 2500)
    texts = [letter * 1000 for letter in (b"a", b"b", b"b", b"c", b"c", b"c", b"d")]
    store.append(table_of(*(b"<134>1 - h nova-api - - - " + text for text in texts)))
    table = count(store, "| count by message")
    assert [(row[0][0], row[1]) for row in table.rows] == [("c", 3), ("b", 2)]
    assert (table.others, table.counts.total) == (2, 7)


def test_long_values_are_counted_by_their_beginnings(store: DuckDbStore) -> None:
    store.append(table_of(*(b"<134>1 - h nova-api - - - " + b"x" * 1000 + end for end in (b"a", b"b"))))
    assert listed(count(store, "| top 5 message")) == [["x" * 1000, 2]]


def test_a_count_that_is_cut_says_how_far_it_got(days: DuckDbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    read, gone = days.query, threading.Event()

    def query(sql: str, parameters: Mapping[str, object], guard: Guard | None = None) -> pa.Table:
        if "2027-01-16" in sql:
            gone.set()
        return read(sql, parameters, guard)

    monkeypatch.setattr(days, "query", query)
    stage = parse("| count").stages[0]
    table = Counting(days).stage(Asked(Where(), EVERYTHING, Limit.after(30, gone)), stage)
    assert table.counts.is_partial
    assert listed(table) in ([[30]], [[50]])
    assert table.counts.reached is not None
    assert table.counts.reached <= NOON + timedelta(days=2)


INTERVALS = [
    (timedelta(minutes=15), 60, 15.0),
    (timedelta(hours=1), 60, 60.0),
    (timedelta(hours=24), 60, 1800.0),
    (timedelta(days=7), 60, 10800.0),
    (timedelta(days=60), 60, 86400.0),
    (timedelta(days=365), 60, 7 * 86400.0),
    (timedelta(seconds=1), 60, 0.02),
    (timedelta(), 60, 0.001),
    (timedelta(hours=1), 6, 600.0),
]


@pytest.mark.parametrize(("length", "buckets", "expected_s"), INTERVALS)
def test_intervals_are_round_numbers(length: timedelta, buckets: int, expected_s: float) -> None:
    assert interval_for(TimeRange(NOON, NOON + length), buckets) == expected_s


def test_a_histogram_begins_at_a_round_time_and_has_empty_intervals(days: DuckDbStore) -> None:
    time = TimeRange(NOON - timedelta(hours=7), NOON + timedelta(days=2, hours=1))
    drawn = histogram(Counting(days), asked("", time), 43_200)
    assert [(bucket.begin.isoformat()[5:13], bucket.count) for bucket in drawn.buckets] == [
        ("01-15T00", 0), ("01-15T12", 10), ("01-16T00", 0), ("01-16T12", 20), ("01-17T00", 0), ("01-17T12", 30),
    ]  # fmt: skip
    assert drawn.buckets[1].by_severity == {"info": 10}


def test_a_histogram_without_an_end_or_of_too_many_intervals_is_refused(days: DuckDbStore) -> None:
    with pytest.raises(ValueError, match=r"^cannot draw a time range without an end$"):
        histogram(Counting(days), asked(), 60)
    with pytest.raises(ValueError, match=r"^cannot draw 86400 intervals of 1 s: at most 1000$"):
        histogram(Counting(days), asked("", TimeRange(NOON, NOON + timedelta(days=1))), 1)
    with pytest.raises(ValueError, match=r"^cannot choose an interval for a time range without an end$"):
        interval_for(EVERYTHING)


def test_facets_count_each_name_by_itself(days: DuckDbStore) -> None:
    found = facets(days, asked("host:h1"), 5)
    assert {name: [(each.value, each.count) for each in values] for name, values in found.values_of.items()} == {
        "host": [("h1", 30)],
        "service": [("nova-api", 30)],
        "facility": [("local0", 30)],
        "severity": [("info", 30)],
        "event": [(None, 30)],
    }
    assert not found.is_partial


def test_facets_of_nothing_have_no_values(store: DuckDbStore) -> None:
    assert facets(store, asked(), 5).values_of == {
        name: [] for name in ("host", "service", "facility", "severity", "event")
    }


def test_facets_beyond_the_bound_are_counted_as_others(store: DuckDbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.logs.query.counting.MAX_GROUPS", 3)
    headers = [b"<134>1 - h nova-api - id%d - m" % number for number in range(40)]  # each a header of its own
    store.append(table_of(*headers, *(b"<134>1 - h s%d - - - m" % number for number in range(5))))
    found = facets(store, asked(), 5)
    assert (found.values_of["service"][0].value, found.values_of["service"][0].count) == ("nova-api", 40)
    assert len(found.values_of["service"]) == 3
    assert found.others == {"host": 0, "service": 3, "facility": 0, "severity": 0, "event": 0}


class LittleMemory:
    """A store that has no memory for more than `most` rows of a window at once."""

    def __init__(self, store: DuckDbStore, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
        self._most = most
        self._read = store.query
        self.refused = 0
        monkeypatch.setattr(store, "query", self._query)

    def _query(self, sql: str, parameters: Mapping[str, object], guard: Guard | None = None) -> pa.Table:
        answer = self._read(sql, parameters, guard)
        if "total" in answer.column_names and answer.num_rows and answer["total"][0].as_py() > self._most:
            self.refused += 1
            cause = duckdb.OutOfMemoryException("Out of Memory Error: failed to pin block")
            raise StoreError("cannot query the store: out of memory") from cause
        return answer


def test_a_count_without_memory_asks_for_less_at_once(store: DuckDbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(12):
        store.append(numbered(number, 1, observed_us=NOON_US + number * 1_000_000))
    little = LittleMemory(store, monkeypatch, 4)
    table = count(store, "| count by message")
    assert sorted(listed(table)) == sorted([str(number), 1] for number in range(12))
    assert not table.counts.is_partial
    assert little.refused > 0


def test_facets_without_memory_ask_for_less_at_once(store: DuckDbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(12):
        store.append(numbered(number, 1, host=f"h{number % 2}", observed_us=NOON_US + number * 1_000_000))
    little = LittleMemory(store, monkeypatch, 4)
    found = facets(store, asked(), 5)
    assert [(each.value, each.count) for each in found.values_of["host"]] == [("h0", 6), ("h1", 6)]
    assert (found.others["host"], found.is_partial) == (0, False)
    assert little.refused > 0


def test_a_count_of_too_many_values_at_one_moment_is_refused(
    store: DuckDbStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append(numbered(0, 12))
    LittleMemory(store, monkeypatch, 4)
    with pytest.raises(TooManyValuesError, match=r"^cannot count: there are too many different values$"):
        count(store, "| count by message")


def test_values_are_cut_before_they_are_grouped(store: DuckDbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.append(numbered(0, 1))
    asked_for: list[str] = []
    read = store.query

    def query(sql: str, parameters: Mapping[str, object], guard: Guard | None = None) -> pa.Table:
        asked_for.append(sql)
        return read(sql, parameters, guard)

    monkeypatch.setattr(store, "query", query)
    assert listed(count(store, "| count by message")) == [["0", 1]]
    assert "THEN left(message, 1000) ELSE message END AS value0, count(*) AS rows," in asked_for[-1]


def test_of_a_single_window_no_more_values_are_read_than_are_shown(
    store: DuckDbStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append(numbered(0, 30))
    store.append(numbered(7, 1))
    read, answers = store.query, []

    def query(sql: str, parameters: Mapping[str, object], guard: Guard | None = None) -> pa.Table:
        answers.append(read(sql, parameters, guard))
        return answers[-1]

    monkeypatch.setattr(store, "query", query)
    table = count(store, "| top 3 message")
    assert (listed(table), table.others, answers[-1].num_rows) == ([["7", 2], ["0", 1], ["1", 1]], 27, 3)


def test_intervals_before_1970_begin_before_their_rows(store: DuckDbStore) -> None:
    store.append(
        table_of(
            *(b"<134>1 %s h nova-api - - - m" % at for at in (b"1969-12-31T23:30:00Z", b"1969-12-31T22:00:00Z")),
            b"<134>1 1970-01-01T00:30:00Z h nova-api - - - m",
        )
    )
    assert listed(count(store, "| count by 1h", TimeRange(clock="emitted"))) == [
        ["1969-12-31T22:00:00Z", 1],
        ["1969-12-31T23:00:00Z", 1],
        ["1970-01-01T00:00:00Z", 1],
    ]


def test_a_histogram_of_all_years_begins_with_the_first_moment(store: DuckDbStore) -> None:
    first = datetime.min.replace(tzinfo=UTC)
    store.append(table_of(b"<134>1 0001-01-01T00:00:00Z h nova-api - - - m"))
    time = TimeRange(first, NOON, "emitted")
    drawn = histogram(Counting(store), asked("", time), interval_for(time))
    assert (drawn.buckets[0].begin, drawn.buckets[0].count) == (first, 1)
    assert drawn.buckets[-1].begin < NOON
