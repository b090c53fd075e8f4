"""Password hashes: argon2id, of the same cost whether there is such a user or not, so many at a time."""

import threading

import pytest
from argon2 import PasswordHasher

from cloud.services.identity.passwords import MAX_REMEMBERED, REMEMBERED_S, Passwords
from cloud.services.identity.throttle import ThrottledError
from tests.identity.site import CHEAP
from tests.waiting import wait_until


class Counting(PasswordHasher):
    """Counts what is verified; each waits until it is let go."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.running = 0
        self.verified: list[str] = []
        self.goes_on = threading.Event()
        self.goes_on.set()
        self._lock = threading.Lock()

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # type: ignore[override] # noqa: A002 - theirs
        with self._lock:
            self.running += 1
            self.verified.append(str(hash))
        try:
            assert self.goes_on.wait(20)
            return super().verify(hash, password)
        finally:
            with self._lock:
                self.running -= 1


def test_hash_is_of_argon2id_with_the_parameters_of_rfc_9106() -> None:
    assert Passwords(1).hash("swordfish").startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_right_password_matches_and_no_other_one() -> None:
    passwords = Passwords(1, CHEAP)
    kept = passwords.hash("swordfish")
    assert passwords.matches(kept, "swordfish")
    assert not passwords.matches(kept, "Swordfish")
    assert not passwords.matches("not a hash", "swordfish")
    assert kept != passwords.hash("swordfish")


def test_nobodys_password_takes_one_check_too_and_never_matches() -> None:
    hasher = Counting()
    passwords = Passwords(1, hasher)
    assert not passwords.matches(None, "swordfish")
    assert not passwords.matches(None, "")
    assert len(hasher.verified) == 2
    assert hasher.verified[0].split("$")[1:4] == passwords.hash("x").split("$")[1:4]


def test_right_password_is_checked_once_in_a_while_and_a_wrong_one_each_time() -> None:
    hasher, now_s = Counting(), [100.0]
    passwords = Passwords(1, hasher, clock_s=lambda: now_s[0])
    kept, changed = passwords.hash("swordfish"), passwords.hash("goldfish")
    assert [passwords.matches(kept, "swordfish") for _ in range(3)] == [True] * 3
    assert hasher.verified == [kept]
    assert [passwords.matches(kept, "Swordfish") for _ in range(3)] == [False] * 3
    assert [passwords.matches(None, "swordfish") for _ in range(2)] == [False] * 2
    assert not passwords.matches(changed, "swordfish")
    assert len(hasher.verified) == 7
    now_s[0] += REMEMBERED_S
    assert passwords.matches(kept, "swordfish")
    assert len(hasher.verified) == 8


def test_no_more_than_a_bounded_number_of_right_passwords_is_remembered() -> None:
    hasher = Counting()
    passwords = Passwords(1, hasher)
    kept = {word: passwords.hash(word) for word in map(str, range(MAX_REMEMBERED + 1))}
    for word, password_hash in kept.items():
        assert passwords.matches(password_hash, word)
    assert passwords.matches(kept["1"], "1")
    assert len(hasher.verified) == MAX_REMEMBERED + 1
    assert passwords.matches(kept["0"], "0")
    assert len(hasher.verified) == MAX_REMEMBERED + 2


def test_only_so_many_are_checked_at_a_time_and_the_next_one_is_told_to_come_again() -> None:
    hasher = Counting()
    passwords = Passwords(2, hasher, wait_s=0.05)
    kept = passwords.hash("swordfish")
    hasher.goes_on.clear()
    threads = [threading.Thread(target=passwords.matches, args=(kept, "swordfish")) for _ in range(2)]
    try:
        for thread in threads:
            thread.start()
        wait_until(lambda: hasher.running == 2, what="two checks")
        with pytest.raises(ThrottledError) as caught:
            passwords.matches(kept, "swordfish")
        with pytest.raises(ThrottledError):
            passwords.hash("other")
        assert caught.value.retry_after_s == 5
        assert hasher.running == 2
    finally:
        hasher.goes_on.set()
        for thread in threads:
            thread.join()
    assert passwords.matches(kept, "swordfish")
