"""The fence around statements, by what they try: none gets out, and the collector answers on."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from tests.query.sql import statements

ESCAPE = Path("/tmp/cloud-sql-escape")  # noqa: S108 - where nothing must appear
REFUSED = (
    *statements.FILES[::4],
    *statements.WRITES[::4],
    *statements.NETWORK[::4],
    "EXPLAIN ANALYZE DELETE FROM unsealed",
    "SELECT no_such_column FROM logs",
    "SELECT '\ud800'",
)
"""Some of each kind. The check and the confinement are held against all of them by tests of their own."""


def ask(http: httpx.Client, statement: str, **more: object) -> httpx.Response:
    body = json.dumps({"statement": statement, **more})
    return http.post("/api/v1/sql", content=body, headers={"Content-Type": "application/json"})


@pytest.fixture(scope="module")
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def contents(directory: Path) -> dict[str, tuple[int, int]]:
    return {
        path.name: (path.stat().st_size, path.stat().st_mtime_ns)
        for path in directory.iterdir()
        if path.is_file() and path.suffix != ".wal"
    }


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_a_statement_that_is_no_select_on_logs_does_nothing(
    http: httpx.Client, store: DuckDbStore, listener: socket.socket, number: int
) -> None:
    data = store.files.path
    before = contents(data)
    text = REFUSED[number]
    if "{data}" in text or "{port}" in text or "{{" in text:
        text = text.format(data=data, port=listener.getsockname()[1])
    answer = ask(http, text)
    assert answer.status_code == 422, answer.text
    for secret in ("root:x", (data / "store-key").read_text()):
        assert secret not in answer.text
    assert contents(data) == before
    assert not ESCAPE.exists()
    with pytest.raises(BlockingIOError):
        listener.accept()
    assert http.get("/api/v1/count").json() == [{"count": 11}]


@pytest.mark.parametrize("text", statements.DEEP, ids=range(len(statements.DEEP)))
def test_a_statement_that_is_deep_ends_its_own_process_at_most(http: httpx.Client, text: str) -> None:
    answer = ask(http, text, deadline_s=1, max_rows=1)
    assert answer.status_code in (200, 422), answer.text[:300]
    assert http.get("/readyz").status_code == 200


@pytest.mark.parametrize("text", statements.TOO_MUCH, ids=range(len(statements.TOO_MUCH)))
def test_a_statement_that_takes_too_much_ends_in_time_and_takes_nobody_along(http: httpx.Client, text: str) -> None:
    started_s = time.monotonic()
    answer = ask(http, text.replace("{{", "{").replace("}}", "}"), deadline_s=0.5)
    if answer.status_code == 200:  # a fast machine was done before the deadline, with more than an answer holds
        assert answer.json() | {"columns": []} == {"columns": [], "rows": [], "is_cut": True}
    else:
        assert answer.status_code == 422, answer.text[:300]
        assert answer.json()["code"] in ("deadline", "memory", "statement", "broken")
    assert time.monotonic() - started_s < 20
    assert http.get("/readyz").status_code == 200
