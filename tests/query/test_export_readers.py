"""Those who read an export slowly: left alone for long, but not without end, and not any number of them."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
from loguru import logger

from cloud.logs.collector.duckdb_store import DuckDbStore
from tests.collector.batches import table_of
from tests.query.serving import Served
from tests.waiting import wait_until

if TYPE_CHECKING:
    from loguru import Message

ROWS = 2500


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDbStore]:
    opened = DuckDbStore(tmp_path_factory.mktemp("store"))
    opened.append(table_of(*(b"<134>1 - h a - - - " + b"x" * 4000 for _ in range(ROWS))))
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.logs.collector.http_connections.TAKEN_S", 0.2)
    monkeypatch.setattr("cloud.logs.query.routes.export.MAX_EXPORTS", 1)


@contextmanager
def exporting(served: Served) -> Iterator[socket.socket]:
    """A client that takes nothing yet of an export that has begun."""
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
        reader.settimeout(30)
        reader.connect(("127.0.0.1", served.port))
        reader.sendall(b"GET /api/v1/export HTTP/1.0\r\nHost: localhost\r\n\r\n")
        wait_until(lambda: served.app.state.export_seats.taken == 1, what="the export")
        yield reader


def test_who_looks_at_a_page_for_long_gets_the_rest_and_has_a_seat_meanwhile(store: DuckDbStore) -> None:
    with Served(store) as served:
        with exporting(served) as reader:
            time.sleep(1.0)  # five times as long as others may stand still
            refused = httpx.get(f"{served.url}/api/v1/export", trust_env=False)
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
            assert refused.json() == {"detail": "cannot export now: 1 others do", "code": "busy"}
            received = b""
            while piece := reader.recv(1 << 20):
                received += piece
        lines = received.partition(b"\r\n\r\n")[2].splitlines()
        assert (len(lines), json.loads(lines[-1])) == (ROWS + 1, {"export": {"rows": ROWS}})
        wait_until(lambda: served.app.state.export_seats.taken == 0, what="the seat")


def test_who_never_reads_on_is_let_go(store: DuckDbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.logs.query.routes.export.STANDING_S", 0.5)
    with Served(store) as served, exporting(served):
        wait_until(lambda: served.app.state.export_seats.taken == 0, what="the seat")


def test_an_export_that_is_broken_off_is_written_down_with_its_rows(store: DuckDbStore) -> None:
    rows: list[int | None] = []

    def hear(said: "Message") -> None:
        if said.record["message"] == "audit":
            rows.append(said.record["extra"]["rows"])

    number = logger.add(hear)
    try:
        with Served(store) as served:
            with exporting(served) as reader:
                received = 0
                while received < 100_000:  # no header alone
                    received += len(reader.recv(64 << 10))
            wait_until(lambda: rows, what="the audit line")
    finally:
        logger.remove(number)
    [given] = rows
    assert given is not None
    assert 0 < given < ROWS
