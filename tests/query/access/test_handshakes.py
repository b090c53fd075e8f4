"""Connections to HTTPS that never finish their handshake: they are few, they end soon, and they keep nobody out."""

import asyncio
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector

import httpx
import pytest

from cloud.logs.collector import http_acceptor, http_connections
from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.http_acceptor import MAX_HANDSHAKES, MAX_PEER_HANDSHAKES
from cloud.logs.collector.http_tls import https_context
from tests.collector.receiving import Authority
from tests.query.serving import Served
from tests.waiting import wait_until

SILENT = 500
HANDSHAKE_S = 1.5


@pytest.fixture
def served(store: DuckDbStore, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(http_acceptor, "HANDSHAKE_S", HANDSHAKE_S)
    with Served(store, tls=https_context(authority.server(None))) as served:
        yield served


def connect(served: Served, address: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", served.port), timeout=5, source_address=(address, 0))


def status(served: Served, authority: Authority) -> int:
    trust = ssl.create_default_context(cafile=authority.certificate)
    with httpx.Client(verify=trust, trust_env=False, timeout=5) as http:
        return http.get(f"{served.url}/readyz").status_code


def closed(connections: list[socket.socket], wait_s: float) -> int:
    """How many of them the server closes until then, or until all are."""
    found = 0
    until_s = time.monotonic() + wait_s
    with DefaultSelector() as selector:
        for each in connections:
            selector.register(each, EVENT_READ)
        while selector.get_map() and (left_s := until_s - time.monotonic()) > 0:
            for key, _ in selector.select(left_s):
                selector.unregister(key.fileobj)
                found += 1
    return found


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_of_one_address_a_few_are_waited_for_and_not_for_long(served: Served, authority: Authority) -> None:
    assert status(served, authority) == 200
    before = descriptors()
    with ExitStack() as stack:
        silent = [stack.enter_context(closing(connect(served, "127.0.1.1"))) for _ in range(SILENT)]
        assert status(served, authority) == 200, "others are answered"
        started_s = time.monotonic()
        assert descriptors() <= before + SILENT + MAX_PEER_HANDSHAKES + 10
        assert closed(silent, HANDSHAKE_S + 5) == SILENT
        assert time.monotonic() - started_s < HANDSHAKE_S + 3
        wait_until(lambda: descriptors() <= before + SILENT, what="the server's ends")


def test_of_many_addresses_the_oldest_gives_way(
    served: Served, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_acceptor, "HANDSHAKE_S", 60.0)
    before = descriptors()
    more = 40
    with ExitStack() as stack:
        addresses = [f"127.0.2.{1 + number // (MAX_PEER_HANDSHAKES - 1)}" for number in range(MAX_HANDSHAKES + more)]
        silent = [stack.enter_context(closing(connect(served, each))) for each in addresses]
        assert status(served, authority) == 200
        wait_until(lambda: descriptors() <= before + len(silent) + MAX_HANDSHAKES, what="the oldest to go")
        assert closed(silent[:more], 5) == more
        assert closed(silent[more + 1 :], 0.2) == 0, "one more had to give way to who was answered"


@pytest.mark.parametrize("beginning", [b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"])
def test_half_a_handshake_is_none(served: Served, beginning: bytes) -> None:
    with connect(served, "127.0.1.2") as connection:
        connection.sendall(beginning)
        assert closed([connection], HANDSHAKE_S + 3) == 1


def test_after_the_handshake_a_head_is_waited_for_as_without_tls(
    served: Served, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_connections, "HEAD_S", 0.3)
    trust = ssl.create_default_context(cafile=authority.certificate)
    with trust.wrap_socket(connect(served, "127.0.1.3"), server_hostname="localhost") as connection:
        connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: loc")
        connection.settimeout(5)
        with suppress(ConnectionResetError):
            assert connection.recv(1) == b""


def test_no_piece_of_an_answer_waits_for_the_clients_acknowledgement() -> None:
    async def taken(listening: socket.socket) -> int:
        connected: asyncio.Future[asyncio.BaseTransport] = asyncio.get_running_loop().create_future()

        class Taking(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                connected.set_result(transport)

        acceptor = http_acceptor.Acceptor(listening, Taking, None)
        with closing(socket.create_connection(listening.getsockname())):
            transport = await asyncio.wait_for(connected, 5)
            found: int = transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            transport.close()
        acceptor.close()
        await acceptor.wait_closed()
        return found

    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        assert asyncio.run(taken(listening)) != 0
