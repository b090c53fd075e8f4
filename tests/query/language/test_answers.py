"""What queries find, in a store."""

import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.query.language.compiler import compile_where
from cloud.logs.query.language.parser import parse
from cloud.logs.query.language.writing import text_of
from tests.query.language.asking import row_ids
from tests.query.language.queries import GROUPS

CASES = [pytest.param(*case, id=f"{group}-{case[0]}") for group, cases in GROUPS.items() for case in cases]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_a_query_finds_what_it_says(store: DuckDbStore, text: str, expected: list[int]) -> None:
    query = parse(text)
    assert row_ids(store, compile_where(query.condition)) == expected
    assert parse(text_of(query)) == query


def test_no_character_of_a_value_becomes_part_of_the_sql() -> None:
    """The SQL of a query is that of one with harmless values."""
    for name in ("host", "message", "level", "fields.x", 'fields."x y"'):
        for template in ('{}:"{}"', '{}:>"{}"', '{}:["{}" TO "zzz"]', "{}:*{}*b", "{}:/{}/", "{}"):
            harmless, hostile = (template.format(name, value) for value in ("aaa", "q'q;$q--"))
            if name in ("message", "level") and (">" in template or "[" in template):
                continue
            assert compile_where(parse(hostile).condition).sql == compile_where(parse(harmless).condition).sql, hostile


@pytest.mark.parametrize("text", ["severity:err", "severity:>=err", "severity:e*", "facility:local1"])
def test_a_number_is_compared_in_the_type_of_its_column(store: DuckDbStore, text: str) -> None:
    """Else the engine makes one of the value's type of each row's."""
    where = compile_where(parse(text).condition)
    with store.tables() as tables:
        sql = f"EXPLAIN SELECT count(*) FROM {tables[0].sql_name} WHERE {where.sql}"  # noqa: S608 - our own names
        [plan] = store.query(sql, where.parameters).to_pylist()
    assert text.partition(":")[0] in plan["explain_value"]
    assert "CAST" not in plan["explain_value"]
