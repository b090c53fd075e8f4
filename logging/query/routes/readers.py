"""Runs questions to the store beside the event loop: few at once, and none for somebody who has gone."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from anyio import to_thread
from starlette.requests import Request

MAX_RUNNING = 4
"""Each may take a part of the engine's memory, which the writer needs as well."""
MAX_WAITING = 64

Answer = TypeVar("Answer")


class BusyError(Exception):
    """As many questions as may run do, and none has ended in time."""


class Readers:
    """Within one event loop."""

    def __init__(self, wait_s: float, max_running: int = MAX_RUNNING) -> None:
        """A question waits `wait_s` at most for others to end."""
        self._slots = asyncio.Semaphore(max_running)
        self._wait_s = wait_s
        self._waiting = 0

    async def run(self, request: Request, read: Callable[[threading.Event], Answer]) -> Answer:
        """What `read` gives, in a thread; the event that it gets is set as soon as the client has gone. `BusyError`."""
        await self._enter()
        cancelled = threading.Event()
        watching = asyncio.create_task(_watch(request, cancelled))
        try:
            return await to_thread.run_sync(read, cancelled)
        finally:
            cancelled.set()  # a server that stops does not wait for the thread
            watching.cancel()
            self._slots.release()

    async def _enter(self) -> None:
        if self._waiting >= MAX_WAITING:
            raise BusyError(f"cannot take another question: {self._waiting} wait already")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._wait_s):
                await self._slots.acquire()
        except TimeoutError as exc:
            raise BusyError(f"cannot answer now: other questions take longer than {self._wait_s:g} s") from exc
        finally:
            self._waiting -= 1


async def _watch(request: Request, cancelled: threading.Event) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    cancelled.set()
