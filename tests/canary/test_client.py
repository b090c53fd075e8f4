"""The stream of rows over the real HTTP API, and what of it goes wrong."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cloud.logs.canary import client as canary_client
from cloud.logs.canary.client import CanaryClient, Listener, RunGaps
from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.lines import Run
from cloud.logs.query.client import ClientError
from tests.backfill.collecting import LineCollector, line, lines
from tests.collector.batches import numbered
from tests.query.serving import Served


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDbStore]:
    opened = DuckDbStore(tmp_path)
    yield opened
    opened.close()


class Heard:
    """What a stream told, and a wait for more."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.away: list[str] = []
        self.lives = 0
        self._news = asyncio.Event()

    @property
    def listener(self) -> Listener:
        return Listener(self._live, self._away, lambda row: self._row(row["message"]))

    def _live(self) -> None:
        self.lives += 1
        self._news.set()

    def _away(self, why: str) -> None:
        self.away.append(why)
        self._news.set()

    def _row(self, message: str) -> None:
        self.messages.append(message)
        self._news.set()

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not holds():
                self._news.clear()
                await self._news.wait()


def test_rows_from_now_on_come_once_also_over_a_restart_of_the_collector(store: DuckDbStore) -> None:
    store.append(numbered(0, 3))
    heard = Heard()

    async def scene(first: Served) -> None:
        async with CanaryClient(first.url) as client:
            following = asyncio.create_task(client.follow({"host": "compute-01"}, heard.listener))
            await heard.until(lambda: heard.lives)
            store.append(numbered(3, 2))
            await heard.until(lambda: len(heard.messages) == 2)
            await asyncio.to_thread(first.stop)
            await heard.until(lambda: heard.away)
            store.append(numbered(5, 2))
            store.append(numbered(7, 1, host="compute-02"))
            with Served(store, first.port):
                await heard.until(lambda: len(heard.messages) == 4)
                following.cancel()
                with suppress(asyncio.CancelledError):
                    await following

    with Served(store) as first:
        asyncio.run(scene(first))
    assert heard.messages == ["3", "4", "5", "6"]
    assert heard.lives == 2
    assert all(why.endswith("; trying again") for why in heard.away)


def test_a_stream_without_rows_goes_on_longer_than_its_opening_may_take(
    store: DuckDbStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canary_client, "LIVE_TIMEOUT_S", 0.3)
    heard = Heard()

    async def scene(url: str) -> None:
        async with CanaryClient(url) as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.follow({}, heard.listener), 0.9)

    with Served(store) as served:
        asyncio.run(scene(served.url))
    assert (heard.lives, heard.away) == (1, [])


def follow(url: str) -> None:
    async def scene() -> None:
        async with asyncio.timeout(20), CanaryClient(url) as client:
            await client.follow({"severity": "loud"}, Heard().listener)

    asyncio.run(scene())


def test_a_refusal_is_in_the_collectors_words(store: DuckDbStore) -> None:
    with Served(store) as served, pytest.raises(ClientError, match="the collector refuses: cannot use severity 'loud'"):
        follow(served.url)


def test_an_absent_collector_is_said_at_once() -> None:
    with pytest.raises(ClientError, match=r"cannot reach the collector at http://127\.0\.0\.1:1: "):
        follow("http://127.0.0.1:1")


def test_one_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary_client, "LIVE_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        with pytest.raises(ClientError, match=r"cannot reach the collector at .*: no answer within 0\.2 s"):
            follow(url)


def gaps(url: str, host: str) -> list[RunGaps]:
    async def scene() -> list[RunGaps]:
        async with CanaryClient(url) as client:
            return await client.gaps(host)

    return asyncio.run(scene())


def test_gaps_are_those_that_the_collector_names_of_this_host() -> None:
    a, b, other = Run("compute-01", "A"), Run("compute-01", "B"), Run("compute-02", "C")
    with LineCollector() as collector:
        collector.receive(*lines(a, 1, 3), line(a, 5), *lines(a, 8, 9), line(b, 1), line(other, 2))
        assert gaps(collector.url, "compute-01") == [
            RunGaps("A", "unclosed", 9, 3, [(4, 4), (6, 7)]),
            RunGaps("B", "current", 1, 0, []),
        ]
        assert gaps(collector.url, "compute-03") == []


def test_gaps_that_cannot_be_asked_for_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ClientError, match=r"cannot ask the collector at http://127\.0\.0\.1:1: "):
        gaps("http://127.0.0.1:1", "compute-01")
    monkeypatch.setattr(canary_client, "GAPS_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(ClientError, match=r"no answer within 0\.2 s"):
        gaps(f"http://127.0.0.1:{mute.getsockname()[1]}", "compute-01")
    with pytest.raises(ClientError, match="cannot reach the collector at http://h:port: "):
        CanaryClient("http://h:port")
