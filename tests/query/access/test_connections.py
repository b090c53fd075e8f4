"""Connections that bring nothing: neither many of them nor long ones keep others out."""

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from cloud.logs.collector import http_connections
from cloud.logs.collector.duckdb_store import DuckDbStore
from tests.query.serving import Served
from tests.waiting import wait_until


@pytest.fixture
def served(store: DuckDbStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(http_connections, "HEAD_S", 0.5)
    with Served(store) as served:
        yield served


def connect(served: Served) -> socket.socket:
    return socket.create_connection(("127.0.0.1", served.port), timeout=5)


def is_closed(connection: socket.socket) -> bool:
    """Once what was sent there has been read."""
    try:
        while connection.recv(1 << 16):
            pass
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    return True


BEGINNINGS = [b"", b"GET /readyz HTTP/1.1\r\nHost: loc", b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /re"]


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_who_sends_no_complete_head_is_not_waited_for(served: Served, beginning: bytes) -> None:
    with connect(served) as connection:
        connection.sendall(beginning)
        assert is_closed(connection)


def test_a_head_that_comes_byte_by_byte_is_not_waited_for(served: Served) -> None:
    with connect(served) as connection, suppress(ConnectionError):
        for _ in range(100):
            connection.sendall(b"G")
            time.sleep(0.02)
        pytest.fail("still open")


def test_a_body_that_nobody_reads_is_not_waited_for(keys: Mapping[str, str], served: Served) -> None:
    assert keys
    with connect(served) as connection:
        connection.sendall(b"POST /api/v1/sql HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 401 ")
        assert is_closed(connection)


def test_an_answer_that_takes_longer_goes_on(keys: Mapping[str, str], served: Served) -> None:
    head = f"GET /api/v1/tail HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {keys['reader']}\r\n\r\n"
    with connect(served) as connection:
        connection.sendall(head.encode())
        connection.settimeout(1.5)
        assert not is_closed(connection)


@pytest.mark.parametrize("bound", ["MAX_CONNECTIONS", "MAX_PEER_CONNECTIONS"])
def test_those_beyond_the_bound_are_closed_at_once_and_the_others_end(
    served: Served, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(http_connections, bound, 10)
    monkeypatch.setattr(http_connections, "HEAD_S", 2.0)
    with ExitStack() as stack:
        kept = [stack.enter_context(connect(served)) for _ in range(10)]
        more = [stack.enter_context(connect(served)) for _ in range(30)]
        started_s = time.monotonic()
        assert all(is_closed(each) for each in more)
        assert time.monotonic() - started_s < 1.5
        kept[0].sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert kept[0].recv(100).startswith(b"HTTP/1.1 200 ")
        assert all(is_closed(each) for each in kept)
        assert httpx.get(f"{served.url}/readyz", trust_env=False).status_code == 200


def test_many_at_once_are_all_answered(store: DuckDbStore) -> None:
    request = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with Served(store) as served, ExitStack() as stack:
        opened = [stack.enter_context(connect(served)) for _ in range(http_connections.MAX_PEER_CONNECTIONS)]
        for each in opened:
            each.sendall(request)
        assert {each.recv(12) for each in opened} == {b"HTTP/1.1 200"}


def test_what_a_client_does_wrong_is_no_line(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    with connect(served) as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
    assert not [record for record in caplog.records if record.name.startswith("uvicorn")]


def test_who_leaves_lie_what_it_is_sent_is_not_waited_for_forever(
    store: DuckDbStore, keys: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_connections, "TAKEN_S", 0.5)
    monkeypatch.setattr(http_connections, "HEAD_S", 60.0)
    request = f"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {keys['reader']}\r\n\r\n"
    with Served(store) as served, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", served.port))
        connection.sendall(request.encode() * 1000)
        assert connection.recv(1) == b"H"
        before = sockets()
        wait_until(lambda: sockets() < before, what="the end of the connection", timeout_s=30)


def sockets() -> int:
    """Of this process, in which the server is."""
    return sum(
        str(each.readlink()).startswith("socket:") for each in Path("/proc/self/fd").iterdir() if each.is_symlink()
    )
