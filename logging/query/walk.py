"""From a time range to windows that are read one after another: a question that is cut short knows how far it got.

A window takes in as much time as can be read quickly, by what the last one took.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cloud.logs.collector.store import QueryInterruptedError, Store, Table, TableDamagedError
from cloud.logs.query.limit import Limit
from cloud.logs.query.time_range import TimeRange, sql_time
from cloud.logs.query.where import Where

FIRST_ROWS = 10_000
LEAST_SPAN = timedelta(seconds=10)
"""The first window has about so many rows, and is at least so long: a second at most even for a slow condition."""
QUICK_S, SLOW_S = 0.25, 1.0
"""A window that took less is followed by a longer one, and one that took more by a shorter one."""
GROWTH = 4
ATTEMPTS = 3
_DAY = timedelta(days=1)
_STEP = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the time range, by time of arrival: from `since` on and before `until`."""

    since: datetime
    until: datetime
    tables: Sequence[Table]
    """Those that have rows of it, with the newest rows first."""
    where: Where
    """What of these rows is in the window and in the time range."""

    def halves(self) -> "tuple[Window, Window]":
        """The same rows in two windows."""
        middle = self.since + (self.until - self.since) / 2
        early = self.where.and_(Where(f"observed_timestamp < {sql_time(middle)}"))
        late = self.where.and_(Where(f"observed_timestamp >= {sql_time(middle)}"))
        return Window(self.since, middle, self.tables, early), Window(middle, self.until, self.tables, late)


@dataclass(frozen=True, slots=True)
class _Extent:
    first: datetime
    last: datetime


class Walk:
    """One walk through the windows of a range: backwards from the newest rows on, or forward from the oldest.

    Rows that are committed after it began are not in it.
    """

    def __init__(
        self, store: Store, time_range: TimeRange, limit: Limit, up_to_row_id: int, *, is_forward: bool = False
    ) -> None:
        self._store = store
        self._range = time_range
        self._limit = limit
        self._up_to_row_id = up_to_row_id
        self._is_forward = is_forward
        is_observed = time_range.clock == "observed"
        self._lower = time_range.since if is_observed else None
        self._upper = time_range.until if is_observed else None
        self.reached = self._lower if is_forward else self._upper
        """What is on the near side of it has been read; None stands for a bound that the range does not have."""
        self.has_moved = False
        """Whether a window has been read."""
        self._span = timedelta()
        self._longest = _DAY
        self._extents: dict[str, _Extent | None] = {}

    def start_at(self, moment: datetime) -> None:
        """Walk on from `moment`, if that is within the range: the rows before it, or with `is_forward` from it on."""
        nearer = max if self._is_forward else min
        self.reached = moment if self.reached is None else nearer(moment, self.reached)

    def narrow(self, window: Window) -> None:
        """Let no window from here on be longer than half of `window`, which was too much."""
        self._longest = min(self._longest, max((window.until - window.since) / 2, LEAST_SPAN))
        self._span = min(self._span, self._longest)

    def each(self, read: Callable[[Window], bool]) -> bool:
        """Give `read` one window after another until it returns False; whether that or the range's end was reached.

        When the limit ends it first, `read` may have been left in the middle of a window by `QueryInterruptedError`.
        """
        while not self._limit.is_over:
            begun_s = time.monotonic()
            try:
                goes_on = self._next(read)
            except QueryInterruptedError:
                return False
            if not goes_on:
                return True
            took_s = time.monotonic() - begun_s
            if took_s < QUICK_S:
                self._span = min(GROWTH * self._span, self._longest)
            elif took_s > SLOW_S:
                self._span = max(self._span / GROWTH, LEAST_SPAN)
        return False

    def _next(self, read: Callable[[Window], bool]) -> bool:
        """The next window; asked again without a file that turned out damaged, which the store has put aside."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self._store.tables() as tables:
                    window = self._forward(tables) if self._is_forward else self._backward(tables)
                    if window is None:
                        self.reached = self._upper if self._is_forward else self._lower
                        return False
                    goes_on = read(window)
                self.reached = window.until if self._is_forward else window.since
                self.has_moved = True
                return goes_on
            except TableDamagedError:
                if attempt == ATTEMPTS:
                    raise
        return False

    def _backward(self, tables: Sequence[Table]) -> Window | None:
        for day in sorted({table.day for table in tables}, reverse=True):
            begin, end = _bounds(day)
            upper = min(self.reached or end, end)
            lower = max(self._lower or begin, begin)
            if lower < upper and (extents := self._within(tables, day, lower, upper)):
                until = min(upper, max(extent.last for _, extent in extents) + _STEP)
                nearest = max(extents, key=lambda each: each[1].last)
                return self._window(extents, max(until - self._span_in(*nearest), lower), until)
        return None

    def _forward(self, tables: Sequence[Table]) -> Window | None:
        for day in sorted({table.day for table in tables}):
            begin, end = _bounds(day)
            lower = max(self.reached or begin, begin)
            upper = min(self._upper or end, end)
            if lower < upper and (extents := self._within(tables, day, lower, upper)):
                since = max(lower, min(extent.first for _, extent in extents))
                nearest = min(extents, key=lambda each: each[1].first)
                return self._window(extents, since, min(since + self._span_in(*nearest), upper))
        return None

    def _span_in(self, table: Table, extent: _Extent) -> timedelta:
        """The length of the next window; of the first one by how dense the rows are where it begins."""
        if not self._span:
            rows = max(1, table.last_row_id - table.first_row_id + 1)
            self._span = min(max((extent.last - extent.first) * FIRST_ROWS / rows, LEAST_SPAN), _DAY)
        return self._span

    def _window(self, extents: Sequence[tuple[Table, _Extent]], since: datetime, until: datetime) -> Window:
        within = f"observed_timestamp >= {sql_time(since)} AND observed_timestamp < {sql_time(until)}"
        where = Where(f"{within} AND row_id <= {self._up_to_row_id}")
        if self._range.clock == "emitted":
            where = where.and_(self._range.where())
        tables = [table for table, extent in extents if extent.first < until and extent.last >= since]
        return Window(since, until, tables, where)

    def _within(
        self, tables: Sequence[Table], day: str, lower: datetime, upper: datetime
    ) -> Sequence[tuple[Table, _Extent]]:
        """The tables of a day that have rows from `lower` on and before `upper`."""
        of_day = [table for table in tables if table.day == day and table.first_row_id <= self._up_to_row_id]
        for table in of_day:
            if table.sql_name not in self._extents:
                self._extents[table.sql_name] = self._extent(table)
        known = [(table, extent) for table in of_day if (extent := self._extents[table.sql_name])]
        return [(table, extent) for table, extent in known if extent.first < upper and extent.last >= lower]

    def _extent(self, table: Table) -> _Extent | None:
        sql = f"SELECT min(observed_timestamp) AS first, max(observed_timestamp) AS last FROM {table.sql_name}"  # noqa: S608 - our own name
        [found] = self._store.query(sql, {}, self._limit.guard).to_pylist()
        return None if found["first"] is None else _Extent(found["first"], found["last"])


def _bounds(day: str) -> tuple[datetime, datetime]:
    begin = datetime.fromisoformat(day).replace(tzinfo=UTC)
    return begin, begin + _DAY
