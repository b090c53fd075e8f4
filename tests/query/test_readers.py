"""Whose questions run, and whose wait."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import pytest
from starlette.requests import Request

from cloud.logs.query.access.principal import Principal
from cloud.logs.query.access.roles import Role
from cloud.logs.query.routes.readers import BusyError, Readers

MEMBER = Principal("member", Role.MEMBER, ("p1",))
READER = Principal("reader", Role.READER)


def request_of(who: Principal) -> Request:
    async def receive() -> dict[str, Any]:
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    return Request({"type": "http", "state": {"principal": who}}, receive)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 20))


def test_members_leave_half_of_the_slots_to_others() -> None:
    async def test() -> None:
        readers = Readers(0.1)
        release, running = threading.Event(), threading.Semaphore(0)

        def hold(_gone: threading.Event) -> str:
            running.release()
            release.wait(10)
            return "done"

        members = [asyncio.create_task(readers.run(request_of(MEMBER), hold)) for _ in range(2)]
        for _ in members:
            await asyncio.to_thread(running.acquire, timeout=10)
        with pytest.raises(BusyError, match=r"^cannot answer now: other questions take longer than 0.1 s$"):
            await readers.run(request_of(MEMBER), lambda _: "third")
        others = [asyncio.create_task(readers.run(request_of(READER), hold)) for _ in range(2)]
        for _ in others:
            assert await asyncio.to_thread(running.acquire, timeout=10)
        with pytest.raises(BusyError):
            await readers.run(request_of(READER), lambda _: "fifth")
        release.set()
        assert await asyncio.gather(*members, *others) == ["done"] * 4
        assert await readers.run(request_of(MEMBER), lambda _: "next") == "next"
        assert (
            await asyncio.gather(*(readers.run(request_of(READER), lambda _: "all") for _ in range(4))) == ["all"] * 4
        )

    run(test())


def test_members_take_only_half_of_the_places_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.logs.query.routes.readers.MAX_WAITING", 4)

    async def test() -> None:
        readers = Readers(5)
        release = threading.Event()

        def hold(_gone: threading.Event) -> None:
            release.wait(10)

        asked = [asyncio.create_task(readers.run(request_of(MEMBER), hold)) for _ in range(4)]
        await asyncio.sleep(0.1)
        with pytest.raises(BusyError, match=r"^cannot take another question: 2 wait already$"):
            await readers.run(request_of(MEMBER), hold)
        assert await readers.run(request_of(READER), lambda _: "at once") == "at once"
        release.set()
        await asyncio.gather(*asked)

    run(test())
