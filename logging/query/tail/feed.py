"""From the store's commits to all tails: what has arrived is read once, tested once, and written as text once."""

import asyncio
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
from anyio import CapacityLimiter, to_thread
from loguru import logger

from cloud.logs.collector.store import Store, StoreError
from cloud.logs.query.commits import Commits
from cloud.logs.query.limit import Limit
from cloud.logs.query.memory import with_fewer_rows
from cloud.logs.query.reader import Reader
from cloud.logs.query.tail.events import events_of_table
from cloud.logs.query.tail.matching import ConditionError, Matcher
from cloud.logs.query.tail.window import Key, Place, Portion, Window
from cloud.logs.query.where import Where

IDLE_S = 10.0
READ_S = 30.0
PORTION_BYTES = 8 << 20
FIRST_ROWS, MAX_ROWS = 2_000, 20_000
"""Of a portion: the first one, and any; by the length of the rows of the last one there are fewer."""
MAX_BEHIND_ROWS = 500_000
"""So far the store may be ahead of what is read for all tails; then they end, and who comes again skips the rest."""


class Feed:
    """One for an event loop. It reads while there are tails."""

    def __init__(self, store: Store, commits: Commits) -> None:
        self._store = store
        self._reader = Reader(store)
        self._commits = commits
        self._window = Window()
        self._places: set[Place] = set()
        self._row_id = 0
        self._rows = FIRST_ROWS
        self._thread = CapacityLimiter(1)
        self._reading: asyncio.Task[None] | None = None

    @property
    def is_closed(self) -> bool:
        """Whether the server stops."""
        return self._commits.is_closed

    @contextmanager
    def following(self, where: Where) -> Iterator[Place]:
        """A place from now on: what `where` wants of the rows that are committed later comes there."""
        committed = self._store.committed_row_id
        if not self._places:
            self._row_id = max(self._row_id, committed)
        place = Place(where, committed, self._window.end)
        self._places.add(place)
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_on())
        try:
            yield place
        finally:
            self._places.discard(place)
            self._window.let_go(self._places)

    async def news(self, place: Place, timeout_s: float) -> bool:
        """Wait until there is something for `place`; False after `timeout_s`, or when there will be no more."""
        until_s = time.monotonic() + timeout_s
        while not (has_news := self._window.has_news(place)) and place.ended is None and not self.is_closed:
            place.woken.clear()
            try:
                async with asyncio.timeout(until_s - time.monotonic()):
                    await place.woken.wait()
            except TimeoutError:
                return False
        return has_news

    def take(self, place: Place) -> bytes:
        """The next events for `place`; none when there are none."""
        taken = self._window.take(place)
        self._window.let_go(self._places)
        return taken

    def behind_s(self, place: Place) -> float:
        """How long ago what `place` gets next has arrived; 0 when it has all."""
        return self._window.behind_s(place, time.monotonic())

    async def _read_on(self) -> None:
        stopped = threading.Event()
        matcher = Matcher()
        try:
            while self._places and not self._commits.is_closed:
                if await self._commits.beyond(self._row_id, IDLE_S) and self._places:
                    await self._read_next(matcher, stopped)
        except StoreError as exc:
            self._end_all(str(exc))
        except Exception as exc:  # noqa: BLE001 - whatever it is, no tail may wait for what will not come
            logger.exception("tails ended")
            self._end_all(f"cannot read what has arrived: {exc}")
        finally:
            stopped.set()
            matcher.close()
            for place in self._places:
                place.woken.set()

    async def _read_next(self, matcher: Matcher, stopped: threading.Event) -> None:
        committed = self._store.committed_row_id
        if committed <= self._row_id:  # the first tail after a while begins at the present
            return
        if committed - self._row_id > MAX_BEHIND_ROWS:
            self._end_all(f"lines arrive faster than tails can be served: {committed - self._row_id} wait")
            self._row_id = committed
            return
        conditions = {place.key: place.where for place in self._places}
        after, rows = self._row_id, self._rows
        portion, failed = await to_thread.run_sync(
            lambda: self._portion(matcher, conditions, after, min(committed, after + rows), stopped),
            limiter=self._thread,
        )
        self._row_id = max(self._row_id, portion.last_row_id)
        for place in self._places:
            if place.key in failed:
                place.ended = failed[place.key]
        self._window.put(portion, self._places)
        for place in self._places:
            if place.ended is not None or place.key in portion.wanted:
                place.woken.set()

    def _portion(
        self, matcher: Matcher, conditions: Mapping[Key, Where], after: int, last: int, stopped: threading.Event
    ) -> tuple[Portion, dict[Key, str]]:
        """In a thread: what is wanted of the rows behind `after` and up to `last`, and which conditions failed."""
        reader = self._reader.within(Limit.after(READ_S, stopped).guard)
        table, rows = with_fewer_rows(lambda rows: reader.arrived(after, after + rows), last - after)
        last = after + rows
        self._rows = _rows_for(table.nbytes, table.num_rows)
        found = dict(zip(conditions, matcher.matches(table, list(conditions.values()), stopped), strict=True))
        failed = {key: str(places) for key, places in found.items() if isinstance(places, ConditionError)}
        places_of = {key: places for key, places in found.items() if not isinstance(places, ConditionError)}
        is_wanted = np.zeros(table.num_rows, dtype=bool)
        for places in places_of.values():
            is_wanted[places] = True
        wanted = table if is_wanted.all() else table.filter(pa.array(is_wanted))
        index_of = np.cumsum(is_wanted) - 1
        portion = Portion(
            last,
            wanted.column("row_id").to_numpy().astype(np.int64),
            events_of_table(wanted),
            {key: index_of[places] for key, places in places_of.items() if len(places)},
            time.monotonic(),
        )
        return portion, failed

    def _end_all(self, why: str) -> None:
        for place in self._places:
            place.ended = why
            place.woken.set()


def _rows_for(size_bytes: int, rows: int) -> int:
    """How many rows like these a portion has."""
    return max(1, min(MAX_ROWS, PORTION_BYTES * rows // size_bytes)) if size_bytes else FIRST_ROWS
