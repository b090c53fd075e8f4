"""From a condition and a time range to rows, page by page: from the newest to the oldest, or the other way."""

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cloud.logs.collector.storage.removals import Removals
from cloud.logs.collector.store import Store
from cloud.logs.query.limit import Limit
from cloud.logs.query.paging import Key, Paging, Room
from cloud.logs.query.rows import PAGE_BYTES
from cloud.logs.query.time_range import TimeRange, emitted_at, rfc3339
from cloud.logs.query.walk import FIRST_MOMENT, LAST_MOMENT, Walk
from cloud.logs.query.where import Where

MAX_ROWS = 10_000
DEADLINE_S = 30.0
STEP = timedelta(microseconds=1)


class SearchError(Exception):
    """The answer would have had to be whole, and its time was up."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ends: the next one goes on behind it, in the order of (observed_timestamp, row_id)."""

    observed_timestamp: datetime
    row_id: int
    """0 stands before all rows of that moment."""
    up_to_row_id: int
    """The last row when the first page was asked for: what came later is on no page."""

    @property
    def key(self) -> Key:
        return self.observed_timestamp, self.row_id


@dataclass(frozen=True, slots=True)
class SearchPage:
    """Rows in the order in which they were asked for."""

    rows: list[dict[str, Any]]
    next: Cursor | None
    """None when there are no more."""
    is_partial: bool
    """Whether the time was up before the page was full, with more behind `next`, or rows were lost."""
    reached: datetime | None
    """So far it has been read; None for all of a range without an end, and when it is partial for nothing."""
    up_to_row_id: int
    has_lost: bool = False
    """Whether a damaged file was set aside meanwhile, which may have had some of them."""


@dataclass(frozen=True, slots=True)
class FoundRows:
    """The newest rows, the oldest of them first, by the clock of the range."""

    rows: list[dict[str, Any]]
    is_full: bool
    """Whether these are so long that there is no room for more: there may be older ones."""


class Search:
    """Reads a store. Any thread may ask; a question ends soon after its deadline, or after it was called off."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def removals(self) -> Removals:
        return self._store.removals

    def page(
        self,
        where: Where,
        time: TimeRange,
        limit: int,
        *,
        before: Cursor | None = None,
        deadline_s: float = DEADLINE_S,
        cancelled: threading.Event | None = None,
    ) -> SearchPage:
        """The newest rows first: at most `limit`, which is 1 or more, and fewer when they are very long."""
        return self._page(
            where, time, Room(limit, PAGE_BYTES), before, Limit.after(deadline_s, cancelled), is_forward=False
        )

    def onward(
        self,
        where: Where,
        time: TimeRange,
        limit: int,
        *,
        after: Cursor | None = None,
        deadline_s: float = DEADLINE_S,
        cancelled: threading.Event | None = None,
        max_bytes: int | None = None,
    ) -> SearchPage:
        """As `page`, with the oldest rows first."""
        room = Room(limit, max_bytes or PAGE_BYTES)
        return self._page(where, time, room, after, Limit.after(deadline_s, cancelled), is_forward=True)

    def find(
        self,
        where: Where,
        time: TimeRange,
        limit: int,
        *,
        deadline_s: float = DEADLINE_S,
        cancelled: threading.Event | None = None,
    ) -> list[dict[str, Any]]:
        """The rows of `newest`; `SearchError` also when not all of them fit into an answer."""
        found = self.newest(where, time, limit, deadline_s=deadline_s, cancelled=cancelled)
        if found.is_full:
            raise SearchError(f"cannot hold all lines: more than {PAGE_BYTES >> 20} MiB; narrow the time range")
        return found.rows

    def newest(
        self,
        where: Where,
        time: TimeRange,
        limit: int,
        *,
        deadline_s: float = DEADLINE_S,
        cancelled: threading.Event | None = None,
    ) -> FoundRows:
        """The newest `limit` rows, and fewer when they are very long.

        `SearchError` when the time does not suffice for all of them.
        """
        if limit <= 0:
            return FoundRows([], is_full=False)
        room, until = Room(limit, PAGE_BYTES), Limit.after(deadline_s, cancelled)
        page = self._page(where, time, room, None, until, is_forward=False)
        if page.has_lost:
            raise SearchError("cannot find all lines: a damaged file was set aside meanwhile; ask again for the rest")
        if page.is_partial:
            back = "" if page.reached is None else f", only those since {rfc3339(page.reached)}"
            raise SearchError(f"cannot find all lines within {deadline_s:g} s{back}: narrow the time range")
        rows = page.rows[::-1]
        if time.clock == "emitted":
            rows.sort(key=emitted_at)
        return FoundRows(rows, is_full=page.next is not None and len(rows) < limit)

    def _page(
        self, where: Where, time: TimeRange, room: Room, start: Cursor | None, limit: Limit, *, is_forward: bool
    ) -> SearchPage:
        up_to_row_id = self._store.committed_row_id if start is None else start.up_to_row_id
        walk = Walk(self._store, time, limit, up_to_row_id, is_forward=is_forward, need=where.need)
        paging = Paging(self._store, where, limit, is_forward)
        if start is not None:
            paging = Paging(self._store, paging.beyond(start.key).and_(where), limit, is_forward)
            walk.start_at(start.observed_timestamp if is_forward else _upper(start))
        found, is_whole = paging.fill(room, walk)
        rows, lost = [row.content for row in found], walk.has_lost
        if room.is_filled_by(found):
            end = Cursor(*found[-1].key, up_to_row_id)
            reached = end.observed_timestamp
            return SearchPage(rows, end, is_partial=lost, reached=reached, up_to_row_id=up_to_row_id, has_lost=lost)
        behind = None
        if not is_whole:
            first = Cursor(walk.reached or (FIRST_MOMENT if is_forward else LAST_MOMENT), 0, up_to_row_id)
            behind = first if walk.has_moved or start is None else start
        return SearchPage(rows, behind, not is_whole or lost, walk.reached, up_to_row_id, has_lost=lost)


def _upper(cursor: Cursor) -> datetime:
    """Before this moment are all rows that are before the cursor."""
    return min(cursor.observed_timestamp, LAST_MOMENT - STEP) + STEP if cursor.row_id else cursor.observed_timestamp
