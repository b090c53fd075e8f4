"""One at a time for each key, and no key that nobody needs."""

import threading

import pytest

from cloud.errors import ComputeError
from cloud.services.compute.locks import KeyLocks


def test_a_second_one_gets_in_when_the_first_is_out() -> None:
    locks = KeyLocks(wait_s=10)
    order: list[str] = []
    is_in, goes_out = threading.Event(), threading.Event()

    def first() -> None:
        with locks.hold("a"):
            is_in.set()
            assert goes_out.wait(10)
            order.append("first")

    def second() -> None:
        assert is_in.wait(10)
        goes_out.set()
        with locks.hold("a"):
            order.append("second")

    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert order == ["first", "second"]
    assert not locks.is_held("a")


def test_other_keys_do_not_wait() -> None:
    locks = KeyLocks(wait_s=0)
    with locks.hold("a"), locks.hold("b"):
        assert locks.is_held("a")
        assert locks.is_held("b")
    assert not locks.is_held("a")
    assert not locks.is_held("b")


def test_who_waits_too_long_is_told_so_and_leaves_no_trace() -> None:
    locks = KeyLocks(wait_s=0)
    with locks.hold("a"):
        waiting = threading.Thread(target=lambda: refused.append(wait(locks)))
        refused: list[str] = []
        waiting.start()
        waiting.join(10)
    assert refused == ["cannot work on a: others have been at it for 0 s"]
    assert not locks.is_held("a")


def wait(locks: KeyLocks) -> str:
    with pytest.raises(ComputeError) as raised, locks.hold("a"):
        pass
    return str(raised.value)


def test_an_error_lets_go() -> None:
    locks = KeyLocks(wait_s=0)
    with pytest.raises(RuntimeError), locks.hold("a"):
        raise RuntimeError
    with locks.hold("a"):
        pass
