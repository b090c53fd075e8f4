"""From a condition and a time range to numbers of rows by their values: what stands behind a query's pipe."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from string import ascii_lowercase
from typing import Any

import duckdb

from cloud.logs.collector.row import FOLDED, HEADER, column_of_header
from cloud.logs.collector.store import Store, StoreError
from cloud.logs.emit.levels import SEVERITIES
from cloud.logs.facilities import facility_name
from cloud.logs.query.language.compiler import compile_value
from cloud.logs.query.language.query import CountBy, Name, Stage, Top
from cloud.logs.query.limit import Limit
from cloud.logs.query.time_range import Clock, TimeRange, rfc3339
from cloud.logs.query.walk import Walk, Window
from cloud.logs.query.where import Where

MAX_GROUPS = 10_000
"""Beyond these the smallest groups of a count are added up as one."""
MAX_VALUE_CHARS = 1000
"""What is longer is counted by its beginning."""
MAX_HALVINGS = 16
"""So often a window is cut in two when the engine has no memory for its different values."""
TIME = "time"
COUNT = "count"
_PARAMETER = re.compile(r"\$([A-Za-z_]\w*)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_US = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
_NAMES: Mapping[str, Callable[[int], str]] = {
    TIME: lambda moment_us: rfc3339(moment_of(moment_us)),
    "severity": SEVERITIES.__getitem__,
    "facility": facility_name,
}
_CLOCKS: Mapping[Clock, str] = {
    "observed": "observed_timestamp",
    "emitted": "coalesce(timestamp, observed_timestamp)",
}

Values = tuple[Any, ...]


class TooManyValuesError(Exception):
    """The engine has no memory for so many different values."""


@dataclass(frozen=True, slots=True)
class Group:
    """What rows are counted by, and how the answer calls it."""

    label: str
    value: Where
    """SQL and its parameters."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of rows by the values of `labels`, in no order; a value is None where rows have none."""

    labels: tuple[str, ...]
    rows_of: Mapping[Values, int]
    others: int
    """Rows of groups beyond MAX_GROUPS. Where there are any, a small group may have more rows than it says."""
    is_partial: bool
    """Whether the time was up: only rows that arrived since `reached` are counted."""
    reached: datetime | None

    @property
    def total(self) -> int:
        return sum(self.rows_of.values()) + self.others


@dataclass(frozen=True, slots=True)
class Asked:
    """Which rows are counted, and until when."""

    where: Where
    time: TimeRange
    limit: Limit


@dataclass(slots=True)
class _Tally:
    rows_of: Counter[Values] = field(default_factory=Counter)
    others: int = 0

    def add(self, found: Mapping[Values, int], others: int) -> None:
        self.rows_of.update(found)
        self.others += others
        if len(self.rows_of) > MAX_GROUPS:
            kept = Counter(dict(self.rows_of.most_common(MAX_GROUPS)))
            self.others += self.rows_of.total() - kept.total()
            self.rows_of = kept


def group_of(name: Name) -> Group:
    """Rows by the values of a name of the query."""
    return Group(f"fields.{name.text}" if name.is_field else name.text, compile_value(name))


def interval_group(interval_s: float, clock: Clock) -> Group:
    """Rows by intervals of that length since 1970, each named by its beginning."""
    # A whole number of microseconds in the text: time_bucket() takes ten times as long.
    width_us = max(1, round(interval_s * 1e6))
    moment = f"epoch_us({_CLOCKS[clock]})"
    # The engine's % has the sign of the moment, which before 1970 is a minus.
    return Group(TIME, Where(f"({moment} - ({moment} % {width_us} + {width_us}) % {width_us})"))


def moment_of(us: int) -> datetime:
    """So long after 1970, and not before the first moment that there is: an interval may begin there."""
    return _EPOCH + timedelta(microseconds=max(us, _FIRST_US))


class Counting:
    """Counts the rows of a store. Any thread may ask."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def count(self, asked: Asked, groups: Sequence[Group]) -> Counts:
        """How many rows there are for each combination of values, window by window as far as the limit lets.

        `TooManyValuesError` when even a small part of a window has too many different ones.
        """
        last = self._store.committed_row_id
        walk = Walk(self._store, asked.time, asked.limit, last, reads_all=True, need=asked.where.need)
        plan = _Plan.of(groups)
        tally = _Tally()

        def read(window: Window) -> bool:
            of_window = _Tally()  # added only when it is whole: the limit may end it in the middle
            parts = [(window, 0)]
            while parts:
                part, halvings = parts.pop()
                try:
                    answer = self._store.query(*plan.question(part, asked.where), asked.limit.guard)
                except StoreError as exc:
                    if not isinstance(exc.__cause__, duckdb.OutOfMemoryException):
                        raise
                    if halvings == MAX_HALVINGS:
                        raise TooManyValuesError("cannot count: there are too many different values") from exc
                    parts += [(half, halvings + 1) for half in part.halves()]
                    walk.narrow(part)
                    continue
                *values, rows, totals = (column.to_pylist() for column in answer.columns)
                keys = zip(*values, strict=True) if values else [()]
                found = {key: number for key, number in zip(keys, rows, strict=True) if number}
                of_window.add(found, totals[0] - sum(found.values()) if totals else 0)
            tally.add(of_window.rows_of, of_window.others)
            return True

        is_whole = walk.each(read)
        labels = tuple(group.label for group in groups)
        rows_of = {_named(labels, values): rows for values, rows in tally.rows_of.items()}
        if not groups:
            rows_of.setdefault((), 0)
        return Counts(labels, rows_of, tally.others, is_partial=not is_whole, reached=walk.reached)

    def stage(self, asked: Asked, stage: Stage) -> "CountTable":
        """What a query's stage makes of its rows."""
        names = stage.names if isinstance(stage, CountBy) else (stage.name,)
        groups = [group_of(name) for name in names]
        if isinstance(stage, CountBy) and stage.interval_s is not None:
            groups.insert(0, interval_group(stage.interval_s, asked.time.clock))
        counts = self.count(asked, groups)
        rows = sorted(counts.rows_of.items(), key=lambda item: (-item[1], tuple(map(_sortable, item[0]))))
        if isinstance(stage, Top):
            rows = rows[: stage.n]
        elif stage.interval_s is not None:
            rows.sort(key=lambda item: _sortable(item[0][0]))
        return CountTable((*counts.labels, COUNT), [[*values, number] for values, number in rows], counts)


@dataclass(frozen=True, slots=True)
class CountTable:
    """Counts in order: the most frequent first, and by intervals the earliest."""

    columns: tuple[str, ...]
    rows: list[list[Any]]
    counts: Counts


@dataclass(frozen=True, slots=True)
class _Plan:
    """How groups are asked for: first by `header` as it is, since to take it apart costs more than all the rest."""

    inner: str
    outer: str
    parameters: Mapping[str, object]

    @classmethod
    def of(cls, groups: Sequence[Group]) -> "_Plan":
        inner: dict[str, str] = {}
        outer: list[str] = []
        parameters: dict[str, object] = {}
        for number, (group, letter) in enumerate(zip(groups, ascii_lowercase, strict=False)):
            names = {name: f"group_{letter}{place}" for place, name in enumerate(group.value.parameters)}
            parameters |= {names[name]: value for name, value in group.value.parameters.items()}
            sql = _renamed(group.value.sql, names)
            if sql in FOLDED:
                inner[HEADER.name] = HEADER.name
                outer.append(f"{column_of_header(sql)} AS value{number}")
            else:
                is_number = group.label in (TIME, "severity", "facility")
                # Cut before it is grouped: the engine holds each different value in memory.
                inner[f"inner{number}"] = sql if is_number else f"left({sql}, {MAX_VALUE_CHARS})"
                outer.append(f"inner{number} AS value{number}")
        return cls(
            "".join(f"{sql} AS {name}, " for name, sql in inner.items()),
            "".join(f"{each}, " for each in outer),
            parameters,
        )

    def question(self, window: Window, where: Where) -> tuple[str, Mapping[str, object]]:
        """SQL for the MAX_GROUPS largest groups: their values, their rows, and the rows of all groups."""
        bounded = window.where.and_(where)
        union = " UNION ALL ".join(
            f"SELECT {self.inner}count(*) AS part FROM {table.source(self.inner, bounded.sql)}"  # noqa: S608 - what users typed is in parameters
            f" WHERE {bounded.sql} GROUP BY ALL"
            for table in window.tables
        )
        counted = f"SELECT {self.outer}coalesce(sum(part), 0)::BIGINT AS rows FROM ({union}) GROUP BY ALL"  # noqa: S608
        sql = f"SELECT *, (sum(rows) OVER ())::BIGINT AS total FROM ({counted}) ORDER BY rows DESC LIMIT {MAX_GROUPS}"  # noqa: S608
        return sql, {**bounded.parameters, **self.parameters}


def _renamed(sql: str, names: Mapping[str, str]) -> str:
    return _PARAMETER.sub(lambda found: f"${names[found[1]]}", sql)


def _named(labels: Sequence[str], values: Values) -> Values:
    """Values as the API says them."""
    return tuple(
        value if value is None or label not in _NAMES else _NAMES[label](value)
        for label, value in zip(labels, values, strict=True)
    )


def _sortable(value: object) -> tuple[bool, str]:
    return value is None, str(value)
