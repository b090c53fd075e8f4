"""What interrupts questions that are over, whatever befalls the thread that does it."""

import threading

import duckdb
import pytest

from cloud.logs.query import limit
from cloud.logs.query.limit import Limit


@pytest.fixture(autouse=True)
def _watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has no thread yet."""
    monkeypatch.setattr(limit, "_WATCH", limit._Watch())


def test_a_thread_that_cannot_be_started_leaves_nothing_to_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    start, failing, calls = threading.Thread.start, [True], list[str]()

    def start_or_fail(thread: threading.Thread) -> None:
        if failing:
            failing.pop()
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_or_fail)
    with (
        pytest.raises(RuntimeError, match=r"^can't start new thread$"),
        Limit.after(0).guard(lambda: calls.append("of the question that failed")),
    ):
        calls.append("the question")
    interrupted = threading.Event()
    with Limit.after(0).guard(interrupted.set):
        assert interrupted.wait(10)
    assert calls == []


def test_what_cannot_be_interrupted_is_nothing_to_the_others() -> None:
    def fail() -> None:
        raise duckdb.ConnectionException("Connection Error: Connection already closed!")

    interrupted = threading.Event()
    with Limit.after(0).guard(fail), Limit.after(0).guard(interrupted.set):
        assert interrupted.wait(10)
        interrupted.clear()
        assert interrupted.wait(10)  # time and again
