"""A browser's session over HTTP: how it begins, what its cookie is good for, and how it ends."""

import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.http import Door
from cloud.logs.collector.http_tls import https_context
from cloud.logs.query.access.errors import AccessUnavailableError, UnknownCallerError
from cloud.logs.query.access.identity import Identity, IdentityUser
from cloud.logs.query.access.keys import KeyFile, Wanted
from cloud.logs.query.access.roles import Role
from cloud.logs.query.access.session import cookie_name
from cloud.logs.query.access.session_seal import SESSION_S, Seal, SealError
from cloud.logs.query.access.throttle import BURST
from tests.collector.receiving import Authority
from tests.query.serving import Served
from tests.waiting import wait_until

SESSION = "/api/v1/session"
ROWS = "/api/v1/rows"


class People:
    """An identity service with one user."""

    async def sign_in(self, user: str, password: str, project: str) -> str:
        if password == "slow":
            raise AccessUnavailableError("cannot ask")
        if (user, password, project) != ("alice", "wonderland", "red"):
            raise UnknownCallerError("no such user")
        return "token-of-alice"

    async def user(self, token: str) -> IdentityUser:
        if token != "token-of-alice":
            raise UnknownCallerError("nobody's")
        return IdentityUser("alice", "red", ["member"])

    async def close(self) -> None: ...


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sessions")


@pytest.fixture(scope="module")
def key(data: Path) -> str:
    return KeyFile(data).create(Wanted("night-watch", Role.OPERATOR))


@pytest.fixture(scope="module")
def revoked_later(data: Path) -> str:
    return KeyFile(data).create(Wanted("short", Role.READER))


@pytest.fixture(scope="module")
def served(data: Path, key: str, revoked_later: str) -> Iterator[Served]:
    assert key != revoked_later  # a running one would know them a second later
    store = DuckDbStore(data)
    with Served(store, door=Door(identity=Identity(People(), {}))) as served:
        yield served
    store.close()


def browser(served: Served, host: int = 1) -> httpx.Client:
    """With an address of its own, and what a browser says of requests by our own page."""
    transport = httpx.HTTPTransport(local_address=f"127.0.2.{host}")
    headers = {"Origin": served.url, "Sec-Fetch-Site": "same-origin"}
    return httpx.Client(base_url=served.url, headers=headers, transport=transport, timeout=20)


def test_a_key_begins_a_session_whose_cookie_holds_no_key(served: Served, key: str) -> None:
    with browser(served) as http:
        assert http.get(SESSION).json() == {"signed_in": None, "is_open": False, "has_identity": True}
        assert http.get(ROWS).status_code == 401
        answer = http.post(SESSION, json={"key": key})
        assert answer.status_code == 200
        assert answer.json()["signed_in"]["name"] == "key night-watch"
        assert {"lines:read", "sql:run"} <= set(answer.json()["signed_in"]["may"])
        assert "store:administer" not in answer.json()["signed_in"]["may"]
        cookie = answer.headers["set-cookie"]
        assert key not in cookie
        assert cookie.split("; ")[1:] == ["Path=/", f"Max-Age={SESSION_S}", "HttpOnly", "SameSite=Strict"]
        assert answer.headers["cache-control"] == "no-store"
        assert http.get(ROWS).status_code == 200
        assert http.get(SESSION).json()["signed_in"]["role"] == "operator"


def test_signing_out_ends_it(served: Served, key: str) -> None:
    with browser(served) as http:
        http.post(SESSION, json={"key": key})
        assert "Max-Age=0" in http.delete(SESSION).headers["set-cookie"]
        assert http.get(ROWS).status_code == 401


def test_a_user_of_the_cloud_signs_in_with_a_password(served: Served) -> None:
    with browser(served) as http:
        answer = http.post(SESSION, json={"user": "alice", "password": "wonderland", "project": "red"})
        assert answer.json()["signed_in"] == {
            "name": "alice",
            "role": "member",
            "may": answer.json()["signed_in"]["may"],
        }
        assert "hosts:read" not in answer.json()["signed_in"]["may"]
        assert http.get(ROWS).status_code == 200
        assert http.get("/api/v1/hosts").status_code == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"key": "cloudlog_0000000000000000_" + "x" * 43}, 401),
        ({"user": "alice", "password": "wrong", "project": "red"}, 401),
        ({"user": "alice", "password": "slow", "project": "red"}, 503),
        ({"key": "a", "user": "alice", "password": "b"}, 422),
        ({"user": "alice"}, 422),
        ({}, 422),
        ({"key": "x" * 20_000}, 422),
    ],
)
def test_what_is_not_good_begins_no_session(served: Served, body: dict[str, str], status: int) -> None:
    with browser(served, 2) as http:
        answer = http.post(SESSION, json=body)
        assert answer.status_code == status
        assert "set-cookie" not in answer.headers


def test_guesses_are_counted_by_address_and_an_old_cookie_is_none(served: Served, key: str) -> None:
    with browser(served, 3) as http:
        http.cookies.set(f"cloudlog_{served.port}", "sealed-by-somebody-else")
        for _ in range(2 * BURST):
            assert http.get(ROWS).status_code == 401
        wrong = {"user": "alice", "password": "wrong", "project": "red"}
        statuses = [http.post(SESSION, json=wrong).status_code for _ in range(BURST + 3)]
        assert statuses[:BURST] == [401] * BURST
        assert statuses[-1] == 429
        assert http.post(SESSION, json={"key": key}).status_code == 200


def test_who_has_guessed_too_often_is_still_told_how_to_sign_in(served: Served) -> None:
    with browser(served, 4) as http:
        statuses = {http.post(SESSION, json={"key": "cloudlog_guessed"}).status_code for _ in range(BURST + 3)}
        assert statuses == {401, 429}
        answer = http.get(SESSION)
        assert answer.status_code == 200
        assert answer.json() == {"signed_in": None, "is_open": False, "has_identity": True}


def test_two_collectors_behind_tunnels_have_a_cookie_each(served: Served, key: str) -> None:
    with browser(served) as http:
        tunnel = {"Host": "localhost:9001", "Origin": "http://localhost:9001"}
        cookie = http.post(SESSION, json={"key": key}, headers=tunnel).headers["set-cookie"]
        assert cookie.startswith("cloudlog_9001=")
    for host, name in {
        "[::1]:9001": "cloudlog_9001",
        "[::1]": "cloudlog_8080",
        "collector.example": "cloudlog_8080",
        "a:9;b": "cloudlog_8080",
    }.items():
        scope = {"type": "http", "scheme": "http", "server": ("127.0.0.1", 8080), "headers": [(b"host", host.encode())]}
        assert cookie_name(scope) == name, host


def test_a_cookie_is_good_for_requests_of_our_own_pages_alone(served: Served, key: str) -> None:
    with browser(served) as http:
        http.post(SESSION, json={"key": key})
        sql = {"statement": "SELECT 1"}
        assert http.post("/api/v1/sql", json=sql).status_code == 200
        for headers in (
            {"Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-site"},
            {"Origin": "https://example.org", "Sec-Fetch-Site": "cross-site"},
            {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
        ):
            assert http.post("/api/v1/sql", json=sql, headers=headers).status_code in (401, 403), headers
            assert http.post(SESSION, json={"key": key}, headers=headers).status_code == 403
        del http.headers["Origin"]
        assert http.post("/api/v1/sql", json=sql).status_code == 401  # no browser leaves it out
        assert http.get(ROWS).status_code == 200


def test_a_session_ends_with_its_key(served: Served, data: Path, revoked_later: str) -> None:
    with browser(served) as http:
        http.post(SESSION, json={"key": revoked_later})
        assert http.get(ROWS).status_code == 200
        KeyFile(data).revoke("short")
        wait_until(lambda: http.get(SESSION).json()["signed_in"] is None, what="the key to be forgotten")
        answer = http.get(ROWS)
        assert answer.status_code == 401
        assert "Max-Age=0" in answer.headers["set-cookie"]


def test_by_tls_the_cookie_never_goes_without(tmp_path: Path, authority: Authority) -> None:
    text = KeyFile(tmp_path).create(Wanted("one", Role.READER))
    store = DuckDbStore(tmp_path)
    trust = ssl.create_default_context(cafile=authority.certificate)
    with (
        Served(store, tls=https_context(authority.server(None))) as served,
        httpx.Client(base_url=served.url, verify=trust, trust_env=False) as http,
    ):
        cookie = http.post(SESSION, json={"key": text}, headers={"Origin": served.url}).headers["set-cookie"]
        assert cookie.startswith(f"__Host-cloudlog_{served.port}=")
        assert cookie.endswith("; Secure")
        assert http.get(ROWS).status_code == 200
    store.close()


def test_without_keys_everybody_on_loopback_is_in(tmp_path: Path) -> None:
    store = DuckDbStore(tmp_path)
    with Served(store) as served, httpx.Client(base_url=served.url, trust_env=False) as http:
        found = http.get(SESSION).json()
    store.close()
    assert (found["is_open"], found["signed_in"]["role"]) == (True, "operator")


def test_what_is_sealed_can_be_opened_for_a_while_and_by_the_same_key(tmp_path: Path) -> None:
    now_s = 1_800_000_000.0
    seal = Seal(tmp_path, lambda: now_s)
    text = seal.close("a key")
    assert "a key" not in text
    assert Seal(tmp_path, lambda: now_s + SESSION_S).open(text) == "a key"
    assert Seal(tmp_path, lambda: now_s + SESSION_S + 1).open(text) is None
    assert seal.open(text[:-4] + "AAA=") is None
    assert seal.open("") is None
    assert stat.S_IMODE((tmp_path / "session-key").stat().st_mode) == 0o600
    (tmp_path / "session-key").unlink()
    assert Seal(tmp_path, lambda: now_s).open(text) is None
    with pytest.raises(SealError, match="too long"):
        seal.close("x" * 4000)
    (tmp_path / "session-key").write_text("no key")
    with pytest.raises(SealError, match="session-key"):
        Seal(tmp_path, lambda: now_s)
