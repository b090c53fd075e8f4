"""Whether a statement, as DuckDB's parser has understood it, is one SELECT that only computes on `logs`."""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from cloud.logs.query.sql.functions import FUNCTIONS, TABLE_FUNCTIONS

MAX_STATEMENT = 20_000
"""Characters."""
TABLE = "logs"

_NODES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
_SOURCES = {"BASE_TABLE", "EMPTY", "EXPRESSION_LIST", "JOIN", "SUBQUERY", "TABLE_FUNCTION"}
_PARTS = {"DISTINCT_MODIFIER", "LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER", "ORDER_MODIFIER"}
_ORDERS = {"ASCENDING", "DESCENDING", "ORDER_DEFAULT"}
_TYPES = {
    f"{kind}_TYPE_INFO" for kind in ("ARRAY", "DECIMAL", "ENUM", "EXTENSION", "GENERIC", "LIST", "STRING", "STRUCT")
}
_KINDS = _NODES | _SOURCES | _PARTS | _ORDERS | _TYPES
_EXPRESSIONS = {
    *(
        "BETWEEN",
        "CASE",
        "CAST",
        "COLLATE",
        "COLUMN_REF",
        "COMPARISON",
        "CONJUNCTION",
        "CONSTANT",
        "FUNCTION",
        "LAMBDA",
    ),
    *("LAMBDA_REF", "OPERATOR", "POSITIONAL_REFERENCE", "STAR", "SUBQUERY", "TYPE", "WINDOW"),
}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DEFAULT_SCHEMA = ("", "main")  # where the parser itself puts what stands behind [] and {}

Tree = Mapping[str, Any]


class StatementError(Exception):
    """The statement is not one that is answered here; the message says why, and what is."""


def check(serialized: str, taken: Collection[str]) -> None:
    """`StatementError` unless `serialized`, from json_serialize_sql, is one SELECT of what is allowed.

    `taken` are the tables and views that the instance has, in lower case; none but `logs` can be read.
    What is not known is refused: kinds of nodes, sources and expressions, functions, and tables other than `logs`.
    """
    try:
        content = json.loads(serialized)
    except RecursionError as exc:
        raise StatementError("cannot run the statement: it is nested too deeply") from exc
    if content["error"]:
        cause = content["error_message"]
        if content.get("error_type") == "not implemented":
            cause = "only one SELECT is answered here"
        raise StatementError(f"cannot run the statement: {cause}{_place(content)}")
    statements = content["statements"]
    if len(statements) != 1:
        raise StatementError(f"cannot run the statement: expected one SELECT, not {len(statements)} statements")
    own = {TABLE, *_ctes(statements[0], taken)}
    for tree in _walk(statements[0]):
        _check(tree, own)


def _check(tree: Tree, tables: set[str]) -> None:
    kind = tree.get("type")
    if "class" in tree:
        if tree["class"] not in _EXPRESSIONS:
            raise StatementError(
                f"cannot run the statement: it has a {str(tree['class']).lower()}, which is not allowed"
            )
        if tree["class"] in ("FUNCTION", "WINDOW"):
            _check_function(tree)
    elif isinstance(kind, str) and kind not in _KINDS:
        raise StatementError(
            f"cannot run the statement: it has a {kind.lower().replace('_', ' ')}, which is not allowed"
        )
    elif kind == "BASE_TABLE":
        _check_table(tree, tables)
    elif kind == "TABLE_FUNCTION":
        function = tree["function"]
        name = str(function.get("function_name", "")).lower()
        if function.get("class") != "FUNCTION" or name not in TABLE_FUNCTIONS:
            known = ", ".join(sorted(TABLE_FUNCTIONS))
            raise StatementError(f"cannot run the statement: it reads from {name or 'no function'}(), not from {known}")


def _check_function(tree: Tree) -> None:
    name = str(tree["function_name"])
    is_elsewhere = tree.get("catalog") not in ("", None) or tree.get("schema") not in _DEFAULT_SCHEMA
    if is_elsewhere or name.lower() not in FUNCTIONS | TABLE_FUNCTIONS:
        raise StatementError(f"cannot run the statement: the function {name} is not allowed")


def _check_table(tree: Tree, tables: set[str]) -> None:
    name = str(tree["table_name"])
    if tree["catalog_name"] or tree["schema_name"] or name.lower() not in tables or tree.get("at_clause"):
        raise StatementError(f"cannot run the statement: it reads {name!r:.80}, where only {TABLE} can be read")


def _ctes(statement: Tree, taken: Collection[str]) -> Iterator[str]:
    """The names that WITH gives. Out of its scope a path would stand for a file, and one of `taken` for that."""
    for tree in _walk(statement):
        for entry in (tree.get("cte_map") or {}).get("map", ()):
            if not _NAME.fullmatch(entry["key"]):
                raise StatementError(f"cannot run the statement: {entry['key']!r:.80} is no name for WITH")
            name = entry["key"].lower()
            if name in taken and name != TABLE:
                raise StatementError(f"cannot run the statement: {entry['key']!r:.80} is taken, give WITH another name")
            yield name


def _walk(statement: Tree) -> Iterator[Tree]:
    """All mappings of a tree, without recursion: the statement says how deep it is."""
    waiting: list[object] = [statement]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            yield value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _place(content: Tree) -> str:
    position = content.get("position")
    return f" (character {int(position) + 1})" if position is not None and str(position).isdigit() else ""
