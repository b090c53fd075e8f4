"""The live tail: what slow clients are told, who sees what, and how many there may be."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import httpx_sse
import numpy as np
import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.query.access.keys import KeyFile, Wanted
from cloud.logs.query.access.roles import Role
from cloud.logs.query.client import CollectorClient, Hearing
from cloud.logs.query.filter import Filter, condition_of
from cloud.logs.query.language.compiler import compile_where
from cloud.logs.query.language.parser import parse
from cloud.logs.query.reader import Reader
from cloud.logs.query.tail import window
from cloud.logs.query.tail.events import events_of, events_of_table
from cloud.logs.query.tail.matching import ConditionError, Matcher
from cloud.logs.query.tail.window import Place, Portion, Skipped, Window
from cloud.logs.query.where import Where
from tests.collector.batches import numbered, table_of
from tests.query.language.rows import A_DAY_LATER, AN_HOUR_LATER, AT_NOON
from tests.query.serving import Served
from tests.waiting import wait_until


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDbStore]:
    opened = DuckDbStore(tmp_path)
    yield opened
    opened.close()


HOSTILE = [*AT_NOON.values(), *AN_HOUR_LATER.values(), *A_DAY_LATER.values()]
EVERYTHING = Where()
EVEN = Where("row_id % 2 = 0")


def portion(first: int, last: int, arrived_s: float = 0.0) -> Portion:
    """Rows `first` to `last`, as two tails want them."""
    row_ids = np.arange(first, last + 1)
    wanted = {
        window.key_of(EVERYTHING): np.arange(len(row_ids)),
        window.key_of(EVEN): np.flatnonzero(row_ids % 2 == 0),
    }
    return Portion(last, row_ids, [b"%d " % row_id for row_id in row_ids], wanted, arrived_s)


def test_a_portion_is_held_until_all_are_behind_it() -> None:
    held, fast, slow = Window(), Place(EVERYTHING, 0, 0), Place(EVEN, 0, 0)
    held.put(portion(1, 4), [fast, slow])
    assert held.take(fast) == b"1 2 3 4 "
    held.let_go([fast, slow])
    assert (held.take(fast), held.has_news(slow)) == (b"", True)
    assert held.take(slow) == b"2 4 "
    held.let_go([fast, slow])
    assert not held._portions
    late = Place(EVERYTHING, 6, held.end)
    held.put(portion(5, 8), [late])
    assert held.take(late) == b"7 8 "


def test_who_is_too_late_skips_to_the_newest_portion_and_is_told_of_the_rest_once() -> None:
    held, slow = Window(), Place(EVEN, 0, 0)
    late_s = window.MAX_LATE_S + 1
    held.put(portion(1, 9), [slow])
    held.put(portion(10, 19, 1.0), [slow])
    held.put(portion(20, 29, late_s), [slow])
    assert slow.skipped == Skipped(1, 19, 9)
    held.put(portion(30, 39, late_s + 1), [slow])
    held.put(portion(40, 49, 2 * late_s + 2), [slow])
    assert slow.skipped == Skipped(1, 39, 19)
    assert slow.skipped.as_json() == {
        "first_row_id": 1, "last_row_id": 39, "lines": 19, "rows": 39, "query": "row_id:[1 TO 39]",
    }  # fmt: skip
    slow.skipped = None
    assert held.take(slow) == b"40 42 44 46 48 "


def test_a_window_has_a_size_and_what_was_sent_of_a_portion_is_not_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "CHUNK_BYTES", 4)
    held, slow, sparse = Window(), Place(EVERYTHING, 0, 0), Place(Where("false"), 0, 0)
    held.put(portion(1, 9), [slow, sparse])
    assert held.take(slow) == b"1 2 "
    monkeypatch.setattr(window, "MAX_BYTES", portion(10, 19).size_bytes)
    held.put(portion(10, 19), [slow, sparse])
    assert (slow.skipped, sparse.skipped, sparse.row_id) == (Skipped(3, 9, 7), None, 9)


def test_rows_become_the_same_events_column_by_column(store: DuckDbStore) -> None:
    store.append(table_of(*HOSTILE))
    reader = Reader(store)
    last = store.committed_row_id
    assert last == len(HOSTILE)

    def read(events: list[bytes]) -> list[tuple[bytes, Any, bytes]]:
        parts = [event.split(b"\n") for event in events]
        assert all(len(part) == 5 for part in parts)
        return [(part[0], json.loads(part[1].removeprefix(b"data: ")), part[2]) for part in parts]

    expected = read(events_of(reader.newest(Filter(), last, last)))
    assert read(events_of_table(reader.arrived(0, last))) == expected
    assert events_of_table(reader.arrived(last, last)) == []


QUERIES = [
    "",
    "host:*",
    "-host:*",
    "severity:>=warning",
    "a",
    "message:/a/",
    "x:1",
    "instance:*",
    "event:* -a",
    "row_id:>3",
]


def test_conditions_find_in_new_rows_what_they_find_in_the_store(store: DuckDbStore) -> None:
    store.append(table_of(*HOSTILE))
    reader, last = Reader(store), store.committed_row_id
    filters = [Filter(within=compile_where(parse(query).condition)) for query in QUERIES]
    filters += [Filter(host="compute-01"), Filter(fields={"x": "a"}, without_events=("canary",))]
    arrived, matcher = reader.arrived(0, last), Matcher()
    row_ids = arrived.column("row_id").to_pylist()
    places = matcher.matches(arrived, [condition_of(each) for each in filters], threading.Event())
    for wanted, found in zip(filters, places, strict=True):
        assert not isinstance(found, ConditionError)
        expected = [row["row_id"] for row in reader.newest(wanted, last, last)]
        assert [row_ids[place] for place in found] == expected, wanted
    good, bad = matcher.matches(arrived, [EVERYTHING, Where("error(message)")], threading.Event())
    assert len(good) == last if not isinstance(good, ConditionError) else pytest.fail(str(good))
    assert str(bad).startswith("cannot test what has just arrived: ")
    matcher.close()


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
    monkeypatch.setattr("cloud.logs.query.tail.seats.MAX_TAILS", 2)
    with Served(store) as served, httpx.Client(base_url=served.url, trust_env=False) as http:
        with Tailing(served.url), Tailing(served.url):
            refused = http.get("/api/v1/tail")
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
            assert refused.json() == {"detail": "cannot tail now: 2 others do", "code": "busy"}
            store.append(table_of(*lines_of("p", "last")))
        wait_until(lambda: served.app.state.seats.taken == 0, what="the places")
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
        rows = client.tail(
            {"after": 10, "host": "compute-02"},
            Hearing(
                lambda _: None,
                skipped=lambda said: (skipped.append(said), store.append(numbered(9, 1, host="compute-02"))),
            ),
        )
        assert next(rows)["message"] == "9"
    assert skipped == [
        {"first_row_id": 11, "last_row_id": 2000, "lines": 500, "rows": 1990, "query": "row_id:[11 TO 2000]"}
    ]


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
            wait_until(lambda last=100 * (number + 1): served.app.state.feed._row_id == last, what="the feed")
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
        wait_until(lambda: served.app.state.seats.taken == 1, what="the tail")
        wait_until(lambda: served.app.state.seats.taken == 0, what="the seat")
