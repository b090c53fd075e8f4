"""How queries are written, for those who read them again, and the SQL behind their names."""

import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.query.language.compiler import compile_value
from cloud.logs.query.language.parser import parse
from cloud.logs.query.language.query import CountBy, Name, Top
from cloud.logs.query.language.writing import text_of
from tests.query.language.rows import ROWS

WRITTEN = [
    ("", ""),
    ("a AND b", "a b"),
    ("a b OR (c)", "(a b) OR c"),
    ("-a", "NOT a"),
    ("-(a OR b)", "NOT (a OR b)"),
    ('"timed out"', '"timed out"'),
    ('"timeout"', "timeout"),
    ("500", "500"),
    ('x:"500"', 'x:"500"'),
    ("fields.status:500", "status:500"),
    ("fields.host:x", "fields.host:x"),
    ("fields.a.b:x", 'fields."a.b":x'),
    ("hostname:x app_name:y", "host:x service:y"),
    ("host:(a OR NOT b)", "host:a OR NOT host:b"),
    ("_exists_:host", "host:*"),
    ("host:**", "host:*"),
    (r"host:\-a*", r"host:\-a*"),
    ("/a/", "message:/a/"),
    ("status:[500  TO  *}", "status:[500 TO *}"),
    ("status:> 5", "status:>5"),
    ('"a\\nb"', '"a\\nb"'),
    ("x | count by 60s,host", "x | count by host, 1m"),
    ("|count by 3600s", "| count by 1h"),
    ("|count by 48h", "| count by 2d"),
    ("|count by 90s", "| count by 90s"),
    ("|count", "| count"),
    ("* | top message", "* | top 10 message"),
]


@pytest.mark.parametrize(("text", "written"), WRITTEN)
def test_a_query_is_written_in_one_way(text: str, written: str) -> None:
    assert text_of(parse(text)) == written
    assert text_of(parse(written)) == written


def test_stages_say_what_is_made_of_the_rows() -> None:
    assert parse("x | count by host, fields.a, 5m").stages == (CountBy((Name("host"), Name("a", is_field=True)), 300),)
    assert parse("| count").stages == (CountBy((), None),)
    assert parse("| top 3 status").stages == (Top(3, Name("status", is_field=True)),)
    assert parse("count by host").stages == ()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (Name("service"), {"nova-api": 6, "sshd": 2, None: 2}),
        (Name("status", is_field=True), {"200": 1, "500": 1, "503": 1, "not a number": 1, "NaN": 1}),
        (Name("a.b", is_field=True), {"flat": 1, "deep": 1, None: len(ROWS) - 2}),
        (Name("') OR true --", is_field=True), {None: len(ROWS)}),
    ],
)
def test_rows_are_counted_by_the_value_of_a_name(
    store: DuckDbStore, name: Name, expected: dict[str | None, int]
) -> None:
    value = compile_value(name)
    counts: dict[str | None, int] = {}
    with store.tables() as tables:
        for table in tables:
            sql = f"SELECT {value.sql} AS value, count(*) AS rows FROM {table.sql_name} GROUP BY 1"  # noqa: S608
            for row in store.query(sql, value.parameters).to_pylist():
                counts[row["value"]] = counts.get(row["value"], 0) + row["rows"]
    assert {key: counts[key] for key in expected} == expected
    assert sum(counts.values()) == len(ROWS)
