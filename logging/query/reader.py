"""From a filter to rows: the newest ones, those after a row, and counts. The one place where a question becomes SQL."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cloud.logs.collector.row import COLUMNS, flag_names
from cloud.logs.collector.store import DayTable, Store
from cloud.logs.emit.levels import SEVERITIES
from cloud.logs.facilities import facility_name

MAX_ROWS = 10_000
_SELECT = ", ".join(column.name for column in COLUMNS)
GROUPS = {"host": "hostname", "service": "app_name", "severity": "severity", "facility": "facility", "level": "level"}
"""What rows can be counted by: the query's names and the columns behind them."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows are wanted; None and empty want all."""

    host: str | None = None
    service: str | None = None
    severity: int | None = None
    """This severity and worse ones (smaller numbers)."""
    request_id: str | None = None
    instance: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    """Exact values of keys of the JSON body that have no column."""


class Reader:
    """Reads a store by day, newest first, so that the newest rows cost what they are and not what is stored."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def committed_row_id(self) -> int:
        return self._store.committed_row_id

    def newest(self, wanted: Filter, limit: int, up_to_row_id: int) -> list[dict[str, Any]]:
        """The last `limit` rows that arrived up to `up_to_row_id`, in order of arrival."""
        found: list[dict[str, Any]] = []
        for table in self._store.days():
            first = _row_id(found[0]) if len(found) >= limit > 0 else 0
            if table.last_row_id > first:  # an older day too may hold newer rows: the clock was set back
                bounds = {"first": first, "last": up_to_row_id}
                where, parameters = _where(wanted, "row_id > $first AND row_id <= $last", **bounds)
                found += self._rows(table, f"{where} ORDER BY row_id DESC", parameters, limit)
                found = sorted(found, key=_row_id)[-limit:]
        return found

    def after(self, wanted: Filter, limit: int, row_id: int, up_to_row_id: int) -> list[dict[str, Any]]:
        """The first `limit` rows that arrived after `row_id` and up to `up_to_row_id`, in order of arrival."""
        found: list[dict[str, Any]] = []
        for table in self._store.days():
            if table.last_row_id > row_id:
                where, parameters = _where(
                    wanted, "row_id > $after AND row_id <= $last", after=row_id, last=up_to_row_id
                )
                found += self._rows(table, f"{where} ORDER BY row_id", parameters, limit)
        return sorted(found, key=_row_id)[:limit]

    def count(self, wanted: Filter, by: Sequence[str]) -> list[dict[str, Any]]:
        """How many rows there are for each combination of the names in `by` (of GROUPS), most first."""
        tables = self._store.days()
        if not tables:
            return []
        where, parameters = _where(wanted, "true")
        columns = ", ".join(f"{GROUPS[name]} AS {name}" for name in by)
        union = " UNION ALL ".join(f"SELECT * FROM {table.sql_name} {where}" for table in tables)  # noqa: S608
        grouped = f"SELECT {columns}{', ' if by else ''}count(*) AS count FROM ({union})"  # noqa: S608
        order = f" GROUP BY ALL ORDER BY count DESC, {', '.join(by)}" if by else ""
        rows = self._store.query(grouped + order, parameters).to_pylist()
        for row in rows:
            if "severity" in row:
                row["severity"] = SEVERITIES[row["severity"]]
            if "facility" in row:
                row["facility"] = facility_name(row["facility"])
        return [dict(row) for row in rows]

    def _rows(
        self, table: DayTable, clauses: str, parameters: Mapping[str, object], limit: int
    ) -> list[dict[str, Any]]:
        sql = f"SELECT {_SELECT} FROM {table.sql_name} {clauses} LIMIT {limit}"  # noqa: S608 - our own names, an int
        return [_as_json(row) for row in self._store.query(sql, parameters).to_pylist()]


def _where(wanted: Filter, bound: str, **bounds: int) -> tuple[str, dict[str, object]]:
    """The WHERE clause of a filter and its parameters; nothing a user typed is part of the text."""
    clauses = [bound]
    parameters: dict[str, object] = dict(bounds)
    for column, value in (
        ("hostname", wanted.host),
        ("app_name", wanted.service),
        ("request_id", wanted.request_id),
        ("instance", wanted.instance),
    ):
        if value is not None:
            clauses.append(f"{column} = ${column}")
            parameters[column] = value
    if wanted.severity is not None:
        clauses.append("severity <= $severity")
        parameters["severity"] = wanted.severity
    for number, (key, value) in enumerate(wanted.fields.items()):
        clauses.append(f"json_extract_string(fields, $path{number}) = $value{number}")
        parameters[f"path{number}"] = "/" + key.replace("~", "~0").replace("/", "~1")  # a JSON pointer: RFC 6901
        parameters[f"value{number}"] = value
    return "WHERE " + " AND ".join(clauses), parameters


def _as_json(row: dict[str, Any]) -> dict[str, Any]:
    """A row as the API gives it: RFC 3339 times, names for numbers, the fields as an object, no empty columns."""
    row["facility"] = facility_name(row["facility"])
    row["severity"] = SEVERITIES[row["severity"]]
    row["flags"] = flag_names(row["flags"])
    if row["fields"] is not None:
        row["fields"] = json.loads(row["fields"])
    return {
        key: value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
        for key, value in row.items()
        if value not in (None, [])
    }


def _row_id(row: Mapping[str, Any]) -> int:
    number: int = row["row_id"]
    return number
