"""From a condition and a time range to the most frequent values of the columns that tell lines apart, in one pass."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cloud.logs.collector.row import FOLDED, HEADER, column_of_header
from cloud.logs.collector.store import Store
from cloud.logs.emit.levels import SEVERITIES
from cloud.logs.facilities import facility_name
from cloud.logs.query import counting
from cloud.logs.query.counting import Asked
from cloud.logs.query.memory import by_parts
from cloud.logs.query.walk import Walk, Window

NAMES = ("host", "service", "facility", "severity", "event")
_COLUMNS = {"host": "hostname", "service": "app_name", "facility": "facility", "severity": "severity", "event": "event"}
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
    others: Mapping[str, int]
    """Of each name the rows whose values are beyond MAX_GROUPS: where there are any, rare values may have more rows."""
    is_partial: bool
    """Whether only rows that arrived since `reached` are counted, as the time was up or a file damaged."""
    reached: datetime | None


def facets(store: Store, asked: Asked, top: int) -> Facets:
    """The `top` values of each name, of the MAX_GROUPS most frequent ones of each window.

    `TooManyValuesError` as of a count.
    """
    walk = Walk(store, asked.time, asked.limit, store.committed_row_id, reads_all=True, need=asked.where.need)
    tally = _Tally()

    def ask(part: Window) -> list[dict[str, Any]]:
        bounded = part.where.and_(asked.where)
        answer = store.query(_question(part, bounded.sql), bounded.parameters, asked.limit.guard)
        rows: list[dict[str, Any]] = answer.to_pylist()
        return rows

    def read(window: Window) -> bool:
        of_window = _Tally()  # added only when it is whole: the limit may end it in the middle
        for answer in by_parts(walk, window, ask):
            of_window.add(answer)
        tally.merge(of_window)
        return True

    is_whole = walk.each(read)
    values_of = {name: [Value(value, count) for value, count in _ordered(tally.counts[name])[:top]] for name in NAMES}
    return Facets(values_of, tally.others, is_partial=not is_whole or walk.has_lost, reached=walk.reached)


class _Tally:
    """Adds up the values of each name, and keeps the MAX_GROUPS most frequent ones."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str | None]] = {name: Counter() for name in NAMES}
        self.others = dict.fromkeys(NAMES, 0)
        """Of each name the rows whose values are not kept."""

    def add(self, answer: Sequence[Mapping[str, Any]]) -> None:
        """What `_question` has given."""
        totals: dict[str, int] = {}
        for row in answer:
            self.counts[row["name"]][_named(row["name"], row["value"])] += row["rows"]
            totals[row["name"]] = row["total"]
            self.others[row["name"]] -= row["rows"]
        for name, total in totals.items():
            self.others[name] += total
            self._shorten(name)

    def merge(self, other: "_Tally") -> None:
        for name in NAMES:
            self.counts[name].update(other.counts[name])
            self.others[name] += other.others[name]
            self._shorten(name)

    def _shorten(self, name: str) -> None:
        if len(self.counts[name]) > counting.MAX_GROUPS:
            kept = Counter(dict(self.counts[name].most_common(counting.MAX_GROUPS)))
            self.others[name] += self.counts[name].total() - kept.total()
            self.counts[name] = kept


def _question(window: Window, condition: str) -> str:
    """SQL for the most frequent values of each name, their rows, and the rows of all values of that name.

    Rows are counted by `header` as it is, and then by what it holds: to take it apart costs more than all the rest.
    """
    sets = ", ".join(_SETS)
    union = " UNION ALL ".join(
        f"SELECT {sets} FROM {table.source(condition)} WHERE {condition}"  # noqa: S608 - what users typed is in parameters
        for table in window.tables
    )
    parts = (
        f"SELECT {sets}, grouping_id({sets}) AS missing, count(*) AS part FROM ({union})"  # noqa: S608
        f" GROUP BY GROUPING SETS ({', '.join(f'({column})' for column in _SETS)})"
    )
    names = " UNION ALL ".join(f"({_of_name(name, column)})" for name, column in _COLUMNS.items())
    return f"WITH parts AS MATERIALIZED ({parts}) {names}"


def _of_name(name: str, column: str) -> str:
    stored = HEADER.name if column in FOLDED else column
    value = column_of_header(column) if column in FOLDED else f"{column}::VARCHAR"
    # `missing` has a bit for each of the columns that a set has not, the last one lowest.
    missing = (1 << len(_SETS)) - 1 - (1 << len(_SETS) - 1 - _SETS.index(stored))
    counted = f"SELECT {value} AS value, sum(part)::BIGINT AS rows FROM parts WHERE missing = {missing} GROUP BY ALL"  # noqa: S608
    return (
        f"SELECT '{name}' AS name, value, rows, (sum(rows) OVER ())::BIGINT AS total FROM ({counted})"  # noqa: S608
        f" ORDER BY rows DESC LIMIT {counting.MAX_GROUPS}"
    )


def _named(name: str, value: str | None) -> str | None:
    """A value as the API says it."""
    if value is None:
        return None
    if name == "facility":
        return facility_name(int(value))
    return SEVERITIES[int(value)] if name == "severity" else value


def _ordered(counter: Counter[str | None]) -> list[tuple[str | None, int]]:
    return sorted(counter.items(), key=lambda item: (-item[1], item[0] is None, item[0] or ""))
