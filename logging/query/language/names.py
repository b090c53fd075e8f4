"""The query's names: the columns behind them, what values they have, and whether rows can be counted by them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType

from cloud.logs.query.language.query import Name, QueryError

MAX_NAME_CHARS = 200
FIELDS_PREFIX = "fields."
EXISTS = "_exists_"
"""`_exists_:host` is Lucene's way to say `host:*`."""
SHORT_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""Keys of fields that need no prefix, as long as no column has the name."""


class Kind(Enum):
    """What the values of a name are, and so which tests there are for them."""

    TEXT = auto()
    CASELESS = auto()
    """Text whose case does not count."""
    MESSAGE = auto()
    """Text that is looked into: a value is a part of it, in whatever case."""
    FIELD = auto()
    """A value of JSON: text or a number."""
    SEVERITY = auto()
    FACILITY = auto()
    COUNTER = auto()
    """Whole numbers from 0."""
    TIME = auto()
    FLAGS = auto()


@dataclass(frozen=True, slots=True)
class QueryColumn:
    """A name of the query and the column of a row behind it."""

    name: str
    column: str
    kind: Kind
    is_groupable: bool = False
    """Whether `count by` and `top` take it: not where nearly each row has a value of its own."""


_BY_NAME = {
    column.name: column
    for column in (
        QueryColumn("time", "observed_timestamp", Kind.TIME),
        QueryColumn("timestamp", "timestamp", Kind.TIME),
        QueryColumn("host", "hostname", Kind.TEXT, is_groupable=True),
        QueryColumn("service", "app_name", Kind.TEXT, is_groupable=True),
        QueryColumn("severity", "severity", Kind.SEVERITY, is_groupable=True),
        QueryColumn("facility", "facility", Kind.FACILITY, is_groupable=True),
        QueryColumn("level", "level", Kind.CASELESS, is_groupable=True),
        QueryColumn("message", "message", Kind.MESSAGE, is_groupable=True),
        QueryColumn("request_id", "request_id", Kind.TEXT, is_groupable=True),
        QueryColumn("instance", "instance", Kind.TEXT, is_groupable=True),
        QueryColumn("project", "project", Kind.TEXT, is_groupable=True),
        QueryColumn("event", "event", Kind.TEXT, is_groupable=True),
        QueryColumn("migration", "migration", Kind.TEXT, is_groupable=True),
        QueryColumn("logger", "logger", Kind.TEXT, is_groupable=True),
        QueryColumn("procid", "procid", Kind.TEXT, is_groupable=True),
        QueryColumn("msgid", "msgid", Kind.TEXT, is_groupable=True),
        QueryColumn("peer", "peer", Kind.TEXT, is_groupable=True),
        QueryColumn("host_start", "host_start", Kind.TEXT, is_groupable=True),
        QueryColumn("structured_data", "structured_data", Kind.TEXT),
        QueryColumn("fields", "fields", Kind.TEXT),
        QueryColumn("flags", "flags", Kind.FLAGS),
        QueryColumn("sequence", "sequence", Kind.COUNTER),
        QueryColumn("row_id", "row_id", Kind.COUNTER),
        QueryColumn("batch", "batch", Kind.COUNTER),
    )
}
COLUMNS: Mapping[str, QueryColumn] = MappingProxyType(_BY_NAME)
"""By the query's name, in the order in which help lists them."""

LONG_NAMES: Mapping[str, str] = {column.column: column.name for column in _BY_NAME.values()}


def name_of(text: str, position: int) -> Name:
    """What `text` names: a column by its short or its own name, `fields.KEY`, or a key of the fields.

    `QueryError` at the column `position` for what looks like a name and is none.
    """
    if len(text) > MAX_NAME_CHARS:
        raise QueryError(f"a name has at most {MAX_NAME_CHARS} characters", position)
    if text in COLUMNS:
        return Name(text)
    if text in LONG_NAMES:
        return Name(LONG_NAMES[text])
    if text.startswith(FIELDS_PREFIX):
        key = text.removeprefix(FIELDS_PREFIX)
        if not key:
            raise QueryError('expected the name of a field behind "fields."', position)
        return Name(key, is_field=True)
    if text.lower() in COLUMNS or text.lower() in LONG_NAMES:
        raise QueryError(f"names are in lower case: {text.lower()}, or {FIELDS_PREFIX}{text} for a field", position)
    if not SHORT_FIELD.fullmatch(text):
        raise QueryError(
            f'no column is called {text}: write {FIELDS_PREFIX}{text} for a field, or "{text}:..." in quotation marks'
            " for a text",
            position,
        )
    return Name(text, is_field=True)


def kind_of(name: Name) -> Kind:
    return Kind.FIELD if name.is_field else COLUMNS[name.text].kind


def can_group_by(name: Name) -> bool:
    """Whether `count by` and `top` take the name."""
    return name.is_field or COLUMNS[name.text].is_groupable
