"""Whatever tree there is: it can be written and read again, and a store finds what it says."""

from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, example, given, settings

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.query.language.compiler import compile_where
from cloud.logs.query.language.parser import parse
from cloud.logs.query.language.query import Condition, Name, Query, Regex, Term, Text
from cloud.logs.query.language.writing import text_of
from tests.query.language import trees
from tests.query.language.asking import row_ids
from tests.query.language.reference import is_wanted
from tests.query.language.rows import ROWS

Rows = Mapping[int, Mapping[str, object]]


@pytest.fixture(scope="session")
def rows(store: DuckDbStore) -> Rows:
    with store.tables() as tables:
        queries = [f"SELECT * EXCLUDE (observed_timestamp, timestamp) FROM {table.sql_name}" for table in tables]  # noqa: S608
        found = [row for sql in queries for row in store.query(sql, {}).to_pylist()]
    assert len(found) == len(ROWS)
    return {row["row_id"]: row for row in found}


@given(query=trees.queries)
@example(Query(Term(None, Text("AND"))))
@example(Query(Term(Name('a\nb\t"\\', is_field=True), Text('\n\t\r"\\*?'))))
@example(Query(Term(Name("_exists_", is_field=True), Text("x"))))
@example(Query(Term(Name("Host", is_field=True), Text("-5"))))
@example(Query(Term(Name("host"), Regex(r"\\/[/]\\\\"))))
@settings(max_examples=400, deadline=None)
def test_a_tree_is_read_as_it_was_written(query: Query) -> None:
    assert parse(text_of(query)) == query


@given(condition=trees.conditions)
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_store_finds_what_a_condition_says(store: DuckDbStore, rows: Rows, condition: Condition) -> None:
    expected = sorted(row_id for row_id, row in rows.items() if is_wanted(condition, row))
    assert row_ids(store, compile_where(condition)) == expected
