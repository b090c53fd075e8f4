"""What the columns hold, checked before a statement: PostgreSQL refuses more, and SQLite would take it."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, cast

from sqlalchemy import BigInteger, Integer, Table

from cloud.db.models import Base, StoredText
from cloud.errors import BadRequestError

MAX_INTEGER = 2**31 - 1
_MAX_BIG_INTEGER = 2**63 - 1


def check_values(model: type[Base], values: Mapping[str, Any]) -> None:
    """BadRequestError for a text that is longer than its column, or a number beyond it; `values` by column."""
    table = table_of(model)
    for name, value in values.items():
        kind = table.columns[name].type
        if isinstance(value, str) and isinstance(kind, StoredText):
            length: int | None = getattr(kind.impl_instance, "length", None)
            if length is not None and len(value) > length:
                raise BadRequestError(f"cannot store {name}: it has more than {length} characters")
        elif isinstance(value, int) and isinstance(kind, Integer):
            most = _MAX_BIG_INTEGER if isinstance(kind, BigInteger) else MAX_INTEGER
            if not -most <= value <= most:
                raise BadRequestError(f"cannot store {name}: {value} is beyond {most}")


def changed_columns(
    model: type[Base], what: str, changes: Mapping[str, Any], conversions: Mapping[str, Callable[[Any], Any]]
) -> dict[str, Any]:
    """The changes of `what`, each by the conversion of its name; None stays where the column may have none.

    ValueError for a name without a conversion and for a value that it refuses, by TypeError or ValueError.
    """
    columns = table_of(model).columns
    values = {}
    for name, value in changes.items():
        if name not in conversions:
            raise ValueError(f"cannot update {what}: {name} is not changed so")
        is_none = value is None and columns[name].nullable
        try:
            values[name] = None if is_none else conversions[name](value)
        except (TypeError, ValueError) as exc:
            raise ValueError(f"cannot update {what}: bad {name}: {exc}") from exc
    return values


def text(value: Any) -> str:
    """A conversion; TypeError for what is none."""
    if not isinstance(value, str):
        raise TypeError("it is no text")
    return value


def flag(value: Any) -> bool:
    """The same."""
    if not isinstance(value, bool):
        raise TypeError("it is neither true nor false")
    return value


def time(value: Any) -> datetime:
    """The same; ValueError for a text that is not in ISO 8601."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


def table_of(model: type[Base]) -> Table:
    """The table of a mapped class, which SQLAlchemy's types say less of."""
    return cast("Table", model.__table__)


def cut(text: str, length: int = 255) -> str:
    """At most so much of it: for messages, whose beginning is worth having."""
    return text if len(text) <= length else text[: length - 3] + "..."
