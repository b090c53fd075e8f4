import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from cloud.logs.query.access.access import Access, Shown, Ways
from cloud.logs.query.access.errors import (
    AccessUnavailableError,
    ForbiddenError,
    TooManyFailuresError,
    UnknownCallerError,
)
from cloud.logs.query.access.identity import Identity, IdentityUser
from cloud.logs.query.access.throttle import BURST, Throttle, network_of


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def throttle(clock: Clock) -> Throttle:
    return Throttle(clock, max_peers=100)


def fail(throttle: Throttle, peer: str, times: int) -> None:
    for _ in range(times):
        throttle.check(peer)
        throttle.failed(peer)


def test_an_address_fails_so_often_and_then_once_in_three_seconds(throttle: Throttle, clock: Clock) -> None:
    fail(throttle, "192.0.2.7", BURST)
    with pytest.raises(
        TooManyFailuresError, match=r"too many wrong keys from 192\.0\.2\.7: try again in 3 s"
    ) as caught:
        throttle.check("192.0.2.7")
    assert caught.value.headers == {"Retry-After": "3"}
    throttle.check("192.0.2.8")
    clock.now_s += 3
    fail(throttle, "192.0.2.7", 1)
    assert throttle.is_exhausted("192.0.2.7")
    clock.now_s += 3 * BURST
    fail(throttle, "192.0.2.7", BURST)


def test_failures_that_overtook_the_check_cost_no_more(throttle: Throttle, clock: Clock) -> None:
    for _ in range(10 * BURST):
        throttle.failed("192.0.2.7")
    clock.now_s += 3
    throttle.check("192.0.2.7")


def test_only_so_many_addresses_are_remembered(throttle: Throttle) -> None:
    fail(throttle, "192.0.2.7", BURST)
    for number in range(100):
        throttle.failed(f"198.51.100.{number}")
    assert len(throttle._full_at_s) == 100
    throttle.check("192.0.2.7")


def test_addresses_whose_failures_are_long_ago_are_forgotten(throttle: Throttle, clock: Clock) -> None:
    for number in range(50):
        throttle.failed(f"198.51.100.{number}")
    clock.now_s += 1000
    throttle.failed("192.0.2.7")
    assert list(throttle._full_at_s) == ["192.0.2.7"]


def test_what_was_counted_beforehand_is_given_back(throttle: Throttle, clock: Clock) -> None:
    for _ in range(BURST):
        throttle.failed("192.0.2.7")
    throttle.give_back("192.0.2.7")
    fail(throttle, "192.0.2.7", 1)
    assert throttle.is_exhausted("192.0.2.7")
    throttle.give_back("192.0.2.8")
    assert not throttle.is_exhausted("192.0.2.8")
    clock.now_s += 1000
    throttle.failed("192.0.2.9")
    assert list(throttle._full_at_s) == ["192.0.2.9"]


class Slow:
    """An identity service that knows the tokens that begin with a word of its own."""

    def __init__(self) -> None:
        self.asked = 0

    async def user(self, token: str) -> IdentityUser:
        self.asked += 1
        await asyncio.sleep(0.05)
        if token.startswith("away"):
            raise AccessUnavailableError("no answer")
        if not token.startswith(("good", "nowhere")):
            raise UnknownCallerError("nobody's")
        return IdentityUser("alice", "red" if token.startswith("good") else None, ["admin"])

    async def sign_in(self, user: str, password: str, project: str) -> str:
        raise UnknownCallerError("nobody's")

    async def close(self) -> None: ...


def asked(tmp_path: Path, tokens: Sequence[str]) -> tuple[Counter[str], int]:
    """What came of as many requests at once from one address, and how often the identity service was asked."""
    service = Slow()

    async def together() -> list[object]:
        access = Access(Ways(tmp_path, "key", Identity(service, {})))
        found: list[object] = []
        found += await asyncio.gather(
            *(access.identify(Shown(token), "192.0.2.7") for token in tokens), return_exceptions=True
        )
        return found

    return Counter(type(each).__name__ for each in asyncio.run(together())), service.asked


def test_many_wrong_tokens_at_once_are_no_more_guesses(tmp_path: Path) -> None:
    found, asked_times = asked(tmp_path, [f"wrong{number}" for number in range(200)])
    assert found == {"UnknownCallerError": BURST, "TooManyFailuresError": 200 - BURST}
    assert asked_times == BURST


@pytest.mark.parametrize("token", ["good", "nowhere", "away"])
def test_what_is_no_wrong_token_is_no_failure(tmp_path: Path, token: str) -> None:
    async def one_by_one() -> bool:
        access = Access(Ways(tmp_path, "key", Identity(Slow(), {})))
        for number in range(2 * BURST):
            with suppress(ForbiddenError, AccessUnavailableError):
                await access.identify(Shown(f"{token}{number}"), "192.0.2.7")
        return bool(access.throttle._wait_s("192.0.2.7"))

    assert asyncio.run(one_by_one()) is False


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("-", "-"),
    ],
)
def test_a_host_is_one_address_whatever_it_calls_itself(peer: str, network: str) -> None:
    assert network_of(peer) == network
