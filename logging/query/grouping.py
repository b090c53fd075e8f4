"""From what rows are counted by to SQL: the numbers of rows by values, for all rows of a window."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from string import ascii_lowercase
from typing import Literal

import numpy as np

from cloud.logs.collector.row import FOLDED, HEADER, column_of_header
from cloud.logs.emit.levels import SEVERITIES
from cloud.logs.facilities import facility_name
from cloud.logs.query.language.compiler import compile_value
from cloud.logs.query.language.query import Name
from cloud.logs.query.tally import ROWS, TOTAL
from cloud.logs.query.time_range import Clock
from cloud.logs.query.walk import Window
from cloud.logs.query.where import Where

MAX_VALUE_CHARS = 1000
"""What is longer is counted by its beginning."""
TIME = "time"
_PARAMETER = re.compile(r"\$([A-Za-z_]\w*)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_US = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
_CLOCKS: Mapping[Clock, str] = {
    "observed": "observed_timestamp",
    "emitted": "coalesce(timestamp, observed_timestamp)",
}
NamesOf = Callable[[Sequence[int]], list[str]]
"""The names of values that are numbers, each different one once."""
_NAMES: Mapping[str, NamesOf] = {
    "severity": lambda numbers: [SEVERITIES[number] for number in numbers],
    "facility": lambda numbers: [facility_name(number) for number in numbers],
}


@dataclass(frozen=True, slots=True)
class Group:
    """What rows are counted by, and how the answer calls it."""

    label: str
    value: Where
    """SQL and its parameters."""
    names_of: NamesOf | None = None
    """None where the values are texts."""


def group_of(name: Name) -> Group:
    """Rows by the values of a name of the query."""
    if name.is_field:
        return Group(f"fields.{name.text}", compile_value(name))
    return Group(name.text, compile_value(name), _NAMES.get(name.text))


@dataclass(frozen=True, slots=True)
class Intervals:
    """Of one length, numbered from the one on that the first moment is in: the engine would round a minus up."""

    width_us: int

    @classmethod
    def of(cls, interval_s: float) -> "Intervals":
        return cls(max(1, round(interval_s * 1e6)))

    @property
    def before_1970(self) -> int:
        """How many began before 1970, with which one begins."""
        return -(_FIRST_US // self.width_us)

    def number_of(self, column: str) -> str:
        """SQL. To multiply it would cost as much again as to divide, and time_bucket() six times as much."""
        return f"(epoch_us({column}) + {self.before_1970 * self.width_us}) // {self.width_us}"

    def begin_of(self, number: int) -> datetime:
        """Not before the first moment that there is."""
        return _EPOCH + timedelta(microseconds=max((number - self.before_1970) * self.width_us, _FIRST_US))

    def names_of(self, numbers: Sequence[int]) -> list[str]:
        """Their beginnings as the API writes times; all at once, which takes a tenth of what one by one does."""
        begins_us = np.maximum((np.array(numbers, np.int64) - self.before_1970) * self.width_us, _FIRST_US)
        unit: Literal["s", "us"] = "s" if self.width_us % 1_000_000 == 0 else "us"
        return [f"{name}Z" for name in np.datetime_as_string(begins_us.view("datetime64[us]"), unit).tolist()]


def interval_group(intervals: Intervals, clock: Clock) -> Group:
    """Rows by intervals, each named by its beginning."""
    return Group(TIME, Where(intervals.number_of(_CLOCKS[clock])), intervals.names_of)


@dataclass(frozen=True, slots=True)
class Plan:
    """How groups are asked for: first by `header` as it is, since to take it apart costs more than all the rest."""

    inner: Sequence[str]
    outer: Sequence[str]
    """SQL, each with a name."""
    is_folded: bool
    parameters: Mapping[str, object]

    @classmethod
    def of(cls, groups: Sequence[Group]) -> "Plan":
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
                inner[f"value{number}"] = sql if group.names_of else _cut(sql)
                outer.append(f"value{number}")
        return cls([f"{sql} AS {name}" for name, sql in inner.items()], outer, HEADER.name in inner, parameters)

    def question(
        self, window: Window, where: Where, most: int, *, is_last_word: bool
    ) -> tuple[str, Mapping[str, object]]:
        """SQL for the `most` largest groups: their values, their rows, and beside each the rows of all groups.

        With `is_last_word` of those with as many rows the first ones by their values; otherwise any of them.
        """
        bounded = window.where.and_(where)
        sources = [f"{table.source(*self.inner, bounded.sql)} WHERE {bounded.sql}" for table in window.tables]
        if self.is_folded or len(sources) > 1:
            parts = [_select([*self.inner, "count(*) AS part"], source) for source in sources]
            source, number, values = f"({' UNION ALL '.join(parts)})", "coalesce(sum(part), 0)::BIGINT", self.outer
        else:
            [source], number, values = sources, "count(*)", self.inner
        total = f"(sum({number}) OVER ())::BIGINT AS {TOTAL}"
        order = [f"{ROWS} DESC", *(f"value{place}" for place in range(len(self.outer)) if is_last_word)]
        sql = f"{_select([*values, f'{number} AS {ROWS}', total], source)} ORDER BY {', '.join(order)} LIMIT {most}"
        return sql, {**bounded.parameters, **self.parameters}


def _select(values: Sequence[str], source: str) -> str:
    return f"SELECT {', '.join(values)} FROM {source} GROUP BY ALL"  # noqa: S608 - what users typed is in parameters


def _cut(sql: str) -> str:
    """Cut before it is grouped: the engine holds each different value in memory.

    Columns that have few different values are cut once for each of these; messages only where they are long.
    """
    cut = f"left({sql}, {MAX_VALUE_CHARS})"
    return f"CASE WHEN strlen({sql}) > {MAX_VALUE_CHARS} THEN {cut} ELSE {sql} END" if sql == "message" else cut


def _renamed(sql: str, names: Mapping[str, str]) -> str:
    return _PARAMETER.sub(lambda found: f"${names[found[1]]}", sql)
