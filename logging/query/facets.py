"""From a condition and a time range to the most frequent values of the columns that tell lines apart, in one pass."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cloud.logs.collector.row import FOLDED, HEADER, SEPARATOR
from cloud.logs.collector.store import Store
from cloud.logs.emit.levels import SEVERITIES
from cloud.logs.facilities import facility_name
from cloud.logs.query.counting import MAX_GROUPS, Asked
from cloud.logs.query.walk import Walk, Window

NAMES = ("host", "service", "facility", "severity", "event")
_FOLDED_NAMES = {"service": FOLDED.index("app_name"), "event": FOLDED.index("event")}
_SETS = ("hostname", "facility", "severity", HEADER.name)


@dataclass(frozen=True, slots=True)
class Value:
    """One of the most frequent values of a name; None where rows have none."""

    value: str | None
    count: int


@dataclass(frozen=True, slots=True)
class Facets:
    """The most frequent values of each of NAMES, most first."""

    values_of: Mapping[str, list[Value]]
    is_partial: bool
    """Whether the time was up: only rows that arrived since `reached` are counted."""
    reached: datetime | None


def facets(store: Store, asked: Asked, top: int) -> Facets:
    """The `top` values of each name. Beyond MAX_GROUPS different ones in a window, rare ones are not counted."""
    walk = Walk(store, asked.time, asked.limit, store.committed_row_id)
    counts: dict[str, Counter[str | None]] = {name: Counter() for name in NAMES}

    def read(window: Window) -> bool:
        bounded = window.where.and_(asked.where)
        union = " UNION ALL ".join(
            f"SELECT {', '.join(_SETS)} FROM {table.sql_name} WHERE {bounded.sql}"  # noqa: S608 - what users typed is in parameters
            for table in window.tables
        )
        sets = ", ".join(f"({column})" for column in _SETS)
        sql = (
            f"SELECT {', '.join(_SETS)}, grouping_id({', '.join(_SETS)}) AS missing, count(*) AS rows FROM ({union})"  # noqa: S608
            f" GROUP BY GROUPING SETS ({sets}) ORDER BY rows DESC LIMIT {len(_SETS) * MAX_GROUPS}"
        )
        for row in store.query(sql, bounded.parameters, asked.limit.guard).to_pylist():
            _count(row, counts)
        for name, counter in counts.items():
            if len(counter) > MAX_GROUPS:
                counts[name] = Counter(dict(counter.most_common(MAX_GROUPS)))
        return True

    is_whole = walk.each(read)
    values_of = {name: [Value(value, count) for value, count in _ordered(counts[name])[:top]] for name in NAMES}
    return Facets(values_of, is_partial=not is_whole, reached=walk.reached)


def _count(row: Mapping[str, Any], counts: Mapping[str, Counter[str | None]]) -> None:
    """Add a row of one of the sets: `missing` has a bit for each column that the set has not, the last one lowest."""
    place = next(number for number in range(len(_SETS)) if not row["missing"] >> (len(_SETS) - 1 - number) & 1)
    column, rows = _SETS[place], row["rows"]
    if column == HEADER.name:
        parts = row[column].split(SEPARATOR)
        for name, part in _FOLDED_NAMES.items():
            counts[name][parts[part] or None] += rows
    elif column == "hostname":
        counts["host"][row[column]] += rows
    else:
        counts[column][facility_name(row[column]) if column == "facility" else SEVERITIES[row[column]]] += rows


def _ordered(counter: Counter[str | None]) -> list[tuple[str | None, int]]:
    return sorted(counter.items(), key=lambda item: (-item[1], item[0] is None, item[0] or ""))
