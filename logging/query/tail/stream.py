"""One tail: history or what was missed, then what arrives, as the bytes of events."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from cloud.logs.collector.store import StoreError
from cloud.logs.query.filter import Filter, condition_of
from cloud.logs.query.losses import Losses
from cloud.logs.query.reader import Reader
from cloud.logs.query.routes.asking import Asking, Found
from cloud.logs.query.routes.readers import BusyError
from cloud.logs.query.search import SearchError
from cloud.logs.query.tail.events import chunks, event, events_of, idle
from cloud.logs.query.tail.feed import MAX_BEHIND_ROWS, Feed
from cloud.logs.query.tail.window import Place, Skipped

PAGE_ROWS = 1000
BUSY_S = 20.0
"""So long a tail waits for its turn to read; with a page's deadline, little longer than a client waits."""
AGAIN_S = 0.5
IDLE_S = 10.0  # something goes out this often, so that both ends notice a dead connection


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where a tail begins: behind a row, or with so many of the newest ones."""

    after: int | None
    history: int


@dataclass(frozen=True, slots=True)
class Stream:
    """What one client gets. It is asked for the next bytes only when the client has taken nearly all before."""

    feed: Feed
    asking: Asking
    wanted: Filter
    losses: Losses | None
    """None for who is not to hear of them."""

    async def events(self, beginning: Beginning) -> AsyncGenerator[bytes, None]:
        """Without end but for an event `end`, which says why."""
        try:
            if beginning.after is not None:
                # A store that was replaced counts anew.
                position = min(beginning.after, self.asking.reader.committed_row_id)
                yield _live(position)
                while (behind := self.asking.reader.committed_row_id - position) > PAGE_ROWS:
                    if behind > MAX_BEHIND_ROWS:
                        position += behind
                        yield _skipped(await self._missed(position - behind, position))
                    else:
                        events, position = await self._read(partial(_behind, self.wanted, position, None))
                        for chunk in chunks(events):
                            yield chunk
                        yield idle(position)
            with self.feed.following(condition_of(self.wanted)) as place:
                present = place.row_id
                if beginning.after is None:
                    if beginning.history:
                        events = await self._read(partial(_newest, self.wanted, beginning.history, present))
                        for chunk in chunks(events):
                            yield chunk
                    yield _live(present)
                else:
                    while position < present:
                        events, position = await self._read(partial(_behind, self.wanted, position, present))
                        for chunk in chunks(events):
                            yield chunk
                async for chunk in self._arriving(place):
                    yield chunk
        except (BusyError, SearchError, StoreError) as exc:  # the status is sent; clients come again by themselves
            yield event("end", {"detail": str(exc)})

    async def _arriving(self, place: Place) -> AsyncGenerator[bytes, None]:
        feed = self.feed
        while not feed.is_closed:
            if self.losses is not None and (status := self.losses.news(feed.behind_s(place))):
                yield event("status", status)
            has_news = await feed.news(place, IDLE_S)
            if place.ended is not None:  # what it has not sent, who comes again reads from the store
                raise SearchError(place.ended)
            if place.skipped is not None:
                skipped, place.skipped = place.skipped, None
                yield _skipped(skipped)
            elif has_news:
                yield feed.take(place)
            else:
                yield idle(place.row_id)

    async def _read(self, read: Callable[[Reader], Found]) -> Found:
        """What `read` finds, in its turn: many tails come at once after a restart. `BusyError` after BUSY_S."""
        until_s = time.monotonic() + BUSY_S
        while True:
            try:
                return await self.asking.read(read)
            except BusyError:
                if time.monotonic() >= until_s:
                    raise
            await asyncio.sleep(AGAIN_S)

    async def _missed(self, row_id: int, up_to_row_id: int) -> Skipped:
        """What is between; its lines are counted as far as there is time for it."""
        lines = None
        with suppress(SearchError):
            lines = await self._read(lambda reader: reader.number(self.wanted, row_id, up_to_row_id))
        return Skipped(row_id + 1, up_to_row_id, lines)


def _newest(wanted: Filter, limit: int, up_to_row_id: int, reader: Reader) -> list[bytes]:
    return events_of(reader.newest(wanted, limit, up_to_row_id))


def _behind(wanted: Filter, row_id: int, up_to_row_id: int | None, reader: Reader) -> tuple[list[bytes], int]:
    """The first events behind a row, up to another one or to the last there is, and how far they go."""
    page = reader.after(wanted, PAGE_ROWS, row_id, reader.committed_row_id if up_to_row_id is None else up_to_row_id)
    return events_of(page.rows), page.position


def _live(row_id: int) -> bytes:
    return event("live", {"row_id": row_id}, row_id)


def _skipped(skipped: Skipped) -> bytes:
    return event("skipped", skipped.as_json(), skipped.last_row_id)
