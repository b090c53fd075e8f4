"""Tells waiting HTTP clients that the store has more, across the border between its thread and the event loop."""

import asyncio

from cloud.logs.collector.store import Store


class Commits:
    """One for an event loop. A commit wakes all who wait; nothing is queued for anybody."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._loop = asyncio.get_running_loop()
        self._next = asyncio.Event()
        self._unsubscribe = store.on_commit(self._tell)
        self.is_closed = False

    async def beyond(self, row_id: int, timeout_s: float) -> bool:
        """Wait until a row after `row_id` is committed; False after `timeout_s` or when the server stops."""
        async with asyncio.timeout(timeout_s) as timeout:
            while self._store.committed_row_id <= row_id and not self.is_closed:
                try:
                    await self._next.wait()
                except asyncio.CancelledError:
                    if timeout.expired():
                        break
                    raise
        return self._store.committed_row_id > row_id

    def close(self) -> None:
        """Let all who wait go."""
        self._unsubscribe()
        self.is_closed = True
        self._wake()

    def _tell(self) -> None:
        self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._next.set()
        self._next = asyncio.Event()
