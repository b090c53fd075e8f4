import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.store import QueryInterruptedError
from cloud.logs.query.client import ClientError, CollectorClient, Hearing, Row
from cloud.logs.query.filter import Filter
from cloud.logs.query.reader import Reader
from tests.collector.batches import numbered
from tests.query.serving import Served
from tests.waiting import wait_until


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDbStore]:
    opened = DuckDbStore(tmp_path)
    yield opened
    opened.close()


class Tail:
    """A client's tail in a thread, which ends after `count` rows."""

    def __init__(self, url: str, count: int, **parameters: Any) -> None:
        self.messages: list[str] = []
        self.away: list[str] = []
        self.back: list[int] = []
        self.error: ClientError | None = None
        self._thread = threading.Thread(target=self._run, args=(url, count, parameters))
        self._thread.start()

    def _run(self, url: str, count: int, parameters: dict[str, Any]) -> None:
        try:
            with CollectorClient(url) as client:
                for row in client.tail(parameters, Hearing(self.away.append, self.back.append)):
                    self.messages.append(row["message"])
                    if len(self.messages) == count:
                        return
        except ClientError as exc:
            self.error = exc

    def join(self) -> list[str]:
        self._thread.join(20)
        assert not self._thread.is_alive(), f"got {len(self.messages)} rows"
        return self.messages


def numbers(last: int) -> list[str]:
    return [str(number) for number in range(last)]


def test_rows_and_counts_come_as_the_api_gives_them(store: DuckDbStore) -> None:
    store.append(numbered(0, 5))
    store.append(numbered(5, 2, host="compute-02"))
    with Served(store) as served, CollectorClient(f"{served.url}/") as client:
        assert [row["message"] for row in client.rows({"n": 3})] == ["4", "5", "6"]
        assert [row["message"] for row in client.rows({"host": "compute-02", "n": 1})] == ["6"]
        assert client.count({"by": ["host"]}) == [
            {"host": "compute-01", "count": 5},
            {"host": "compute-02", "count": 2},
        ]
        assert client.rows({"field": ("a=1", "b=2")}) == []


def test_a_tail_gives_history_and_then_what_arrives(store: DuckDbStore) -> None:
    store.append(numbered(0, 3))
    with Served(store) as served:
        tail = Tail(served.url, 6, n=2)
        wait_until(lambda: tail.messages == ["1", "2"], what="the history")
        store.append(numbered(3, 4))
        assert tail.join() == ["1", "2", "3", "4", "5", "6"]
    assert tail.away == []


def test_a_tail_survives_restarts_of_the_server_without_gap_or_double(store: DuckDbStore) -> None:
    store.append(numbered(0, 1))
    with Served(store) as served:
        url, port = served.url, served.port
        tail = Tail(url, 600, n=10)
        wait_until(lambda: tail.messages, what="the history")

        def commit() -> None:
            for number in range(1, 600):
                store.append(numbered(number, 1))

        committing = threading.Thread(target=commit)
        committing.start()
        wait_until(lambda: len(tail.messages) > 30, what="some rows")
    with Served(store, port):
        wait_until(lambda: len(tail.messages) > 200, what="more rows")
    committing.join()
    with Served(store, port):
        assert tail.join() == numbers(600)
    assert len(tail.away) >= 2
    assert len(tail.back) >= 2
    assert all(why.endswith("; trying again") for why in tail.away)


def test_a_tail_resumes_where_the_history_ended_though_no_row_came(store: DuckDbStore) -> None:
    store.append(numbered(0, 5))
    with Served(store) as served:
        port = served.port
        tail = Tail(served.url, 3, n=1, host="compute-01")
        wait_until(lambda: tail.messages == ["4"], what="the history")
    wait_until(lambda: tail.away, what="the client to notice")
    store.append(numbered(5, 2))
    with Served(store, port):
        assert tail.join() == ["4", "5", "6"]


def test_a_tail_gives_up_after_a_while_and_says_how_far_it_got(
    store: DuckDbStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloud.logs.query.client.GIVE_UP_S", 0.3)
    store.append(numbered(0, 5))
    with Served(store) as served:
        tail = Tail(served.url, 3, n=1)
        wait_until(lambda: tail.messages == ["4"], what="the history")
    assert tail.join() == ["4"]
    assert tail.error is not None
    assert "nothing for 0.3 s" in str(tail.error)
    assert str(tail.error).endswith("; what came so far ends with row 5")
    assert tail.away


def test_a_collector_that_is_not_there_is_named() -> None:
    with CollectorClient("http://127.0.0.1:1") as client:
        with pytest.raises(ClientError, match=r"cannot ask the collector at http://127\.0\.0\.1:1: .*refused"):
            client.rows({})
        with pytest.raises(ClientError, match=r"cannot reach the collector at http://127\.0\.0\.1:1: .*refused"):
            next(client.tail({}, Hearing(lambda why: None)))


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://127.0.0.1:x", "http://127.0.0.1:99999999", "127.0.0.1:8080", "", "ftp://x"]
)
def test_an_address_that_is_none_is_named(url: str) -> None:
    with pytest.raises(ClientError, match=r"cannot (ask|reach) the collector at "), CollectorClient(url) as client:
        client.rows({})


def test_what_the_collector_refuses_is_said_in_its_words(store: DuckDbStore) -> None:
    with Served(store) as served, CollectorClient(served.url) as client:
        with pytest.raises(
            ClientError, match=r"^the collector refuses: cannot use severity 'loud': expected one of emerg, "
        ):
            client.rows({"severity": "loud"})
        with pytest.raises(
            ClientError, match=r"^the collector refuses: n: Input should be less than or equal to 10000$"
        ):
            client.rows({"n": 10_001})
        with pytest.raises(ClientError, match=r"^the collector refuses: cannot use field 'x': expected KEY=VALUE$"):
            next(client.tail({"field": ("x",)}, Hearing(lambda why: None)))
        with pytest.raises(ClientError, match=r"^the collector refuses: cannot count by message: "):
            client.count({"by": ["message"]})


class Stranger(BaseHTTPRequestHandler):
    """A server that is no collector."""

    status: ClassVar[int] = 200
    body: ClassVar[bytes] = b"<html>hello</html>"

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


@pytest.fixture
def stranger(request: pytest.FixtureRequest) -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), getattr(request, "param", Stranger))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (200, b"<html>hello</html>", "cannot ask the collector at "),
        (200, b"\xff\xfe{", "cannot ask the collector at "),
        (404, b"<html>not here</html>", "the collector refuses: 404 <html>not here</html>"),
        (500, b"", "the collector refuses: 500 "),
        (422, b'{"detail": [{"nothing": 1}]}', "the collector refuses: 422 "),
        (422, b'["x"]', "the collector refuses: 422 "),
    ],
)
def test_an_answer_of_somebody_else_is_an_error(
    stranger: str, monkeypatch: pytest.MonkeyPatch, status: int, body: bytes, message: str
) -> None:
    monkeypatch.setattr(Stranger, "status", status)
    monkeypatch.setattr(Stranger, "body", body)
    with CollectorClient(stranger) as client:
        with pytest.raises(ClientError, match=message):
            client.rows({})
        with pytest.raises(ClientError, match="the collector"):
            next(client.tail({}, Hearing(lambda why: None)))


def test_a_tail_that_the_collector_ends_says_why_and_goes_on(
    store: DuckDbStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append(numbered(0, 2))
    read = Reader.arrived
    busy = [True]

    def arrived(self: Reader, row_id: int, up_to_row_id: int) -> pa.Table:
        if busy:
            busy.pop()
            raise QueryInterruptedError("cannot query the store: interrupted")
        return read(self, row_id, up_to_row_id)

    monkeypatch.setattr(Reader, "arrived", arrived)
    with Served(store) as served:
        tail = Tail(served.url, 4)
        wait_until(lambda: len(tail.messages) == 2, what="the history")
        store.append(numbered(2, 2))
        assert tail.join() == ["0", "1", "2", "3"]
    assert tail.away == ["cannot query the store: interrupted; trying again"]


class Clock:
    """A time that goes on by waiting alone; after MANY waits there is no more of it."""

    MANY = 6

    def __init__(self) -> None:
        self.waits: list[float] = []

    def monotonic(self) -> float:
        return sum(self.waits)

    def sleep(self, length_s: float) -> None:
        self.waits.append(length_s)
        if len(self.waits) == self.MANY:
            raise KeyboardInterrupt


class Ending(Stranger):
    """A collector that ends each tail as soon as it has begun."""

    body = b'event: live\ndata: {"row_id": 7}\nid: 7\n\nevent: end\ndata: {"detail": "no memory"}\n\n'

    def send_response(self, code: int, message: str | None = None) -> None:
        super().send_response(code, message)
        self.send_header("Content-Type", "text/event-stream")


@pytest.mark.parametrize("stranger", [Ending], indirect=True)
def test_a_tail_that_ends_as_soon_as_it_has_begun_waits_longer_each_time(
    stranger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloud.logs.query.client.time", clock := Clock())
    with CollectorClient(stranger) as client, pytest.raises(KeyboardInterrupt):
        next(client.tail({}, Hearing(lambda why: None)))
    assert clock.waits == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0]


def test_a_tail_without_a_history_in_time_is_an_error(store: DuckDbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def newest(self: Reader, wanted: Filter, limit: int, up_to_row_id: int) -> list[Row]:
        raise QueryInterruptedError("cannot query the store: interrupted")

    monkeypatch.setattr(Reader, "newest", newest)
    with (
        Served(store) as served,
        CollectorClient(served.url) as client,
        pytest.raises(ClientError, match=r"^cannot tail at .*: cannot answer within 30 s: ask for less$"),
    ):
        next(client.tail({}, Hearing(lambda why: None)))


def test_proxies_of_the_environment_are_not_used(store: DuckDbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with Served(store) as served, CollectorClient(served.url) as client:
        assert client.rows({}) == []
