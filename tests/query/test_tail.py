"""The live tail over HTTP: what slow clients are told, who sees what, and how many there may be."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import httpx_sse
import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.query.access.keys import KeyFile, Wanted
from cloud.logs.query.access.roles import Role
from cloud.logs.query.client import CollectorClient, Hearing
from cloud.logs.query.tail import window
from cloud.logs.query.tail.feed import Feed
from tests.collector.batches import numbered, table_of
from tests.query.serving import Served
from tests.waiting import wait_until


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDbStore]:
    opened = DuckDbStore(tmp_path)
    yield opened
    opened.close()


class Tailing:
    """A tail in a thread: what came, until it is let go."""

    def __init__(self, url: str, key: str | None = None, **parameters: Any) -> None:
        self.events: list[tuple[str, Any]] = []
        self._client = httpx.Client(
            base_url=url, trust_env=False, timeout=20, headers={"Authorization": f"Bearer {key}"} if key else {}
        )
        self._parameters = parameters
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Tailing":
        self._thread.start()
        wait_until(lambda: self.of("live"), what="the live event")
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(20)
        self._client.close()
        assert not self._thread.is_alive()

    def of(self, name: str) -> list[Any]:
        return [data for event, data in list(self.events) if event == name]

    def _run(self) -> None:
        with httpx_sse.connect_sse(self._client, "GET", "/api/v1/tail", params=self._parameters) as source:
            for event in source.iter_sse():
                if event.event:
                    self.events.append((event.event, json.loads(event.data)))
                if '"last"' in event.data:
                    return


def lines_of(project: str, *texts: str) -> list[bytes]:
    return [
        b'<134>1 - h nova-api - - - @cee: {"message": "%s", "project": "%s"}' % (text.encode(), project.encode())
        for text in texts
    ]


def test_members_of_two_projects_who_tail_at_once_see_their_own_lines_alone(store: DuckDbStore) -> None:
    keys = KeyFile(store.files.path)
    secrets = {project: keys.create(Wanted(project, Role.MEMBER, project)) for project in ("p1", "p2")}
    reader = keys.create(Wanted("reader", Role.READER))
    with Served(store) as served, ExitStack() as stack:
        tails = {
            name: stack.enter_context(Tailing(served.url, secret, q="service:nova-api"))
            for name, secret in {**secrets, "reader": reader}.items()
        }
        for number in range(20):
            store.append(table_of(*lines_of("p1", f"p1-{number}"), *lines_of("p2", f"p2-{number}")))
        store.append(table_of(*lines_of("p1", "last"), *lines_of("p2", "last")))
    for project in secrets:
        got = [row["message"] for row in tails[project].of("row")]
        assert got == [*(f"{project}-{number}" for number in range(20)), "last"]
    assert len(tails["reader"].of("row")) == 41  # it has gone with the first of the last two


def test_as_many_tail_as_may_and_who_goes_leaves_his_place(store: DuckDbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.logs.query.tail.api.MAX_TAILS", 2)
    with Served(store) as served, httpx.Client(base_url=served.url, trust_env=False) as http:
        with Tailing(served.url), Tailing(served.url):
            refused = http.get("/api/v1/tail")
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
            assert refused.json() == {"detail": "cannot tail now: 2 others do", "code": "busy"}
            store.append(table_of(*lines_of("p", "last")))
        wait_until(lambda: served.app.state.tail_seats.taken == 0, what="the places")
        assert not served.app.state.feed._places
        with Tailing(served.url, n=0):
            store.append(table_of(*lines_of("p", "last")))


def test_a_browser_goes_on_behind_its_last_event(store: DuckDbStore) -> None:
    store.append(numbered(0, 5))
    with (
        Served(store) as served,
        httpx.Client(base_url=served.url, trust_env=False, headers={"Last-Event-ID": "3"}) as http,
        httpx_sse.connect_sse(http, "GET", "/api/v1/tail", params={"after": 1, "n": 9}, timeout=20) as source,
    ):
        events = source.iter_sse()
        got = [(event.event, event.id) for _, event in zip(range(3), events, strict=False)]
    assert got == [("live", "3"), ("row", "4"), ("row", "5")]


def test_who_comes_back_too_late_is_told_how_much_it_misses(
    store: DuckDbStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloud.logs.query.tail.stream.MAX_BEHIND_ROWS", 1000)
    store.append(numbered(0, 1500))
    store.append(numbered(1500, 500, host="compute-02"))
    skipped: list[Any] = []
    with Served(store) as served, CollectorClient(served.url) as client:

        def hear(said: Any) -> None:
            skipped.append(said)
            store.append(numbered(9, 1, host="compute-02"))

        rows = client.tail({"after": 10, "host": "compute-02"}, Hearing(lambda _: None, skipped=hear))
        assert next(rows)["message"] == "9"
    assert skipped == [
        {"first_row_id": 11, "last_row_id": 2000, "lines": 500, "rows": 1990, "query": "row_id:[11 TO 2000]"}
    ]


def has_read(served: Served, row_id: int) -> bool:
    feed: Feed = served.app.state.feed
    return feed._row_id == row_id


def test_a_client_that_reads_too_slowly_gets_each_line_or_is_told_of_it(
    store: DuckDbStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "MAX_BYTES", 300_000)
    text = b"x" * 1000
    with Served(store) as served, socket.create_connection(("127.0.0.1", served.port), timeout=20) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
        slow.sendall(b"GET /api/v1/tail?host=compute-01&n=0 HTTP/1.0\r\nHost: localhost\r\n\r\n")
        wait_until(lambda: served.app.state.feed._places, what="the tail")
        [place] = served.app.state.feed._places
        for number in range(40):
            lines = [b"<134>1 - compute-0%d a - - - %s" % (row % 2 + 1, text) for row in range(100)]
            store.append(table_of(*lines))
            wait_until(partial(has_read, served, 100 * (number + 1)), what="the feed")
        assert place.skipped is not None
        store.append(table_of(b"<134>1 - compute-01 a - - - last"))
        received = b""
        while not received.endswith(b"id: 4001\n\n"):
            received += slow.recv(1 << 20)
    events = [event.split(b"\n") for event in received.split(b"\r\n\r\n")[1].strip().split(b"\n\n")]
    rows = [int(event[2].removeprefix(b"id: ")) for event in events if event[0] == b"event: row"]
    skipped = [json.loads(event[1].removeprefix(b"data: ")) for event in events if event[0] == b"event: skipped"]
    told = [row_id for each in skipped for row_id in range(each["first_row_id"], each["last_row_id"] + 1)]
    odd = [*range(1, 4000, 2), 4001]
    assert sorted([*rows, *(row_id for row_id in told if row_id % 2)]) == odd
    assert sum(each["lines"] for each in skipped) == sum(row_id % 2 for row_id in told)
    assert rows == sorted(rows)


def test_a_client_that_takes_nothing_is_let_go(store: DuckDbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.logs.collector.http_connections.TAKEN_S", 0.3)
    store.append(table_of(*(b"<134>1 - h a - - - " + b"x" * 4000 for _ in range(2500))))
    with Served(store) as served, socket.create_connection(("127.0.0.1", served.port), timeout=20) as stuck:
        stuck.sendall(b"GET /api/v1/tail?n=2500 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until(lambda: served.app.state.tail_seats.taken == 1, what="the tail")
        wait_until(lambda: served.app.state.tail_seats.taken == 0, what="the seat")
