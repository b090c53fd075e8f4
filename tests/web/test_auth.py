"""X-Auth-Token -> who asks, by the real identity service."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cloud.db.engine import open_database
from cloud.db.schema import sync
from cloud.domain.caller import Caller
from cloud.errors import IdentityUnavailableError, UnauthorizedError
from cloud.web.auth import KEPT_S, MAX_KEPT, TokenAuthentication
from tests.db.conftest import LIMITS
from tests.identity.site import Seconds, Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """The time is the real one: what is kept of a token is compared with it."""
    with open_database(f"sqlite:///{tmp_path}/identity.db", LIMITS) as database:
        sync(database)
        with Site(database, lambda: datetime.now(UTC)) as site:
            yield site


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


class Asking:
    """What a service's requests come to, one after the other, in one event loop."""

    def __init__(self, url: str, seconds: Seconds) -> None:
        self._runner = asyncio.Runner()
        self._authenticate = TokenAuthentication(url, ("/", "/v2"), clock_s=seconds)

    def __call__(self, token: str | None, path: str = "/v2/servers") -> Caller | None:
        headers = [] if token is None else [(b"x-auth-token", token.encode("latin-1"))]
        return self._runner.run(self._authenticate({"type": "http", "path": path, "headers": headers}))

    @property
    def kept(self) -> int:
        return len(self._authenticate._kept)

    def close(self) -> None:
        self._runner.run(self._authenticate._client.aclose())
        self._runner.close()


@pytest.fixture
def asking(site: Site, seconds: Seconds) -> Iterator[Asking]:
    asking = Asking(site.server.url, seconds)
    yield asking
    asking.close()


def test_caller_is_user_project_and_roles_of_the_token(site: Site, asking: Asking) -> None:
    site.give("alice", "red", "auditor")
    caller = asking(site.token("alice", "red"))
    assert caller is not None
    assert (caller.user_id, caller.user_name) == (site.users["alice"].id, "alice")
    assert (caller.project_id, caller.project_name) == (site.project("red").id, "red")
    assert sorted(caller.roles) == ["auditor", "member"]
    assert not caller.is_admin
    assert 3500 < (caller.expires_at - datetime.now(UTC)).total_seconds() <= 3600
    admin = asking(site.token("admin", "admin"))
    assert admin is not None
    assert admin.is_admin
    nowhere = asking(site.token("alice"))
    assert nowhere is not None
    assert (nowhere.project_id, nowhere.project_name, nowhere.roles) == (None, None, frozenset())


def test_without_a_token_only_public_paths_are_answered(site: Site, asking: Asking) -> None:
    assert asking(None, "/") is None
    assert asking("", "/v2") is None
    for path in ("/v2/", "/v2/servers", ""):
        with pytest.raises(UnauthorizedError, match="there is no X-Auth-Token"):
            asking(None, path)


@pytest.mark.parametrize("token", ["nonsense", "a" * 4097, "é", "a\nb", "gAAAAA" + "A" * 150, "a b"])
def test_what_is_no_token_gets_nobody_in_even_where_none_is_needed(asking: Asking, token: str) -> None:
    for path in ("/v2/servers", "/"):
        with pytest.raises(UnauthorizedError, match="the token is not, or no longer, good"):
            asking(token, path)
    assert asking.kept == 0


def test_ended_token_is_good_for_seconds_only(site: Site, asking: Asking, seconds: Seconds) -> None:
    token = site.token("alice", "red")
    assert asking(token) is not None
    site.ask("DELETE", f"/v2.0/tokens/{token}", token)
    seconds.now_s += KEPT_S - 0.1
    assert asking(token) is not None
    seconds.now_s += 0.2
    with pytest.raises(UnauthorizedError):
        asking(token)


def test_service_that_is_away_is_told_and_what_is_known_holds_for_seconds(
    site: Site, asking: Asking, seconds: Seconds
) -> None:
    token = site.token("alice", "red")
    caller = asking(token)
    site.server.stop()
    assert asking(token) == caller
    seconds.now_s += KEPT_S
    with pytest.raises(IdentityUnavailableError, match="cannot ask the identity service who asks"):
        asking(token)


def test_answer_that_is_none_of_identitys_is_told(seconds: Seconds) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        asking = Asking(f"http://127.0.0.1:{server.getsockname()[1]}", seconds)

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]")

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            with pytest.raises(IdentityUnavailableError):
                asking("token")
        finally:
            thread.join()
            asking.close()


def test_what_is_kept_is_bounded(site: Site, asking: Asking) -> None:
    token = site.token("alice", "red")
    known = asking(token)
    assert known is not None
    asking._authenticate._kept.update({number.to_bytes(32, "big"): (0.0, known) for number in range(MAX_KEPT)})
    assert asking(site.token("bob", "blue")) is not None
    assert asking.kept == MAX_KEPT
