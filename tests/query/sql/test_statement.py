"""The check of a parsed statement by itself."""

import json

import duckdb
import pytest

from cloud.logs.query.sql.process import taken
from cloud.logs.query.sql.statement import StatementError, check
from tests.query.sql import statements
from tests.query.sql.test_sql import HONEST

with duckdb.connect() as _connection:
    TAKEN = taken(_connection)
REFUSED = (*statements.FILES, *statements.WRITES, *statements.NETWORK, *statements.SETTINGS)


def serialized(text: str) -> str:
    with duckdb.connect() as connection:
        return str(connection.execute("SELECT json_serialize_sql(?)", [text]).fetchall()[0][0])


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_select_on_logs_is_refused(text: str) -> None:
    with pytest.raises(StatementError, match="cannot run the statement: "):
        check(serialized(text), TAKEN)


@pytest.mark.parametrize("text", [text for text, _ in HONEST])
def test_what_computes_on_logs_alone_is_not(text: str) -> None:
    check(serialized(text), TAKEN)


CAUSES = [
    ("DELETE FROM logs", "only one SELECT is answered here"),
    ("SELECT get_type(1)", "the function get_type is not allowed"),
    ("SELECT 1; SELECT 2", "expected one SELECT, not 2 statements"),
    ("", "expected one SELECT, not 0 statements"),
    ("SELECT * FROM lines", "it reads 'lines', where only logs can be read"),
    ("SELECT * FROM other.logs", "it reads 'logs', where only logs can be read"),
    ("SELECT write_log('x')", "the function write_log is not allowed"),
    ("SELECT x.y.abs(1)", "the function abs is not allowed"),
    ("SELECT * FROM glob('*')", "it reads from glob(), not from generate_series, json_each, json_tree, range, unnest"),
    ("SELECT $1", "it has a parameter, which is not allowed"),
    (
        "WITH Duckdb_Databases AS (SELECT 1) SELECT * FROM duckdb_databases",
        "'Duckdb_Databases' is taken, give WITH another name",
    ),
    (
        "SELECT * FROM pg_class, (WITH pg_class AS (SELECT 1) SELECT 1)",
        "'pg_class' is taken, give WITH another name",
    ),
    ("SHOW TABLES", "it has a show ref, which is not allowed"),
    ("SELEC 1", 'syntax error at or near "SELEC" (character 1)'),
]


@pytest.mark.parametrize(("text", "cause"), CAUSES)
def test_a_refusal_says_why(text: str, cause: str) -> None:
    with pytest.raises(StatementError) as caught:
        check(serialized(text), TAKEN)
    assert str(caught.value) == f"cannot run the statement: {cause}"


def test_what_the_parser_may_say_one_day_is_refused_too() -> None:
    content = json.loads(serialized("SELECT 1 FROM logs"))
    node = content["statements"][0]["node"]
    for change in ({"type": "DELETE_NODE"}, {"from_table": {"type": "FILE_REF"}}):
        changed = json.dumps({**content, "statements": [{"node": {**node, **change}}]})
        with pytest.raises(StatementError, match="which is not allowed"):
            check(changed, TAKEN)
    deep = "[" * 100_000 + "]" * 100_000
    with pytest.raises(StatementError, match="nested too deeply"):
        check(f'{{"error": false, "statements": {deep}}}', TAKEN)
