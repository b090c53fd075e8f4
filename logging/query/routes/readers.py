"""Runs questions to the store beside the event loop: few at once, and none for somebody who has gone."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request

from cloud.logs.query.access.principal import Principal

MAX_RUNNING = 4
"""Each may take a part of the engine's memory, which the writer needs as well."""
MAX_WAITING = 64
MEMBERS_PART = 2
"""All members together have one of so many parts of both, so that they cannot keep the others out."""

Answer = TypeVar("Answer")


class BusyError(Exception):
    """As many questions as may run do, and none has ended in time."""


class Readers:
    """Within one event loop."""

    def __init__(self, wait_s: float, max_running: int = MAX_RUNNING) -> None:
        """A question waits `wait_s` at most for others to end."""
        self._slots = asyncio.Semaphore(max_running)
        self._of_members = asyncio.Semaphore(max(1, max_running // MEMBERS_PART))
        self._threads = CapacityLimiter(max_running)  # of its own: what else takes threads cannot hold a question up
        self._wait_s = wait_s
        self._waiting = {True: 0, False: 0}
        """By whether they are members."""

    async def run(self, request: Request, read: Callable[[threading.Event], Answer]) -> Answer:
        """What `read` gives, in a thread; the event that it gets is set as soon as the client has gone. `BusyError`."""
        async with AsyncExitStack() as held:
            await self._enter(held, is_member=_is_member(request))
            cancelled = threading.Event()
            watching = asyncio.create_task(_watch(request, cancelled))
            try:
                return await to_thread.run_sync(read, cancelled, limiter=self._threads)
            finally:
                cancelled.set()  # a server that stops does not wait for the thread
                watching.cancel()

    async def _enter(self, held: AsyncExitStack, *, is_member: bool) -> None:
        waiting = self._waiting[is_member]
        if waiting >= (MAX_WAITING // MEMBERS_PART if is_member else MAX_WAITING):
            raise BusyError(f"cannot take another question: {waiting} wait already")
        self._waiting[is_member] += 1
        try:
            async with asyncio.timeout(self._wait_s):
                for slots in (self._of_members, self._slots) if is_member else (self._slots,):
                    await held.enter_async_context(slots)
        except TimeoutError as exc:
            raise BusyError(f"cannot answer now: other questions take longer than {self._wait_s:g} s") from exc
        finally:
            self._waiting[is_member] -= 1


def _is_member(request: Request) -> bool:
    who = getattr(request.state, "principal", None)
    return isinstance(who, Principal) and who.project_ids is not None


async def _watch(request: Request, cancelled: threading.Event) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    cancelled.set()
