"""In a process that runs several services each line bears the name of the one that says it, and is counted for it."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from cloud.logs.emit.cee import CeeFormatter
from cloud.logs.emit.counts import LineCounts, Outcome
from cloud.logs.emit.last_word import lines_so_far
from cloud.logs.emit.speaker import Speaker, current_speaker, in_same_voice, speaking_as
from cloud.logs.emit.syslog import SyslogHandler

ONE, OTHER = Speaker("compute-01", "nova-compute", "local1"), Speaker("compute-02", "nova-network", "local3")


class Pipe:
    """A transport that takes so many lines, and no line that has `too long` in it."""

    def __init__(self, room: int = 1000) -> None:
        self.room = room
        self.taken: list[bytes] = []

    def send(self, message: bytes) -> None:
        if b"too long" in message:
            raise OSError(90, "Message too long")
        if len(self.taken) >= self.room:
            raise BlockingIOError("full")
        self.taken.append(message)

    def wait(self, timeout_s: float) -> None:
        threading.Event().wait(min(timeout_s, 0.005))

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def pipe() -> Pipe:
    return Pipe()


@pytest.fixture
def handler(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> Iterator[SyslogHandler]:
    """The handler of all of nova's lines."""
    monkeypatch.setattr("cloud.logs.emit.syslog.CLOSE_TIMEOUT_S", 0.1)
    handler = SyslogHandler(
        "unix:/nowhere", facility="local7", app_name="hosts", hostname="here", queue_messages=5, transport=pipe
    )
    handler.setFormatter(CeeFormatter())
    nova = logging.getLogger("nova")
    monkeypatch.setattr(nova, "handlers", [handler])
    monkeypatch.setattr(nova, "level", logging.INFO)
    yield handler
    handler.close()


def say(text: str) -> None:
    logging.getLogger("nova.test").info(text)


def said(line: bytes) -> tuple[str, str, str, str]:
    """PRI, host and service of a line, and what it says."""
    priority, _, host, service, *_ = line.decode().split(" ")
    return priority, host, service, json.loads(line[line.index(b"{") :])["message"]


def test_line_bears_whom_its_thread_speaks_for(pipe: Pipe, handler: SyslogHandler) -> None:
    say("of the process")
    with speaking_as(ONE):
        say("of one")
        with speaking_as(OTHER):
            say("of the other")
        say("of one again")
    assert [said(line) for line in pipe.taken] == [
        ("<190>1", "here", "hosts", "of the process"),
        ("<142>1", "compute-01", "nova-compute", "of one"),
        ("<158>1", "compute-02", "nova-network", "of the other"),
        ("<142>1", "compute-01", "nova-compute", "of one again"),
    ]


def test_thread_speaks_for_whom_its_maker_spoke_for_and_no_other_does() -> None:
    heard: list[Speaker | None] = []

    def hear() -> None:
        heard.append(current_speaker())

    with speaking_as(ONE):
        threads = [threading.Thread(target=target) for target in (in_same_voice(hear), hear)]
    for thread in threads:
        thread.start()
        thread.join()
    assert heard == [ONE, None]


def test_pool_speaks_for_whom_its_maker_spoke_for() -> None:
    with speaking_as(ONE):
        pool = ThreadPoolExecutor(2, initializer=in_same_voice(lambda: None))
    with pool, speaking_as(OTHER):
        assert list(pool.map(lambda _: current_speaker(), range(4))) == [ONE] * 4


def test_in_same_voice_hands_on_arguments_and_result() -> None:
    def add(first: int, *, second: int) -> int:
        return first + second

    assert in_same_voice(add)(1, second=2) == 3


def test_each_is_told_of_its_own_lines(handler: SyslogHandler) -> None:
    with speaking_as(ONE):
        for _ in range(3):
            say("hello")
    with speaking_as(OTHER):
        say("hello")
        assert lines_so_far() == {"lines": 1, "lines_dropped": {}}
    with speaking_as(ONE):
        assert lines_so_far() == {"lines": 3, "lines_dropped": {}}
    assert lines_so_far() == {"lines": 0, "lines_dropped": {}}


def test_lines_that_wait_count_and_those_that_are_dropped_say_why(pipe: Pipe, handler: SyslogHandler) -> None:
    with speaking_as(OTHER):
        pipe.room = 0  # before the line that is lost: what tells of it waits as well
        say("too long")
        say("waits")
    with speaking_as(ONE):
        for _ in range(5):
            say("waits, or not")
        assert lines_so_far() == {"lines": 3, "lines_dropped": {"queue_full": 2}}
        handler.close()
        assert lines_so_far() == {"lines": 0, "lines_dropped": {"queue_full": 2, "not_sent": 3}}
    with speaking_as(OTHER):
        assert lines_so_far() == {"lines": 0, "lines_dropped": {"too_long": 1, "not_sent": 2}}  # and that one was lost


def test_counts_can_be_kept_in_memory_of_others(pipe: Pipe) -> None:
    cells = [0] * len(Outcome)
    make_counts: Callable[[Speaker | None], LineCounts] = lambda _speaker: LineCounts(cells)  # noqa: E731
    handler = SyslogHandler(
        "unix:/nowhere", facility="local1", app_name="a", hostname="h", transport=pipe, make_counts=make_counts
    )
    handler.handle(logging.makeLogRecord({"msg": "hello", "levelno": 20}))
    handler.handle(logging.makeLogRecord({"msg": "too long", "levelno": 20}))
    assert cells == [1, 0, 1, 0]
    handler.close()


def test_service_without_syslog_has_no_lines_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (None, "nova"):
        monkeypatch.setattr(logging.getLogger(name), "handlers", [])
    assert lines_so_far() == {"lines": 0, "lines_dropped": {}}
