"""The processes of statements: they end with who asked, and nobody else sees to their end."""

import asyncio
import json
import socket
import time
from pathlib import Path

import httpx
import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.query.sql.order import Order
from cloud.logs.query.sql.runner import MAX_RUNNING, Runner
from tests.query.serving import Served
from tests.query.sql.test_sql import ask
from tests.waiting import wait_until

LONG = "SELECT sum(hash(a.range * b.range)) FROM range(10000000) a, range(10000000) b"


def processes() -> list[str]:
    """Of statements, on this machine and below this process."""
    found = []
    for children in Path("/proc/self/task").glob("*/children"):
        for pid in children.read_text().split():
            try:
                command = Path("/proc", pid, "cmdline").read_text()
            except OSError:  # it has ended
                continue
            if "cloud.logs.query.sql.statement_process" in command:
                found.append(pid)
    return found


def test_a_statement_ends_with_who_asked(store: DuckDbStore) -> None:
    body = json.dumps({"statement": LONG, "deadline_s": 60}).encode()
    head = (
        "POST /api/v1/sql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    temp = store.files.path / "tmp"
    with Served(store) as served, httpx.Client(base_url=served.url, trust_env=False, timeout=60) as http:
        gone = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(MAX_RUNNING)]
        for each in gone:
            each.sendall(head.encode() + body)
        wait_until(lambda: len(processes()) == MAX_RUNNING, what="the processes", timeout_s=20)
        assert list(temp.glob("sql-*"))
        for each in gone:
            each.close()
        started_s = time.monotonic()
        assert ask(http, "SELECT 1")["rows"] == [[1]], "their turns are free again"
        assert time.monotonic() - started_s < 20
        wait_until(lambda: not processes() and not list(temp.glob("sql-*")), what="their end", timeout_s=10)


def test_a_process_that_has_answered_ends_by_itself(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    killed: list[object] = []
    monkeypatch.setattr(asyncio.subprocess.Process, "kill", killed.append)

    async def answers() -> list[bytes]:
        runner = Runner()
        return [(await runner.run(Order("SELECT 1 AS a", [], None))).body for _ in range(2)]

    assert [json.loads(body)["rows"] for body in asyncio.run(answers())] == [[[1]], [[1]]]
    assert (killed, processes()) == ([], [])
    assert not [record for record in caplog.records if record.name == "asyncio"]
