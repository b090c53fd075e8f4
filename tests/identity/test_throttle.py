"""Wrong guesses: counted by user and by address, forgiven with time, in bounded memory."""

import pytest

from cloud.services.identity.throttle import Allowance, Allowances, Throttle, ThrottledError, peer_network
from tests.identity.site import Seconds

ALLOWANCES = Allowances(user=Allowance(3, 10.0), known=Allowance(2, 10.0), peer=Allowance(5, 1.0))


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def throttle(seconds: Seconds) -> Throttle:
    return Throttle(ALLOWANCES, clock_s=seconds)


def guesses(throttle: Throttle, user: str, peer: str, most: int = 100) -> int:
    """How many wrong guesses get through."""
    for number in range(most):
        try:
            throttle.check(user, peer)
        except ThrottledError:
            return number
        throttle.failed(user, peer)
    return most


def wait_of(throttle: Throttle, user: str, peer: str) -> int:
    with pytest.raises(ThrottledError) as caught:
        throttle.check(user, peer)
    assert str(caught.value) == f"too many wrong passwords; try again in {caught.value.retry_after_s} s"
    return caught.value.retry_after_s


def test_user_may_be_guessed_so_often_and_then_once_every_while(throttle: Throttle, seconds: Seconds) -> None:
    assert guesses(throttle, "alice", "192.0.2.1") == 3
    assert wait_of(throttle, "alice", "192.0.2.1") == 10
    seconds.now_s += 9.5
    assert wait_of(throttle, "alice", "192.0.2.1") == 1
    seconds.now_s += 0.5
    assert guesses(throttle, "alice", "192.0.2.1") == 1
    seconds.now_s += 1000
    assert guesses(throttle, "alice", "192.0.2.1") == 3


def test_user_is_guarded_from_all_addresses_together(throttle: Throttle) -> None:
    assert guesses(throttle, "alice", "192.0.2.1", most=2) == 2
    assert guesses(throttle, "alice", "192.0.2.2") == 1
    throttle.check("bob", "192.0.2.2")


def test_address_may_guess_so_often_whoever_the_users(throttle: Throttle, seconds: Seconds) -> None:
    assert [guesses(throttle, f"user{number}", "192.0.2.1") for number in range(3)] == [3, 2, 0]
    assert wait_of(throttle, "carol", "192.0.2.1") == 1
    throttle.check("carol", "192.0.2.2")
    seconds.now_s += 1
    throttle.check("carol", "192.0.2.1")


def test_right_password_forgives_the_user_and_not_the_address(throttle: Throttle) -> None:
    assert guesses(throttle, "alice", "192.0.2.1", most=2) == 2
    throttle.succeeded("alice", "192.0.2.1")
    assert guesses(throttle, "alice", "192.0.2.1") == 2  # as one who is known there
    throttle.succeeded("alice", "192.0.2.1")
    assert guesses(throttle, "alice", "192.0.2.1") == 1  # the fifth from this address


def test_stranger_does_not_lock_out_a_user_who_has_signed_in_from_elsewhere(throttle: Throttle) -> None:
    throttle.succeeded("alice", "192.0.2.1")
    assert guesses(throttle, "alice", "203.0.113.9") == 3
    throttle.check("alice", "192.0.2.1")
    throttle.succeeded("alice", "192.0.2.1")
    wait_of(throttle, "alice", "203.0.113.9")


def test_guesses_that_overtook_the_check_do_not_lengthen_the_wait_beyond_the_allowance(throttle: Throttle) -> None:
    for _ in range(50):
        throttle.failed("alice", "192.0.2.1")
    assert wait_of(throttle, "alice", "192.0.2.7") == 10


def test_memory_is_bounded_and_who_guesses_most_is_remembered(seconds: Seconds) -> None:
    throttle = Throttle(ALLOWANCES, clock_s=seconds, max_buckets=100)
    for number in range(1000):
        throttle.failed(f"user{number}", f"2001:db8:{number:x}::1")
        throttle.failed("alice", "192.0.2.1")
        throttle.succeeded(f"other{number}", f"2001:db8:{number:x}::2")
    buckets = (throttle._users, throttle._known, throttle._peers)
    assert [len(kept._full_at_s) for kept in buckets] == [100, 0, 100]
    assert len(throttle._signed_in) == 100
    wait_of(throttle, "alice", "192.0.2.1")


def test_buckets_that_are_full_again_are_dropped(throttle: Throttle, seconds: Seconds) -> None:
    for number in range(50):
        throttle.failed(f"user{number}", f"192.0.2.{number}")
    seconds.now_s += 1000
    throttle.failed("alice", "192.0.2.200")
    assert (len(throttle._users._full_at_s), len(throttle._peers._full_at_s)) == (1, 1)


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::1", "::/64"),
        ("-", "-"),
        ("", ""),
    ],
)
def test_one_address_is_what_one_host_has(peer: str, network: str) -> None:
    assert peer_network(peer) == network
