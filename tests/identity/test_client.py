"""How services sign in: one token for many threads, renewed in time, and no storm when it fails."""

import socket
import threading
from typing import Any

import pytest

from cloud.errors import IdentityUnavailableError, UnauthorizedError
from cloud.services.identity.client import IdentityClient
from tests.db.conftest import Clock
from tests.identity.site import Seconds, Site
from tests.services.said import Line
from tests.waiting import wait_until


def client_of(
    site: Site, seconds: Seconds, given: str = "alice-pw", project: str = "red", **options: Any
) -> IdentityClient:
    return IdentityClient(site.server.url, "alice", given, project, clock_s=seconds, **options)


def answered(lines: list[Line]) -> int:
    return sum(text == "request answered" for _, text, _ in lines)


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


def test_token_is_good_and_kept_until_shortly_before_it_expires(
    local_site: Site, seconds: Seconds, clock: Clock
) -> None:
    client = client_of(local_site, seconds)
    token = client.token()
    assert local_site.is_good(token)
    seconds.now_s += 3479
    assert client.token() == token
    seconds.now_s += 1
    clock.advance(3480)
    renewed = client.token()
    assert renewed != token
    assert local_site.is_good(renewed)
    client.close()


def test_threads_share_one_token(local_site: Site, seconds: Seconds, lines: list[Line]) -> None:
    client = client_of(local_site, seconds)
    tokens: list[str] = []
    threads = [threading.Thread(target=lambda: tokens.append(client.token())) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(tokens), len(set(tokens))) == (10, 1)
    wait_until(lambda: answered(lines) == 1, what="the line of the one request")
    client.close()


def test_token_that_was_refused_somewhere_is_replaced(local_site: Site, seconds: Seconds) -> None:
    client = client_of(local_site, seconds)
    token = client.token()
    client.forget("another")
    assert client.token() == token
    client.forget(token)
    assert client.token() != token
    client.close()


@pytest.mark.parametrize(("password", "project"), [("wrong", "red"), ("alice-pw", "blue")])
def test_refusal_is_an_error_that_is_not_asked_for_again_at_once(
    local_site: Site, seconds: Seconds, lines: list[Line], password: str, project: str
) -> None:
    client = client_of(local_site, seconds, password, project)
    for _ in range(20):
        with pytest.raises(UnauthorizedError) as caught:
            client.token()
        assert password not in str(caught.value)
    wait_until(lambda: answered(lines) == 1, what="the line of the one request")
    seconds.now_s += 5
    with pytest.raises(UnauthorizedError):
        client.token()
    wait_until(lambda: answered(lines) == 2, what="the line of the second request")
    client.close()


def test_service_that_is_away_is_told(seconds: Seconds) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    client = IdentityClient(url, "alice", "alice-pw", "red", clock_s=seconds)
    with pytest.raises(IdentityUnavailableError, match="cannot sign in: ConnectError"):
        client.token()
    client.close()


def test_one_comes_again_when_told_to_and_signs_in_then(local_site: Site, seconds: Seconds) -> None:
    for _ in range(10):
        local_site.sign_in("alice", password="wrong")
    waited: list[float] = []

    def wait(pause_s: float) -> None:
        waited.append(pause_s)
        seconds.now_s += pause_s
        local_site.seconds.now_s += pause_s

    client = client_of(local_site, seconds, wait=wait)
    assert local_site.is_good(client.token())
    assert 3 <= sum(waited) <= 20
    client.close()


def test_service_that_lets_one_wait_for_too_long_is_not_there_for_now(local_site: Site, seconds: Seconds) -> None:
    for _ in range(10):
        local_site.sign_in("alice", password="wrong")
    waited: list[float] = []

    def wait(pause_s: float) -> None:  # the service's clock stands still
        waited.append(pause_s)
        seconds.now_s += pause_s

    client = client_of(local_site, seconds, wait=wait)
    with pytest.raises(IdentityUnavailableError, match="the identity service answers 429"):
        client.token()
    assert 100 < sum(waited) < 120
    client.close()


def test_password_is_not_shown() -> None:
    client = IdentityClient("http://127.0.0.1:1", "alice", "alice-pw", "red")
    assert "alice-pw" not in repr(client)
    client.close()
