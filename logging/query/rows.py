"""From a row of the store to a row of the API."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from cloud.logs.collector.row import COLUMNS, HEADER, STORED, columns_of_header, flag_names
from cloud.logs.collector.store import Table
from cloud.logs.emit.levels import SEVERITIES
from cloud.logs.facilities import facility_name

PAGE_BYTES = 32 << 20
"""About the most text that one answer holds; one row alone may be longer."""
COLUMN_NAMES = tuple(column.name for column in COLUMNS)
SELECT = ", ".join(COLUMN_NAMES)
"""What `as_json` takes, for behind SELECT."""
_STORED = ", ".join(column.name for column in STORED)


def select(tables: Sequence[Table], rest: str) -> str:
    """SQL for the rows of `tables` that `rest` leaves, for `unfolded`."""
    names = _STORED if all(table.has_lines(rest) for table in tables) else SELECT
    sources = [table.source(rest, names) for table in tables]
    if len(sources) > 1:
        sources = [f"({' UNION ALL '.join(f'SELECT {names} FROM {source}' for source in sources)})"]  # noqa: S608 - our own names
    return f"SELECT {names} FROM {sources[0]} {rest}"  # noqa: S608


def unfolded(row: dict[str, Any]) -> dict[str, Any]:
    """A row that `select` has found, with the columns of COLUMN_NAMES."""
    if HEADER.name not in row:
        return row
    row |= columns_of_header(row[HEADER.name])
    return {name: row[name] for name in COLUMN_NAMES}


def as_json(row: dict[str, Any]) -> dict[str, Any]:
    """A row as the API gives it: RFC 3339 times, names for numbers, the fields as an object, no empty columns."""
    row["facility"] = facility_name(row["facility"])
    row["severity"] = SEVERITIES[row["severity"]]
    row["flags"] = flag_names(row["flags"]) if row["flags"] else None
    if row["fields"] is not None:
        row["fields"] = json.loads(row["fields"])
    return {
        key: value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
        for key, value in row.items()
        if value is not None
    }


def size_of(row: Mapping[str, Any]) -> int:
    """The length of all texts of a row of the store."""
    return sum(len(value) for value in row.values() if isinstance(value, str))


def cells_of(row: Mapping[str, Any]) -> list[Any]:
    """What a row of the API has under COLUMN_NAMES."""
    return [row.get(name) for name in COLUMN_NAMES]
