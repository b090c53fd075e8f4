"""What the columns hold, checked before a statement: PostgreSQL refuses more, and SQLite would take it."""

from collections.abc import Mapping
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


def table_of(model: type[Base]) -> Table:
    """The table of a mapped class, which SQLAlchemy's types say less of."""
    return cast("Table", model.__table__)


def cut(text: str, length: int = 255) -> str:
    """At most so much of it: for messages, whose beginning is worth having."""
    return text if len(text) <= length else text[: length - 3] + "..."
