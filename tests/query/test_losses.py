"""What a tail says of lines that come late or not at all."""

import json
from pathlib import Path

import httpx
import httpx_sse
import pytest
from prometheus_client import CollectorRegistry

from cloud.logs.collector.batch import Source
from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.hosts import Hosts
from cloud.logs.collector.inbox import Inbox
from cloud.logs.query.losses import Losses
from tests.collector.batches import NOON_US
from tests.query.serving import Served

NOON_S = NOON_US / 1e6


class Clock:
    """One that a test moves."""

    def __init__(self, now_s: float) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


def receive(inbox: Inbox, observed_us: int) -> None:
    """One line, which nobody stores."""
    with inbox.lock:
        batch = inbox.current(1000)
        assert batch is not None
        batch.add_payload(b"<13>1 - h a - - - x", Source("192.0.2.7"), observed_us)
        inbox.filled()


def store_all(inbox: Inbox) -> None:
    batch = inbox.take(0)
    assert batch is not None
    inbox.give_back(batch)


def test_late_lines_are_told_again_and_again_and_their_end_once() -> None:
    inbox, clock = Inbox(2, 1 << 16), Clock(0.0)
    inbox.on_room(lambda: None)
    losses = Losses(inbox, Hosts(CollectorRegistry()), clock, now_s=lambda: NOON_S + 5)
    assert losses.news() is None
    receive(inbox, NOON_US)
    clock.now_s = 4.9
    assert losses.news() is None
    clock.now_s = 5
    assert losses.news() == {"lag_s": 5.0, "behind_s": 0.0, "dropped": 0}
    clock.now_s = 10
    assert losses.news() == {"lag_s": 5.0, "behind_s": 0.0, "dropped": 0}
    store_all(inbox)
    clock.now_s = 15
    assert losses.news() == {"lag_s": 0.0, "behind_s": 0.0, "dropped": 0}
    clock.now_s = 20
    assert losses.news() is None


def test_lines_that_wait_for_a_moment_are_not_late() -> None:
    inbox, clock = Inbox(2, 1 << 16), Clock(0.0)
    receive(inbox, NOON_US)
    assert Losses(inbox, Hosts(CollectorRegistry()), clock, now_s=lambda: NOON_S + 1.9).news() is None


def test_drops_are_counted_from_the_beginning_of_the_tail_and_told_when_they_grow() -> None:
    hosts, clock = Hosts(CollectorRegistry()), Clock(0.0)
    hosts.dropped("h1", 100, NOON_US)
    losses = Losses(Inbox(2, 1 << 16), hosts, clock, now_s=lambda: NOON_S)
    assert losses.news() is None
    hosts.dropped("h1", 5, NOON_US)
    hosts.dropped("h2", 2, NOON_US)
    clock.now_s = 5
    assert losses.news() == {"lag_s": 0.0, "behind_s": 0.0, "dropped": 7}
    clock.now_s = 10
    assert losses.news() is None
    hosts.dropped("h2", 1, NOON_US)
    clock.now_s = 15
    assert losses.news() == {"lag_s": 0.0, "behind_s": 0.0, "dropped": 8}


def test_a_tail_has_them_as_events_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.logs.query.losses.AGAIN_S", 0.0)
    monkeypatch.setattr("cloud.logs.query.tail.stream.IDLE_S", 0.05)
    store = DuckDbStore(tmp_path)
    with (
        Served(store) as served,
        httpx.Client(base_url=served.url, trust_env=False) as client,
        httpx_sse.connect_sse(client, "GET", "/api/v1/tail", timeout=20) as source,
    ):
        events = source.iter_sse()
        assert next(events).event == "live"
        hosts: Hosts = served.app.state.hosts
        hosts.dropped("h1", 3, NOON_US)
        event = next(event for event in events if event.event == "status")
    store.close()
    assert (event.event, json.loads(event.data)) == ("status", {"lag_s": 0.0, "behind_s": 0.0, "dropped": 3})
