"""Rows and counts as tables: aligned for people, CSV for programs."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from cloud.logs.query.language.names import COLUMNS, Kind, name_of
from cloud.logs.query.language.query import Name
from cloud.logs.query.output import local_time, printable, shown_time

MAX_CELL_CHARS = 80
LINE_COLUMNS = ("time", "host", "service", "severity", "message")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would compute if a cell began with it."""


def aligned(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """A line for the head and one for each row; numbers stand at the right, and what is not there is a minus.

    Only the last column's texts are as long as they are.
    """
    cells = [[*map(_short, row[:-1]), _text(row[-1])] for row in rows]
    widths = [max(len(each) for each in column) for column in zip(columns, *cells, strict=True)]
    is_right = [
        bool(rows) and all(isinstance(row[place], int | float) for row in rows) for place in range(len(columns))
    ]
    return [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, is_right, strict=True)
        ).rstrip()
        for line in ([name.upper() for name in columns], *cells)
    ]


def line_cells(row: Mapping[str, Any], *, utc: bool) -> list[Any]:
    """A row under LINE_COLUMNS."""
    host = row.get("hostname", row["peer"])
    return [local_time(row, utc=utc), host, row.get("app_name"), row["severity"], row["message"]]


def named_cells(row: Mapping[str, Any], names: Sequence[str], *, utc: bool | None = None) -> list[Any]:
    """What a row has under names of the query language; times as people read them where `utc` says how."""
    return [_named(row, name_of(name, 1), utc) for name in names]


def as_csv(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, with_head: bool = True) -> str:
    """Lines that end as RFC 4180 says; a cell that a spreadsheet would compute begins with a quotation mark."""
    text = io.StringIO()
    writer = csv.writer(text)
    if with_head:
        writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _named(row: Mapping[str, Any], name: Name, utc: bool | None) -> Any:
    if name.is_field:
        return _field(row.get("fields", {}), name.text)
    value = row.get(COLUMNS[name.text].column)
    if isinstance(value, str) and utc is not None and COLUMNS[name.text].kind is Kind.TIME:
        return shown_time(value, utc=utc)
    return ",".join(value) if isinstance(value, list) else value


def _field(fields: Any, key: str) -> Any:
    """As the language finds it: of the key itself, or else within objects."""
    if not isinstance(fields, Mapping) or key in fields:
        return fields.get(key) if isinstance(fields, Mapping) else None
    first, _, rest = key.partition(".")
    return _field(fields.get(first), rest) if rest else None


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, int | float):
        return str(value)
    text = value if isinstance(value, str) else json.dumps(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _short(value: Any) -> str:
    text = _text(value)
    return text if len(text) <= MAX_CELL_CHARS else f"{text[: MAX_CELL_CHARS - 1]}…"


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return printable(f"{value:.3f}" if isinstance(value, float) else str(value)).replace("\n", " ").replace("\t", " ")
