"""The gate over HTTP: open and closed, throttled, and what it writes down."""

import json
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import httpx_sse
import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.http import Door
from cloud.logs.query.access import gate
from cloud.logs.query.access.keys import KeyFile, Keys, Wanted
from cloud.logs.query.access.roles import Role
from cloud.logs.query.access.throttle import BURST
from tests.collector.batches import table_of
from tests.query.access.conftest import LINES, make_key
from tests.query.serving import Served

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[DuckDbStore]:
    """A store without keys."""
    store = DuckDbStore(tmp_path)
    store.append(table_of(*LINES))
    yield store
    store.close()


def client(served: Served, key: str | None = None, **headers: str) -> httpx.Client:
    bearer = {} if key is None else {"Authorization": f"Bearer {key}"}
    return httpx.Client(base_url=served.url, headers={**bearer, **headers}, trust_env=False, timeout=20)


def test_without_keys_anybody_on_this_machine_may_ask_but_not_look_after_the_store(empty: DuckDbStore) -> None:
    with Served(empty) as served, client(served) as http:
        assert len(http.get("/api/v1/rows").json()) == 4
        assert http.get("/metrics").status_code == 200
        refused = http.get("/api/v1/store/stats")
        assert (refused.status_code, refused.json()) == (
            403,
            {
                "detail": "store:administer takes the role admin; anybody on this machine has the role operator",
                "code": "forbidden",
            },
        )
        own = (empty.files.path / "store-key").read_text()
        assert http.get("/api/v1/store/stats", headers={"X-Store-Key": own}).json()["rows"] == 4


def test_the_first_key_closes_a_running_collector_to_who_has_none(empty: DuckDbStore) -> None:
    with Served(empty) as served, client(served) as http:
        assert http.get("/api/v1/rows").status_code == 200
        key = make_key(empty.files.path, "first", Role.READER)
        until_s = time.monotonic() + 5
        while http.get("/api/v1/rows").status_code != 401:
            assert time.monotonic() < until_s, "still open"
        assert http.get("/readyz").status_code == 200
        assert http.get("/api/v1/rows").headers["WWW-Authenticate"] == "Bearer"
        with client(served, key) as known:
            assert len(known.get("/api/v1/rows").json()) == 4


def test_beyond_loopback_nobody_is_let_in_without_a_key_even_where_there_is_none(empty: DuckDbStore) -> None:
    with Served(empty, door=Door(is_loopback_only=False)) as served, client(served) as http:
        assert http.get("/api/v1/rows").status_code == 401
        assert http.get("/readyz").status_code == 200


def test_keys_that_cannot_be_read_let_nobody_in(empty: DuckDbStore, said: list[str]) -> None:
    key = make_key(empty.files.path, "first", Role.READER)
    (empty.files.path / "keys.json").write_text("{")
    with Served(empty) as served:
        for shown in (None, key):
            with client(served, shown) as http:
                refused = http.get("/api/v1/rows")
                assert (refused.status_code, refused.json()["code"]) == (503, "access_unavailable")
                assert "cannot read keys" in refused.json()["detail"]
        with client(served, key) as http:
            assert {http.get("/api/v1/rows").status_code for _ in range(2 * BURST)} == {503}, "no guess, so not counted"
    assert len([line for line in said if "nobody could be let in" in line]) == 1


@pytest.mark.parametrize("host", ["evil.example", "logs.example.com.evil.example", "192.0.2.1", ""])
def test_only_its_own_names_are_answered(store: DuckDbStore, keys: Mapping[str, str], host: str) -> None:
    with Served(store, door=Door(["logs.example.com"])) as served, client(served, keys["admin"]) as http:
        assert http.get("/api/v1/rows", headers={"Host": host}).status_code == 400
        for own in ("logs.example.com", "LOGS.example.com:8443", "localhost", "127.0.0.1:80"):
            assert http.get("/api/v1/rows", headers={"Host": own}).status_code == 200


def test_guessing_is_answered_less_and_less_and_shuts_out_nobody_who_has_a_key(
    store: DuckDbStore, keys: Mapping[str, str], said: list[str]
) -> None:
    wrong = keys["admin"][:-4] + "AAAA"
    with Served(store) as served, client(served) as http:
        tries = [http.get("/api/v1/rows", headers={"Authorization": f"Bearer {wrong}"}) for _ in range(BURST + 3)]
        assert [answer.status_code for answer in tries] == [401] * BURST + [429] * 3
        assert 1 <= int(tries[-1].headers["Retry-After"]) <= 3
        assert http.get("/api/v1/rows", headers={"Authorization": f"Bearer {keys['admin']}"}).status_code == 200
        own = (store.files.path / "store-key").read_text()
        assert http.get("/api/v1/store/stats", headers={"X-Store-Key": own}).status_code == 200
        assert http.get("/readyz").status_code == 200
        # What brings no key at all is no guess: it neither counts nor is it written down.
        assert http.get("/api/v1/rows").status_code == 429
    refusals = [line for line in said if "sign-in refused" in line]
    assert len(refusals) == BURST
    assert "'peer': '127.0.0.1'" in refusals[0]
    assert "and those to come for a while" in refusals[-1]
    assert not any(wrong[-20:] in line or keys["admin"][-20:] in line for line in said)


def test_who_brings_nothing_is_not_counted(store: DuckDbStore, keys: Mapping[str, str], said: list[str]) -> None:
    with Served(store) as served, client(served) as http:
        assert {http.get("/api/v1/rows").status_code for _ in range(BURST + 5)} == {401}
        assert http.get("/api/v1/rows", headers={"Authorization": f"Bearer {keys['admin']}"}).status_code == 200
    assert not [line for line in said if "sign-in" in line]


def test_a_wrong_store_key_is_a_guess_too(empty: DuckDbStore) -> None:
    with Served(empty) as served, client(served, **{"X-Store-Key": "guessed"}) as http:
        statuses = [http.get("/api/v1/store/stats").status_code for _ in range(BURST + 1)]
        assert statuses == [403] * BURST + [429]


def test_a_tail_ends_soon_after_its_key_was_revoked(empty: DuckDbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "RECHECK_S", 0.0)
    monkeypatch.setattr(Keys, "LOOK_S", 0.0)
    file = KeyFile(empty.files.path)
    key = file.create(Wanted("one", Role.READER))
    with Served(empty) as served, client(served, key) as http:
        with httpx_sse.connect_sse(http, "GET", "/api/v1/tail") as source:
            events = source.iter_sse()
            assert [next(events).event for _ in range(5)] == ["row"] * 4 + ["live"]
            file.revoke("one")
            empty.append(table_of(b"<134>1 - compute-01 nova-api - - - unseen"))
            assert [event.event for event in events] == []
        assert http.get("/api/v1/tail").status_code == 401


BOUNDS = [("/api/v1/sql", 256 << 10), ("/api/v1/store/export", 256 << 10), ("/api/v1/runs/waive", 1 << 20)]


@pytest.mark.parametrize(("path", "bound"), BOUNDS)
def test_a_body_has_a_bound(store: DuckDbStore, keys: Mapping[str, str], path: str, bound: int) -> None:
    with Served(store) as served, client(served, keys["admin"]) as http:
        refused = http.post(path, content=b" " * (bound + 1))
        assert (refused.status_code, f"more than {bound} bytes" in refused.text) == (413, True)


def test_the_longest_waiving_is_taken(store: DuckDbStore, keys: Mapping[str, str]) -> None:
    number = 2**63 - 1
    gaps = [[number, number]] * 10_000
    with Served(store) as served, client(served, keys["admin"]) as http:
        body = json.dumps({"host": "h", "start": "s", "gaps": gaps}, indent=1)
        assert http.post("/api/v1/runs/waive", content=body, headers=JSON).status_code == 200


def test_of_what_is_wrong_the_first_ten_things_are_said(store: DuckDbStore, keys: Mapping[str, str]) -> None:
    with Served(store) as served, client(served, keys["admin"]) as http:
        refused = http.post(
            "/api/v1/sql", json={"statement": "SELECT 1"} | {f"more{number}": 1 for number in range(50)}
        )
        assert (refused.status_code, len(refused.json()["detail"])) == (422, 10)


def test_a_body_that_does_not_come_is_not_waited_for(
    store: DuckDbStore, keys: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "BODY_S", 0.3)
    head = (
        "POST /api/v1/sql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {keys['operator']}\r\nContent-Length: 1000\r\n\r\n{{"
    )
    with Served(store) as served, socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 408 ")


def test_it_is_said_at_the_start_that_anybody_may_ask(empty: DuckDbStore, said: list[str]) -> None:
    with Served(empty, door=Door(is_loopback_only=False)):
        assert not [line for line in said if "anybody on this machine may ask" in line]
    with Served(empty):
        assert len([line for line in said if "anybody on this machine may ask" in line]) == 1
    make_key(empty.files.path, "first", Role.READER)
    with Served(empty):
        assert len([line for line in said if "anybody on this machine may ask" in line]) == 1


def test_removing_the_keys_opens_nothing(empty: DuckDbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Keys, "LOOK_S", 0.0)
    key = make_key(empty.files.path, "first", Role.READER)
    with Served(empty) as served, client(served) as http:
        (empty.files.path / "keys.json").rename(empty.files.path / "away")
        for headers in ({}, {"Authorization": f"Bearer {key}"}):
            refused = http.get("/api/v1/rows", headers=headers)
            assert (refused.status_code, "there is none any more" in refused.text) == (503, True)
        (empty.files.path / "away").rename(empty.files.path / "keys.json")
        assert http.get("/api/v1/rows", headers={"Authorization": f"Bearer {key}"}).status_code == 200


AUDITED = [
    ("POST", "/api/v1/runs/waive", {"host": "h", "start": "s", "gaps": []}, "gaps:fill", 200),
    ("POST", "/api/v1/store/check", {}, "store:administer", 200),
    ("POST", "/api/v1/store/export", {}, "store:administer", 200),
]


@pytest.mark.parametrize(("method", "path", "body", "action", "status"), AUDITED)
def test_what_changes_or_takes_away_much_is_written_down(
    empty: DuckDbStore, said: list[str], method: str, path: str, body: Mapping[str, object], action: str, status: int
) -> None:
    key = make_key(empty.files.path, "alice", Role.ADMIN)
    with Served(empty) as served, client(served, key) as http:
        assert http.request(method, path, params={"why": "x"}, json=body).status_code == status
        assert http.get("/api/v1/rows").status_code == 200
    [line] = [line for line in said if line.startswith("audit")]
    for part in (
        "'who': 'key alice'",
        "'role': 'admin'",
        f"'action': '{action}'",
        "'peer': '127.0.0.1'",
        f"'path': '{path}'",
        "'query': 'why=x'",
        f"'status': {status}",
        "'rows': '4'" if "export" in path else "'rows': None",
    ):
        assert part in line
    assert key[-20:] not in line


def test_an_export_is_written_down_with_its_rows(store: DuckDbStore, keys: Mapping[str, str], said: list[str]) -> None:
    with Served(store) as served, client(served, keys["member"]) as http:
        exported = http.get("/api/v1/export", params={"since": "2020-01-01", "until": "2030-01-01"})
    assert len(exported.text.splitlines()) == 3, "two lines of project red, and how many there were"
    [line] = [line for line in said if line.startswith("audit")]
    for part in ("'who': 'key member'", "'action': 'lines:export'", "'rows': 2", "'query': 'since=2020-01-01&until="):
        assert part in line


def test_who_tries_what_is_not_for_him_is_written_down(
    store: DuckDbStore, keys: Mapping[str, str], said: list[str]
) -> None:
    with Served(store) as served, client(served, keys["member"]) as http:
        assert http.get("/metrics").status_code == 403
    [line] = [line for line in said if line.startswith("audit")]
    assert "'who': 'key member'" in line
    assert "'action': 'metrics:read'" in line
    assert "'status': 403" in line


def test_a_header_does_not_say_where_a_request_comes_from(
    store: DuckDbStore, keys: Mapping[str, str], said: list[str]
) -> None:
    with Served(store) as served, client(served, "cloudlog_wrong", **{"X-Forwarded-For": "203.0.113.9"}) as http:
        assert http.get("/api/v1/rows").status_code == 401
    assert "203.0.113.9" not in "".join(said)
