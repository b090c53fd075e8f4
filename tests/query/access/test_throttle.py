import pytest

from cloud.logs.query.access.errors import TooManyFailuresError
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
