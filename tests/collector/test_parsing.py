import json
from collections.abc import Iterator
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.logs.collector.batch import Batch, Source
from cloud.logs.collector.columns.parser import BatchParser
from cloud.logs.collector.framing import Message
from cloud.logs.collector.parsing import FAILURES, Received, parse
from cloud.logs.collector.rfc5424 import LineId
from cloud.logs.collector.row import COLUMNS, HEADER, RECEIVED, Flag, Row, flag_names
from tests.collector.batches import NOON_US, PEER, batch_of, received, table_of

NOW = NOON_US
PARSER = BatchParser()
TIME = b"2027-01-15T12:00:00Z"


def parsed(payload: bytes, *, is_truncated: bool = False) -> tuple[Row, list[str]]:
    failures: list[str] = []
    row, _ = parse(received(payload, is_truncated=is_truncated), failures)
    return row, failures


def row(facility: int, severity: int, message: str, **columns: Any) -> Row:
    return Row(NOW, "192.0.2.7", facility, severity, message, **columns)


CASES = [
    # valid
    (
        "RFC 5424 with JSON and identity",
        (
            b'<142>1 2027-01-15T12:00:00.250Z compute-01 nova-compute 812 - [a x="1"][line@32473 host="compute-01" start="6f1c"'
            b' n="12"] @cee: {"message": "spawned", "level": "INFO", "request_id": "req-1", "instance": "i-1",'
            b' "event": "build.spawn.completed", "step_s": 1.5}'
        ),
        row(
            17,
            6,
            "spawned",
            timestamp=NOW + 250_000,
            hostname="compute-01",
            app_name="nova-compute",
            procid="812",
            structured_data='[a x="1"]',
            level="INFO",
            request_id="req-1",
            instance="i-1",
            event="build.spawn.completed",
            fields='{"step_s":1.5}',
            host_start="6f1c",
            sequence=12,
        ),
        [],
    ),
    (
        "RFC 3164",
        b"<30>Jan 15 12:00:00 compute-01 libvirtd[9]: up",
        row(3, 6, "up", timestamp=NOW, hostname="compute-01", app_name="libvirtd", procid="9"),
        [],
    ),
    ("UTF-8", "<13>1 - h a - - - größer 😀".encode(), row(1, 5, "größer 😀", hostname="h", app_name="a"), []),
    ("BOM", b"<13>1 - h a - - - \xef\xbb\xbftext", row(1, 5, "text", hostname="h", app_name="a"), []),
    (
        "BOM before JSON",
        b'<13>1 - h a - - - \xef\xbb\xbf@cee: {"message": "m"}',
        row(1, 5, "m", hostname="h", app_name="a"),
        [],
    ),
    (
        "truncated by the sender",
        b'<13>1 - h a - - - @cee: {"message": "m", "truncated": true}',
        row(1, 5, "m", hostname="h", app_name="a", flags=Flag.TRUNCATED),
        [],
    ),
    (
        "clock of the sender five minutes ahead",
        b"<13>1 2027-01-15T12:05:00Z h a - - - m",
        row(1, 5, "m", timestamp=NOW + 300_000_000, hostname="h", app_name="a"),
        [],
    ),
    (
        "clock of the sender further ahead",
        b"<13>1 2027-01-15T12:05:00.000001Z h a - - - m",
        row(1, 5, "m", timestamp=NOW + 300_000_001, hostname="h", app_name="a", flags=Flag.SKEWED),
        [],
    ),
    (
        "clock of the sender years behind",
        b"<13>1 1970-01-01T00:00:00Z h a - - - m",
        row(1, 5, "m", timestamp=0, hostname="h", app_name="a", flags=Flag.SKEWED),
        [],
    ),
    # incomplete
    ("no PRI", b"just text", row(1, 5, "just text", flags=Flag.UNPARSED), ["no_pri"]),
    ("empty", b"", row(1, 5, "", flags=Flag.UNPARSED), ["no_pri"]),
    ("no body", b"<13>1 - - - - - -", row(1, 5, ""), []),
    (
        "half an object",
        b'<13>1 - h a - - - @cee: {"message": "m',
        row(1, 5, '@cee: {"message": "m', hostname="h", app_name="a"),
        ["json"],
    ),
    (
        "no structured data",
        b"<13>1 " + TIME + b" h a - - words",
        row(1, 5, "words", timestamp=NOW, hostname="h", app_name="a"),
        ["structured_data"],
    ),
    # hostile
    (
        "month 13",
        b"<13>1 2027-13-15T12:00:00Z h a - - - m",
        row(1, 5, "m", hostname="h", app_name="a", fields='{"timestamp_text":"2027-13-15T12:00:00Z"}'),
        ["timestamp"],
    ),
    (
        "30 February in RFC 3164",
        b"<13>Feb 30 12:00:00 h a: m",
        row(1, 5, "m", hostname="h", app_name="a", fields='{"timestamp_text":"Feb 30 12:00:00"}'),
        ["timestamp"],
    ),
    (
        "a year before any other",
        b"<13>1 0001-01-01T00:00:00+01:00 h a - - - m",
        row(1, 5, "m", hostname="h", app_name="a", fields='{"timestamp_text":"0001-01-01T00:00:00+01:00"}'),
        ["timestamp"],
    ),
    (
        "invalid UTF-8",
        b"<13>1 - h a - - - caf\xe9 \xff\xfe",
        row(1, 5, r"caf\xe9 \xff\xfe", hostname="h", app_name="a"),
        ["utf8"],
    ),
    (
        "UTF-8 of a surrogate",
        b"<13>1 - h a - - - \xed\xa0\x80",
        row(1, 5, r"\xed\xa0\x80", hostname="h", app_name="a"),
        ["utf8"],
    ),
    (
        "invalid UTF-8 in the header",
        b"<13>1 - h\xff a - - - m",
        row(1, 5, "m", hostname=r"h\xff", app_name="a"),
        ["utf8"],
    ),
    ("binary", bytes(range(128, 132)), row(1, 5, r"\x80\x81\x82\x83", flags=Flag.UNPARSED), ["utf8", "no_pri"]),
    (
        "lone surrogates",
        b'<13>1 - h a - - - @cee: {"message": "\\ud800", "level": "\\udfff", "x\\udc00": "\\ud83dy"}',
        row(1, 5, r"\ud800", hostname="h", app_name="a", level=r"\udfff", fields=r'{"x\\udc00":"\\ud83dy"}'),
        [],
    ),
    (
        "NaN",
        b'<13>1 - h a - - - @cee: {"message": "m", "x": NaN, "y": 1e999}',
        row(1, 5, "m", hostname="h", app_name="a", fields='{"x":"NaN","y":"1e999"}'),
        [],
    ),
    (
        "JSON nested 10,000 deep",
        b"<13>1 - h a - - - @cee: " + b"[" * 10_000,
        row(1, 5, "@cee: " + "[" * 10_000, hostname="h", app_name="a"),
        ["json"],
    ),
    (
        "a forged identity",
        b'<13>1 - h a - - [line@32473 host="x" start="y" n="1"][z] m',
        row(1, 5, "m", hostname="h", app_name="a", structured_data='[line@32473 host="x" start="y" n="1"][z]'),
        [],
    ),
    (
        "everything wrong",
        b"<13>1 2027-13-01T00:00:00Z h a - - x\xff",
        row(1, 5, r"1 2027-13-01T00:00:00Z h a - - x\xff"),
        ["utf8"],
    ),
]


@pytest.mark.parametrize(("payload", "expected", "failures"), [pytest.param(*case, id=name) for name, *case in CASES])
def test_messages_become_rows(payload: bytes, expected: Row, failures: list[str]) -> None:
    assert parsed(payload) == (expected, failures)


@pytest.mark.parametrize("payload", [b"<13>1 - h a - - - m", b"m"])
def test_a_frame_that_was_cut_is_marked(payload: bytes) -> None:
    assert parsed(payload, is_truncated=True)[0].flags & Flag.TRUNCATED


CERTIFIED = frozenset({"compute-01", "compute-02"})
BOTH = b'[line@32473 host="%s" start="s" n="1"]'


@pytest.mark.parametrize(
    ("payload", "names", "is_verified"),
    [
        (b"<13>1 - compute-01 a - - - m", None, True),
        (b"<13>1 - compute-01 a - - - m", CERTIFIED, True),
        (b"<13>1 - Compute-01 a - - - m", CERTIFIED, True),
        (b"<13>1 - compute-03 a - - - m", CERTIFIED, False),
        (b"<13>1 - - a - - - m", CERTIFIED, False),
        (b"<13>1 - compute-01 a - - " + BOTH % b"compute-02" + b" m", CERTIFIED, True),
        (b"<13>1 - compute-01 a - - " + BOTH % b"compute-03" + b" m", CERTIFIED, False),
        (b"<13>1 - compute-03 a - - " + BOTH % b"compute-01" + b" m", CERTIFIED, False),
        (b"<13>Jan 15 12:00:00 compute-02 a: m", CERTIFIED, True),
        (b"<13>a: m", CERTIFIED, False),
        (b"no PRI", CERTIFIED, False),
        (b"no PRI", None, True),
        (b"<13>1 - compute-01 a - - - m", frozenset(), False),
    ],
)
def test_who_bears_no_name_of_its_certificate_is_marked(
    payload: bytes, names: frozenset[str] | None, is_verified: bool
) -> None:
    found, _ = parse(Received(Message(payload), NOW, Source("192.0.2.7", names)), [])
    assert (Flag.HOST_UNVERIFIED not in Flag(found.flags)) == is_verified


def test_the_identity_of_a_line_comes_with_its_row() -> None:
    found, line_id = parse(received(b"<13>1 - h a - - " + BOTH % b"compute-02"), [])
    assert (found.host_start, found.sequence) == ("s", 1)
    assert line_id == LineId("compute-02", "s", 1)


@pytest.mark.parametrize("pri", range(192))
def test_facility_and_severity_are_the_pris(pri: int) -> None:
    found, _ = parsed(b"<%d>1 - - - - - - m" % pri)
    assert found.facility * 8 + found.severity == pri
    assert found.severity < 8


def test_flags_have_names() -> None:
    assert flag_names(0) == []
    assert flag_names(15) == ["truncated", "unparsed", "host_unverified", "skewed"]


def test_a_table_has_the_rows_in_the_order_of_the_messages() -> None:
    batch = Batch(1 << 16)
    for number in range(1000):
        batch.add_payload(b"<13>1 - h a - - - %d" % number, PEER, NOW + number)
    table = PARSER.read(batch).table
    assert table.column_names == [*(column.name for column in RECEIVED), HEADER.name]
    assert table.column("message").to_pylist() == [str(number) for number in range(1000)]
    assert table.column("observed_timestamp").cast(pa.int64()).to_pylist() == [NOW + number for number in range(1000)]


def test_no_message_makes_an_empty_table() -> None:
    assert table_of().num_rows == 0


@pytest.fixture(scope="module")
def logs() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the table that the store has."""
    with duckdb.connect() as connection:
        connection.execute("SET timezone = 'UTC'")
        connection.execute(
            f"CREATE TABLE logs ({', '.join(f'{column.name} {column.sql}' for column in (*COLUMNS, HEADER))})"
        )
        yield connection


def stored(logs: duckdb.DuckDBPyConnection, table: pa.Table) -> list[dict[str, Any]]:
    """What the database gives back of `table`."""
    logs.execute("DELETE FROM logs")
    names = ", ".join((*(column.name for column in RECEIVED), HEADER.name))
    logs.register("incoming", table)
    logs.execute(f"INSERT INTO logs (row_id, batch, {names}) SELECT row_number() OVER (), 1, {names} FROM incoming")  # noqa: S608
    found: list[dict[str, Any]] = logs.execute(f"SELECT {names} FROM logs ORDER BY row_id").to_arrow_table().to_pylist()  # noqa: S608
    return found


def test_every_case_comes_back_from_the_database_as_it_was(logs: duckdb.DuckDBPyConnection) -> None:
    table = table_of(*(case[1] for case in CASES))
    assert stored(logs, table) == table.to_pylist()


PIECES = st.sampled_from(
    [
        b"<13>",
        b"<191>1 ",
        b"<999>",
        b"1 ",
        b"- ",
        b"2027-01-15T12:00:00Z ",
        b"9999-12-31T23:59:59-23:59 ",
        b"Feb 29 12:00:00 ",
        b"Jan 15 12:00:00 ",
        b"host ",
        b"app[1]: ",
        b'[a x="',
        b'"]',
        b'[line@32473 host="h" start="s" n="',
        b"99",
        b"]",
        b"\\",
        b"@cee: ",
        b"@cee:{",
        b'{"message":',
        b'"level":',
        b'"\\ud800"',
        b"1e999",
        b"NaN",
        b"null",
        b"[" * 70,
        b"}",
        b",",
        b"\0",
        b"\n",
        b"\xff",
        b"\xed\xa0\x80",
        "ü".encode(),
        b"\xef\xbb\xbf",
    ]
)
HOSTILE = st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=20).map(b"".join))
BODIES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
).map(lambda value: b"<13>1 - h a - - - @cee: " + json.dumps({"message": "m", "x": value, "level": value}).encode())


@settings(max_examples=150, deadline=None)
@given(st.lists(HOSTILE | BODIES, max_size=5))
def test_whatever_arrives_is_one_row_each_that_the_database_takes(
    logs: duckdb.DuckDBPyConnection, messages: list[bytes]
) -> None:
    made = PARSER.read(batch_of(*messages))
    assert made.table.num_rows == len(messages)
    assert set(made.failures) <= set(FAILURES)
    found = stored(logs, made.table)
    assert found == made.table.to_pylist()
    for fields in (each["fields"] for each in found if each["fields"] is not None):
        assert isinstance(json.loads(fields), dict)
        json.dumps(json.loads(fields), ensure_ascii=False, allow_nan=False).encode()
    logs.execute("SELECT json_extract_string(fields, '/x') FROM logs").fetchall()
