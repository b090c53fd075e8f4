"""From a time range to windows that are read one after another: a question that is cut short knows how far it got.

A window takes in as much time as can be read quickly, by what the last one took.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cloud.logs.collector.index.needs import Need
from cloud.logs.collector.index.text_index import Span
from cloud.logs.collector.store import QueryInterruptedError, Store, Table, TableDamagedError
from cloud.logs.query.limit import Limit
from cloud.logs.query.reach import ALL_FIRST_ROWS, FIRST_ROWS, Reach, are_few, reach_of
from cloud.logs.query.time_range import TimeRange, sql_time
from cloud.logs.query.where import Where

LEAST_SPAN = timedelta(seconds=10)
"""No window is shorter."""
TARGET_S = 0.5
"""About so long a window should take; the next one is as much longer or shorter as the last one missed it by."""
LEAST_GROWTH, MOST_GROWTH = 0.25, 16.0
"""Within these, however quick or slow the last one was."""
REST = 0.5
"""A window takes in what is left of a day where that is no more than this part of it."""
ATTEMPTS = 3
FIRST_MOMENT = datetime.min.replace(tzinfo=UTC)
LAST_MOMENT = datetime.max.replace(tzinfo=UTC)
_DAY = timedelta(days=1)
_STEP = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the time range, by time of arrival: from `since` on and before `until`."""

    since: datetime
    until: datetime
    tables: Sequence[Table]
    """Those that have rows of it, with the newest rows first; where an index has found any, with these alone."""
    where: Where
    """What of these rows is in the window and in the time range."""
    is_only: bool = False
    """Whether all rows of the range are in it."""

    def halves(self) -> "tuple[Window, Window]":
        """The same rows in two windows."""
        middle = self.since + (self.until - self.since) / 2
        early = self.where.and_(Where(f"observed_timestamp < {sql_time(middle)}"))
        late = self.where.and_(Where(f"observed_timestamp >= {sql_time(middle)}"))
        return Window(self.since, middle, self.tables, early), Window(middle, self.until, self.tables, late)


class Walk:
    """One walk through the windows of a range: backwards from the newest rows on, or forward from the oldest.

    Rows that are committed after it began are not in it, nor are those that cannot meet `need`, where that is known.
    """

    def __init__(
        self,
        store: Store,
        time_range: TimeRange,
        limit: Limit,
        up_to_row_id: int,
        *,
        is_forward: bool = False,
        reads_all: bool = False,
        need: Need | None = None,
    ) -> None:
        """`reads_all` says that it is not to end early: that nobody waits for what its first window has."""
        self._store = store
        self._range = time_range
        self._limit = limit
        self._up_to_row_id = up_to_row_id
        self._is_forward = is_forward
        self._first_rows = ALL_FIRST_ROWS if reads_all else FIRST_ROWS
        self._need = need
        is_observed = time_range.clock == "observed"
        self._lower = time_range.since if is_observed else None
        self._upper = time_range.until if is_observed else None
        self.reached = self._lower if is_forward else self._upper
        """What is on the near side of it has been read; None stands for a bound that the range does not have."""
        self.has_moved = False
        """Whether a window has been read."""
        self._span = timedelta()
        self._longest = _DAY
        self._most_growth = MOST_GROWTH
        self._reaches: dict[str, Reach | None] = {}
        self._removed = store.removals.count

    @property
    def has_lost(self) -> bool:
        """Whether a damaged file was set aside meanwhile that may have had rows of the range."""
        return any(
            each.is_damage and (self._lower is None or each.last >= self._lower)
            for each in self._store.removals.since(self._removed)
        )

    def start_at(self, moment: datetime) -> None:
        """Walk on from `moment`, if that is within the range: the rows before it, or with `is_forward` from it on."""
        nearer = max if self._is_forward else min
        self.reached = moment if self.reached is None else nearer(moment, self.reached)

    def narrow(self, window: Window) -> None:
        """Let no window from here on be longer than half of `window`, which was too much."""
        self._longest = min(self._longest, max((window.until - window.since) / 2, LEAST_SPAN))
        self._span = min(self._span, self._longest)

    def aim(self, growth: float) -> None:
        """Let the window after this one be at most so many times as long: there is no use for more rows."""
        self._most_growth = max(1.0, min(growth, MOST_GROWTH))

    def each(self, read: Callable[[Window], bool]) -> bool:
        """Give `read` one window after another until it returns False; whether that or the range's end was reached.

        When the limit ends it first, `read` may have been left in the middle of a window by `QueryInterruptedError`.
        """
        while not self._limit.is_over:
            begun_s = time.monotonic()
            self._most_growth = MOST_GROWTH
            longest = self._longest
            try:
                goes_on = self._next(read)
            except QueryInterruptedError:
                return False
            if not goes_on:
                return True
            if self._longest == longest:  # it was not too much
                self._longest = min(2 * longest, _DAY)
            growth = TARGET_S / max(time.monotonic() - begun_s, TARGET_S / MOST_GROWTH)
            self._span *= max(LEAST_GROWTH, min(growth, self._most_growth))
            self._span = min(max(self._span, LEAST_SPAN), self._longest)
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
                if window.is_only:
                    self.reached = self._lower
                    return False
                return goes_on
            except TableDamagedError:
                if attempt == ATTEMPTS:
                    raise
        return False

    def _backward(self, tables: Sequence[Table]) -> Window | None:
        days = sorted({table.day for table in tables}, reverse=True)
        reaches, lower, upper = self._nearest(tables, days)
        if not reaches:
            return None
        nearest = max(reaches, key=lambda each: each.last)
        until = min(upper, nearest.last + _STEP)
        span = self._span_in(nearest)
        begin = max(lower, min(each.first for each in reaches))
        is_rest = are_few(reaches) or until - begin <= (1 + REST) * span
        since = lower if is_rest else until - span
        is_only = is_rest and not self.has_moved and not self._has_before(tables, lower)
        return self._window(reaches, since, until, is_only=is_only)

    def _forward(self, tables: Sequence[Table]) -> Window | None:
        reaches, lower, upper = self._nearest(tables, sorted({table.day for table in tables}))
        if not reaches:
            return None
        nearest = min(reaches, key=lambda each: each.first)
        since = max(lower, nearest.first)
        span = self._span_in(nearest)
        end = min(upper, max(each.last for each in reaches))
        is_rest = are_few(reaches) or end - since <= (1 + REST) * span
        return self._window(reaches, since, upper if is_rest else since + span)

    def _nearest(self, tables: Sequence[Table], days: Sequence[str]) -> tuple[Sequence[Reach], datetime, datetime]:
        """What is to be read of the first of `days` that has any of it, and of the next ones as long as that is little.

        With the bounds within which there is nothing else.
        """
        found: list[Reach] = []
        first, last = LAST_MOMENT, FIRST_MOMENT
        for day in days:
            lower, upper = self._bounds(day)
            of_day = self._within(tables, day, lower, upper) if lower < upper else ()
            if of_day:
                if found and not are_few([*found, *of_day]):
                    break
                found += of_day
                first, last = min(first, lower), max(last, upper)
                if not are_few(found):
                    break
        return found, first, last

    def _bounds(self, day: str) -> tuple[datetime, datetime]:
        """What of a day is in the range and has not been read."""
        begin = datetime.fromisoformat(day).replace(tzinfo=UTC)
        lower = self.reached if self._is_forward else self._lower
        upper = self._upper if self._is_forward else self.reached
        return max(lower or begin, begin), min(upper or begin + _DAY, begin + _DAY)

    def _span_in(self, reach: Reach) -> timedelta:
        """The length of the next window; of the first one by how dense the rows are where it begins."""
        if not self._span:
            self._span = min(max(reach.span_of(self._first_rows), LEAST_SPAN), _DAY)
        return self._span

    def _has_before(self, tables: Sequence[Table], moment: datetime) -> bool:
        """Whether any day that ended up to `moment` has rows to read."""
        for day in {table.day for table in tables}:
            lower, upper = self._bounds(day)
            if lower < upper <= moment and self._within(tables, day, lower, upper):
                return True
        return False

    def _window(self, reaches: Sequence[Reach], since: datetime, until: datetime, *, is_only: bool = False) -> Window:
        within = f"observed_timestamp >= {sql_time(since)} AND observed_timestamp < {sql_time(until)}"
        found = [part for reach in reaches if (part := reach.within(since, until))]
        where = Where(within)
        if any(part.table.index is None or part.table.last_row_id > self._up_to_row_id for part in found):
            where = where.and_(Where(f"row_id <= {self._up_to_row_id}"))  # what has an index gets no more rows
        if self._range.clock == "emitted":
            where = where.and_(self._range.where())
        return Window(since, until, [part.narrowed() for part in found], where, is_only)

    def _within(self, tables: Sequence[Table], day: str, lower: datetime, upper: datetime) -> Sequence[Reach]:
        """What of the tables of a day arrived from `lower` on and before `upper`."""
        of_day = [table for table in tables if table.day == day and table.first_row_id <= self._up_to_row_id]
        for table in of_day:
            if table.sql_name not in self._reaches:
                self._reaches[table.sql_name] = reach_of(table, self._need, self._extent)
        known = [reach for table in of_day if (reach := self._reaches[table.sql_name])]
        return [part for reach in known if (part := reach.within(lower, upper))]

    def _extent(self, table: Table) -> Span | None:
        sql = f"SELECT min(observed_timestamp) AS first, max(observed_timestamp) AS last FROM {table.source()}"  # noqa: S608 - our own name
        [found] = self._store.query(sql, {}, self._limit.guard).to_pylist()
        if found["first"] is None:
            return None
        return Span(table.first_row_id, table.last_row_id, found["first"], found["last"])
