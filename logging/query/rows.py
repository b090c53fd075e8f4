"""From a row of the store to a row of the API."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cloud.logs.collector.row import COLUMNS, flag_names
from cloud.logs.emit.levels import SEVERITIES
from cloud.logs.facilities import facility_name

PAGE_BYTES = 32 << 20
"""About the most text that one answer holds; one row alone may be longer."""
COLUMN_NAMES = tuple(column.name for column in COLUMNS)
SELECT = ", ".join(COLUMN_NAMES)
"""What `as_json` takes, for behind SELECT."""


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
