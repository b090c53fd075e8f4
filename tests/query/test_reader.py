import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.query.filter import Filter
from cloud.logs.query.reader import Reader
from tests.collector.batches import DAY_US, NOON_US, numbered, table_of

LINES = [
    b'<131>1 2027-01-15T11:00:00Z compute-01 nova-api 1 - - @cee: {"message": "one", "request_id": "req-1", "x": "a"}',
    b'<134>1 - compute-02 nova-compute - - - @cee: {"message": "two", "request_id": "req-1", "instance": "i-1", "x": "b"}',
    (
        b'<142>1 - compute-01 nova-compute - - - @cee: {"message": "three", "instance": "i-1", "level": "INFO", "x": "a",'
        b' "y": "b"}'
    ),
    b"<11>1 - compute-01 sshd - - - four",
    b"five",
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDbStore]:
    opened = DuckDbStore(tmp_path)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """For the tests that only read: it finds LINES."""
    opened = DuckDbStore(tmp_path_factory.mktemp("reader"))
    opened.append(table_of(*LINES))
    yield Reader(opened)
    opened.close()


def newest(reader: Reader, wanted: Filter = Filter(), limit: int = 100) -> list[str]:  # noqa: B008 - it is frozen
    return [row["message"] for row in reader.newest(wanted, limit, reader.committed_row_id)]


def after(reader: Reader, row_id: int, up_to: int, wanted: Filter = Filter(), limit: int = 100) -> list[str]:  # noqa: B008
    return [row["message"] for row in reader.after(wanted, limit, row_id, up_to).rows]


FILTERS = [
    ("none", Filter(), ["one", "two", "three", "four", "five"]),
    ("host", Filter(host="compute-01"), ["one", "three", "four"]),
    ("a host that is not there", Filter(host="compute-03"), []),
    ("a host in other case", Filter(host="Compute-01"), []),
    ("an empty host", Filter(host=""), []),
    ("service", Filter(service="nova-compute"), ["two", "three"]),
    ("severity", Filter(severity=3), ["one", "four"]),
    ("the least severity", Filter(severity=7), ["one", "two", "three", "four", "five"]),
    ("the greatest severity", Filter(severity=0), []),
    ("request", Filter(request_id="req-1"), ["one", "two"]),
    ("instance", Filter(instance="i-1"), ["two", "three"]),
    ("field", Filter(fields={"x": "a"}), ["one", "three"]),
    ("two fields", Filter(fields={"x": "a", "y": "b"}), ["three"]),
    ("a field that is not there", Filter(fields={"z": "a"}), []),
    ("host and service", Filter(host="compute-01", service="nova-compute"), ["three"]),
    ("everything", Filter("compute-02", "nova-compute", 6, "req-1", "i-1", {"x": "b"}), ["two"]),
]


@pytest.mark.parametrize(("wanted", "expected"), [pytest.param(*case, id=name) for name, *case in FILTERS])
def test_filters_choose_rows(reader: Reader, wanted: Filter, expected: list[str]) -> None:
    assert newest(reader, wanted) == expected
    assert after(reader, 0, 5, wanted) == expected
    assert sum(row["count"] for row in reader.count(wanted, ())) == len(expected)


def test_rows_of_unwanted_events_are_left_out_and_rows_without_one_are_not(store: DuckDbStore) -> None:
    def line(event: str, text: str) -> bytes:
        return b'<142>1 - compute-01 nova-api - - - @cee: {"event":"%s","message":"%s"}' % (
            event.encode(),
            text.encode(),
        )

    store.append(
        table_of(line("canary", "one"), b"<142>1 - compute-01 nova-api - - - two", line("rpc.timeout", "three"))
    )
    reader = Reader(store)
    assert newest(reader, Filter(without_events=("canary",))) == ["two", "three"]
    assert newest(reader, Filter(without_events=("canary", "rpc.timeout"))) == ["two"]
    assert newest(reader, Filter(without_events=("' OR 1=1 --",))) == ["one", "two", "three"]
    assert after(reader, 0, 3, Filter(without_events=("canary",))) == ["two", "three"]
    assert reader.count(Filter(without_events=("canary",)), ()) == [{"count": 2}]


def test_a_row_is_as_the_vocabulary_names_it(reader: Reader) -> None:
    first, *_, last = reader.newest(Filter(), 5, 5)
    assert first == {
        "row_id": 1,
        "observed_timestamp": "2027-01-15T12:00:00Z",
        "timestamp": "2027-01-15T11:00:00Z",
        "hostname": "compute-01",
        "peer": "192.0.2.7",
        "facility": "local0",
        "severity": "err",
        "app_name": "nova-api",
        "procid": "1",
        "message": "one",
        "request_id": "req-1",
        "fields": {"x": "a"},
        "flags": ["skewed"],
        "batch": 1,
    }
    assert last == {
        "row_id": 5,
        "observed_timestamp": "2027-01-15T12:00:00Z",
        "peer": "192.0.2.7",
        "facility": "user",
        "severity": "notice",
        "message": "five",
        "flags": ["unparsed"],
        "batch": 1,
    }


def test_an_empty_store_gives_nothing(store: DuckDbStore) -> None:
    reader = Reader(store)
    assert (newest(reader), after(reader, 0, 0), reader.count(Filter(), ("host",))) == ([], [], [])
    assert reader.count(Filter(), ()) == []


def test_the_newest_come_in_order_of_arrival(reader: Reader) -> None:
    assert newest(reader, limit=2) == ["four", "five"]
    assert newest(reader, Filter(host="compute-01"), limit=2) == ["three", "four"]
    assert newest(reader, limit=0) == []


def test_nothing_behind_the_bound_is_read(reader: Reader) -> None:
    assert [row["message"] for row in reader.newest(Filter(), 2, 3)] == ["two", "three"]
    assert after(reader, 1, 3) == ["two", "three"]


@pytest.fixture
def three_days(store: DuckDbStore) -> Reader:
    for number, day in enumerate((-2, -1, 0)):
        store.append(numbered(4 * number, 4, host=f"h{number % 2}", observed_us=NOON_US + day * DAY_US))
    return Reader(store)


def numbers(first: int, last: int) -> list[str]:
    return [str(number) for number in range(first, last + 1)]


def test_the_newest_cross_days(three_days: Reader) -> None:
    for limit in range(1, 13):
        assert newest(three_days, limit=limit) == numbers(12 - limit, 11)
    assert newest(three_days, Filter(host="h1"), limit=3) == numbers(5, 7)
    assert newest(three_days, Filter(host="h0"), limit=6) == [*numbers(2, 3), *numbers(8, 11)]


def test_pages_cross_days(three_days: Reader) -> None:
    assert after(three_days, 0, 12, limit=100) == numbers(0, 11)
    assert after(three_days, 2, 12, limit=5) == numbers(2, 6)
    assert after(three_days, 7, 10, limit=100) == numbers(7, 9)
    assert after(three_days, 12, 12) == []
    assert after(three_days, 0, 12, Filter(host="h1")) == numbers(4, 7)


def test_counts_cross_days(three_days: Reader) -> None:
    assert three_days.count(Filter(), ("host",)) == [{"host": "h0", "count": 8}, {"host": "h1", "count": 4}]
    assert three_days.count(Filter(), ()) == [{"count": 12}]


def test_a_clock_that_was_set_back_over_midnight_hides_nothing(store: DuckDbStore) -> None:
    for number, day in enumerate((1, 0, 1, 0)):  # the file of the day before gets the newer rows
        store.append(numbered(3 * number, 3, observed_us=NOON_US + day * DAY_US))
    reader = Reader(store)
    for limit in range(1, 13):
        assert newest(reader, limit=limit) == numbers(12 - limit, 11)
    assert after(reader, 2, 12, limit=5) == numbers(2, 6)


def test_an_answer_is_bounded_in_bytes_and_pages_go_on_behind_it(
    store: DuckDbStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloud.logs.query.reader.PAGE_BYTES", 10_000)
    texts = [f"{number:03}" + "x" * 997 for number in range(100)] + [f"{number:03}" for number in range(100, 300)]
    for first in range(0, 300, 50):
        day = -1 if first < 100 else 0
        store.append(
            table_of(
                *(b"<13>1 - h a - - - " + text.encode() for text in texts[first : first + 50]),
                observed_us=NOON_US + day * DAY_US,
            )
        )
    reader = Reader(store)
    assert [text[:3] for text in newest(reader, limit=1000)] == [f"{number:03}" for number in range(92, 300)]
    position, pages = 0, []
    while position < 300:
        page = reader.after(Filter(), 1000, position, 300)
        pages.append([row["row_id"] for row in page.rows])
        position = page.position
    assert [row_id for page in pages for row_id in page] == list(range(1, 301))
    assert {len(page) for page in pages[:-1]} == {10}


def test_one_row_that_is_longer_than_an_answer_is_given(store: DuckDbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.logs.query.reader.PAGE_BYTES", 10)
    store.append(numbered(10**12, 3))
    reader = Reader(store)
    assert newest(reader) == [str(10**12 + 2)]
    assert after(reader, 1, 3) == [str(10**12 + 1)]


COUNTS: list[tuple[tuple[str, ...], list[dict[str, Any]]]] = [
    (("host",), [{"host": "compute-01", "count": 3}, {"host": "compute-02", "count": 1}, {"host": None, "count": 1}]),
    (
        ("severity",),
        [{"severity": "err", "count": 2}, {"severity": "info", "count": 2}, {"severity": "notice", "count": 1}],
    ),
    (
        ("facility",),
        [{"facility": "user", "count": 2}, {"facility": "local0", "count": 2}, {"facility": "local1", "count": 1}],
    ),
    (("level",), [{"level": None, "count": 4}, {"level": "INFO", "count": 1}]),
    (
        ("service", "host"),
        [
            {"service": "nova-api", "host": "compute-01", "count": 1},
            {"service": "nova-compute", "host": "compute-01", "count": 1},
            {"service": "nova-compute", "host": "compute-02", "count": 1},
            {"service": "sshd", "host": "compute-01", "count": 1},
            {"service": None, "host": None, "count": 1},
        ],
    ),
]


@pytest.mark.parametrize(("by", "expected"), COUNTS, ids=["-".join(by) for by, _ in COUNTS])
def test_counts_group_most_first(reader: Reader, by: tuple[str, ...], expected: list[dict[str, Any]]) -> None:
    assert reader.count(Filter(), by) == expected


def test_counts_are_filtered(reader: Reader) -> None:
    assert reader.count(Filter(severity=4), ("host",)) == [{"host": "compute-01", "count": 2}]


KEYS = [
    "a.b",
    "a/b~c",
    "a~1b",
    "a'b",
    'a"b',
    "a b",
    "$.a",
    "$",
    "*",
    "/",
    "~",
    "0",
    "-",
    "ü",
    "a\\b",
    "a\nb",
    "'; DROP TABLE logs; --",
    "[0]",
    "a[0]",
    "#",
    "%",
    "a\0b",
    "__proto__",
    "x" * 5000,
]


@pytest.mark.parametrize("key", KEYS, ids=[repr(key)[:30] for key in KEYS])
def test_any_key_of_the_body_can_be_asked_for_and_means_itself(store: DuckDbStore, key: str) -> None:
    def line(fields: dict[str, str]) -> bytes:
        return b"<13>1 - h a - - - @cee: " + json.dumps({"message": "m", **fields}).encode()

    store.append(table_of(line({key: "1"}), line({key: "2"}), line({"other": "1"}), line({"a": "1", "b": "1"})))
    found = Reader(store).newest(Filter(fields={key: "1"}), 10, 4)
    assert [row["row_id"] for row in found] == [1]


def test_values_of_the_body_that_are_no_strings_are_asked_for_as_json_writes_them(store: DuckDbStore) -> None:
    store.append(
        table_of(b'<13>1 - h a - - - @cee: {"message": "m", "n": 5, "t": true, "f": 1.5, "z": null, "l": [1, "a"]}')
    )
    reader = Reader(store)
    for key, value in (("n", "5"), ("t", "true"), ("f", "1.5"), ("l", '[1,"a"]')):
        assert len(reader.newest(Filter(fields={key: value}), 10, 1)) == 1
    assert reader.newest(Filter(fields={"z": "null"}), 10, 1) == []


INJECTIONS = [
    "' OR 1=1 --",
    "'; DROP TABLE day_2027_01_15.logs; --",
    '"',
    "\\",
    "$host",
    "?",
    "%",
    "\0",
    "x" * 100_000,
    "🙂",
]


@pytest.mark.parametrize("text", INJECTIONS, ids=[repr(text)[:20] for text in INJECTIONS])
def test_what_a_user_typed_is_never_sql(reader: Reader, text: str) -> None:
    for wanted in (
        Filter(host=text), Filter(service=text), Filter(request_id=text), Filter(instance=text),
        Filter(fields={text: "a"}), Filter(fields={"x": text}),
    ):  # fmt: skip
        assert newest(reader, wanted) == []
        assert after(reader, 0, 5, wanted) == []
        assert sum(row["count"] for row in reader.count(wanted, ("host",))) == 0
    assert newest(reader) == ["one", "two", "three", "four", "five"]


HOSTILE = [
    b"<13>1 0001-01-01T00:00:00+23:59 h a - - - m",
    b"<13>1 9999-12-31T23:59:59.999999Z h a - - - m",
    b"<13>1 0001-01-01T00:00:00Z h a - - - m",
    b'<13>1 - h a - - - @cee: {"message": "\\ud800", "x": "\\ud800", "\\udfff": 1}',
    b'<13>1 - h a - - - @cee: {"message": "m", "x": ' + b"9" * 4000 + b"}",
    b'<13>1 - h a - - - @cee: {"message": "m", "x": 1e999, "y": NaN, "z": 1.7976931348623157e308}',
    b'<13>1 - h a - - - @cee: {"message": "\\u0000", "x": "\\u0000"}',
    b'<13>1 - h a - - - @cee: {"message": "m", "x": ' + b"[" * 60 + b"]" * 60 + b"}",
    b"\xff\xfe\0",
]


@pytest.mark.parametrize("payload", HOSTILE, ids=[repr(payload)[:60] for payload in HOSTILE])
def test_no_line_makes_rows_unreadable(store: DuckDbStore, payload: bytes) -> None:
    store.append(table_of(b"<13>1 - h a - - - before", payload, b"<13>1 - h a - - - behind"))
    reader = Reader(store)
    rows = reader.newest(Filter(), 3, 3)
    assert [rows[0]["message"], rows[2]["message"]] == ["before", "behind"]
    json.dumps(rows, ensure_ascii=False, allow_nan=False).encode()
    assert reader.newest(Filter(fields={"x": "no"}), 3, 3) == []


def test_pages_while_rows_are_committed_have_no_gap_and_nothing_twice(store: DuckDbStore) -> None:
    reader = Reader(store)

    def commit() -> None:
        for number in range(0, 1500, 30):
            store.append(numbered(number, 30, observed_us=NOON_US + (DAY_US if number >= 750 else 0)))

    committing = threading.Thread(target=commit)
    committing.start()
    seen: list[str] = []
    position = 0
    while position < 1500:
        committed = reader.committed_row_id
        page = reader.after(Filter(), 100, position, committed)
        seen += [row["message"] for row in page.rows]
        position = page.position
    committing.join()
    assert seen == [str(number) for number in range(1500)]
