"""The handler never holds or kills its service, keeps the order, and says what was lost."""

import errno
import gc
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from cloud.logs.emit import syslog
from cloud.logs.emit.cee import CeeFormatter
from cloud.logs.emit.syslog import SyslogHandler, SyslogStats
from tests.waiting import wait_until

AT_ONCE_S = 0.5  # far above what a call takes, far below any time-out


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="t-") as directory:
        yield Path(directory) / "log.sock"


class Peer:
    """What rsyslogd is to a handler: a socket at a path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(10)

    def read(self, number: int) -> list[bytes]:
        return [self.socket.recv(1 << 18) for _ in range(number)]

    def messages(self, number: int) -> list[str]:
        return [body(line)["message"] for line in self.read(number)]

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        self.path.unlink()


class Fake:
    """A transport that does as told: takes all, raises what `fault` is, or runs `meanwhile` while it sends."""

    def __init__(self, fault: Exception | None = None, meanwhile: Callable[[], None] | None = None) -> None:
        self.fault = fault
        self.meanwhile = meanwhile
        self.taken: list[bytes] = []
        self.is_closed = False

    def send(self, message: bytes) -> None:
        if self.meanwhile is not None:
            self.meanwhile()
        if self.fault is not None:
            raise self.fault
        self.taken.append(message)

    def wait(self, timeout_s: float) -> None:
        threading.Event().wait(min(timeout_s, 0.005))

    def close(self) -> None:
        self.is_closed = True


def body(line: bytes) -> dict[str, Any]:
    content = json.loads(line[line.index(b"@cee: ") + 6 :])
    assert isinstance(content, dict)
    return content


@pytest.fixture
def make() -> Iterator[Callable[..., SyslogHandler]]:
    made: list[SyslogHandler] = []

    def make(address: object = "unix:/nowhere", **options: Any) -> SyslogHandler:
        names: dict[str, Any] = {"facility": "local1", "app_name": "nova-compute", "hostname": "compute-01"}
        handler = SyslogHandler(str(address), **names, **options)
        handler.setFormatter(CeeFormatter())
        made.append(handler)
        return handler

    yield make
    for handler in made:
        handler.close()


@pytest.fixture(autouse=True)
def _short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syslog, "RETRY_S", 0.01)
    monkeypatch.setattr(syslog, "FLUSH_TIMEOUT_S", 0.1)
    monkeypatch.setattr(syslog, "CLOSE_TIMEOUT_S", 0.1)


def say(handler: SyslogHandler, message: str, **fields: object) -> None:
    """Log one line; it must not take long whatever the peer does."""
    record = logging.LogRecord("nova.compute", logging.INFO, "/src/x.py", 1, message, (), None)
    record.fields = fields
    started_s = time.monotonic()
    handler.handle(record)
    assert time.monotonic() - started_s < AT_ONCE_S


def test_line_leaves_within_the_call(path: Path, make: Callable[..., SyslogHandler]) -> None:
    with Peer(path) as peer:
        handler = make(f"unix:{path}")
        say(handler, "hello", event="instance.stop")
        peer.socket.setblocking(False)
        head, _, text = peer.socket.recv(9999).partition(b" - @cee: ")
        assert head.startswith(b"<142>1 ")
        assert head.endswith(f" compute-01 nova-compute {os.getpid()} instance.stop".encode())
        assert json.loads(text)["message"] == "hello"
        assert handler.stats() == SyslogStats(sent=1, queued=0, dropped=0)
        assert "syslog" not in {thread.name for thread in threading.enumerate()}


def test_event_of_a_plain_extra_is_the_msgid_and_odd_fields_are_none(make: Callable[..., SyslogHandler]) -> None:
    fake = Fake()
    handler = make(transport=fake)
    for extra in ({"event": "canary"}, {"fields": ["x"]}, {"fields": None}, {"fields": {"event": 7}}):
        record = logging.makeLogRecord({"name": "n", "msg": "m", "levelno": 20, "levelname": "INFO", **extra})
        handler.handle(record)
    assert [message.split(b" ")[5] for message in fake.taken] == [b"canary", b"-", b"-", b"-"]


def test_socket_missing_at_start_gets_all_lines_in_order_once_it_is_there(
    path: Path, make: Callable[..., SyslogHandler], capsys: pytest.CaptureFixture[str]
) -> None:
    handler = make(f"unix:{path}")
    for number in range(30):
        say(handler, f"line {number}")
    wait_until(lambda: "cannot reach" in capsys.readouterr().err, what="the word on stderr")
    with Peer(path) as peer:
        assert peer.messages(30) == [f"line {number}" for number in range(30)]
        back = body(peer.read(1)[0])
        assert (back["message"], back["level"], back["logger"]) == ("syslog is back", "WARNING", "nova.logs.emit")
        assert back["dropped"] == 0
        assert 0 <= back["away_s"] < 10
        assert back["address"] == f"unix:{path}"
        wait_until(lambda: handler.stats() == SyslogStats(31, 0, 0), what="the counters")
    assert "cannot reach" not in capsys.readouterr().err, "an outage is said once"


def test_receiver_that_does_not_read_holds_nobody_and_loses_only_what_the_queue_cannot_keep(
    path: Path, make: Callable[..., SyslogHandler]
) -> None:
    with Peer(path) as peer:
        handler = make(f"unix:{path}", queue_messages=50)
        for number in range(100):
            say(handler, f"line {number}")
        stats = handler.stats()
        assert stats.queued == 50
        assert stats.sent + stats.queued + stats.dropped == 100
        kept = 100 - stats.dropped
        assert peer.messages(kept) == [f"line {number}" for number in range(kept)]
        back = body(peer.read(1)[0])
        assert (back["message"], back["dropped"]) == ("syslog is back", stats.dropped)
        say(handler, "after")
        assert peer.messages(1) == ["after"]
        say(handler, "again")
        assert peer.messages(1) == ["again"], "the loss is told once"


def test_queue_is_bounded_in_bytes(make: Callable[..., SyslogHandler], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syslog, "QUEUE_BYTES", 10_000)
    fake = Fake(BlockingIOError())
    handler = make(transport=fake)
    for _ in range(20):
        say(handler, "x" * 1000)
    assert handler.stats().queued == 8
    assert handler.stats().dropped == 12
    fake.fault = None
    wait_until(lambda: handler.stats().queued == 0, what="an empty queue")
    fake.fault = BlockingIOError()
    for _ in range(20):
        say(handler, "x" * 1000)
    assert handler.stats().queued == 8, "the room came back with the lines that left"


def test_receiver_that_reads_loses_nothing_of_a_busy_service(path: Path, make: Callable[..., SyslogHandler]) -> None:
    with Peer(path) as peer:
        handler = make(f"unix:{path}", queue_messages=1000)
        got: list[bytes] = []
        reader = threading.Thread(target=lambda: got.extend(peer.read(5000)))
        reader.start()
        for number in range(5000):
            say(handler, str(number))
            if handler.stats().queued > 500:
                wait_until(lambda: handler.stats().queued < 100, what="a shorter queue")
        reader.join()
        assert handler.stats().dropped == 0
        assert [body(line)["message"] for line in got] == [str(number) for number in range(5000)]


def test_receiver_that_restarts_at_the_same_path_misses_nothing(path: Path, make: Callable[..., SyslogHandler]) -> None:
    handler = make(f"unix:{path}")
    with Peer(path) as peer:
        say(handler, "before")
        assert peer.messages(1) == ["before"]
    say(handler, "meanwhile")
    wait_until(lambda: handler._is_away, what="the outage")
    with Peer(path) as peer:
        assert peer.messages(2) == ["meanwhile", "syslog is back"]
        say(handler, "after")
        assert peer.messages(1) == ["after"]
    with Peer(path) as peer:  # so fast that the handler never saw it gone
        say(handler, "unnoticed")
        assert peer.messages(1) == ["unnoticed"]


def test_line_that_no_datagram_takes_is_dropped_and_told_and_the_next_ones_leave(
    make: Callable[..., SyslogHandler],
) -> None:
    fake = Fake(OSError(errno.EMSGSIZE, "Message too long"))
    handler = make(transport=fake)
    say(handler, "too long")
    fake.fault = None
    say(handler, "next")
    wait_until(lambda: len(fake.taken) == 2, what="both lines")
    assert [body(line)["message"] for line in fake.taken] == ["syslog is back", "next"]
    assert body(fake.taken[0])["dropped"] == 1
    assert handler.stats() == SyslogStats(sent=2, queued=0, dropped=1)


@pytest.mark.parametrize("fault", [OSError("x"), RuntimeError("x"), UnicodeError("x"), ConnectionResetError()])
def test_no_fault_of_a_transport_reaches_the_service_or_ends_the_sending(
    make: Callable[..., SyslogHandler], fault: Exception
) -> None:
    fake = Fake(fault)
    handler = make(transport=fake)
    say(handler, "one")
    say(handler, "two")
    wait_until(lambda: handler._is_away, what="the outage")
    fake.fault = None
    wait_until(lambda: len(fake.taken) == 3, what="the lines")
    assert [body(line)["message"] for line in fake.taken] == ["one", "two", "syslog is back"]


class BrokenStderr:
    def write(self, text: str) -> int:
        raise BrokenPipeError("nobody reads")

    flush = write


@pytest.mark.parametrize("stderr", [None, BrokenStderr()])
def test_stderr_that_is_closed_or_broken_kills_nobody(
    make: Callable[..., SyslogHandler], monkeypatch: pytest.MonkeyPatch, stderr: object
) -> None:
    monkeypatch.setattr(sys, "stderr", stderr)
    fake = Fake(OSError("gone"))
    handler = make(transport=fake)
    say(handler, "one")
    wait_until(lambda: handler._is_away, what="the outage")
    fake.fault = None
    wait_until(lambda: len(fake.taken) == 2, what="the line and the notice")


def test_stderr_that_blocks_holds_nobody(make: Callable[..., SyslogHandler], monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    class Stuck:
        def write(self, text: str) -> int:
            release.wait(10)
            return len(text)

        def flush(self) -> None:
            pass

    monkeypatch.setattr(sys, "stderr", Stuck())
    handler = make(transport=Fake(OSError("gone")))
    for _ in range(10):
        say(handler, "line")
        assert handler.stats().queued > 0
    release.set()


def test_line_that_cannot_be_rendered_is_reported_and_not_raised(
    make: Callable[..., SyslogHandler], capsys: pytest.CaptureFixture[str]
) -> None:
    handler = make(transport=Fake())
    handler.setFormatter(logging.Formatter("%(no_such)s"))
    say(handler, "x")
    assert "no_such" in capsys.readouterr().err


def test_no_thread_to_be_had_is_no_error_and_later_calls_send_what_waits(
    make: Callable[..., SyslogHandler], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    fake = Fake(BlockingIOError())
    handler = make(transport=fake)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        say(handler, "one")
        fake.fault = None
        say(handler, "two")
    assert [body(line)["message"] for line in fake.taken] == ["one", "two"]
    handler.close()


def test_two_threads_keep_their_own_order_while_the_peer_comes_and_goes(
    path: Path, make: Callable[..., SyslogHandler]
) -> None:
    handler = make(f"unix:{path}")

    def work(name: str) -> None:
        for number in range(200):
            say(handler, f"{name} {number}")

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    with Peer(path) as peer:
        got = peer.messages(400)
        for thread in threads:
            thread.join()
    got = [message for message in got if message != "syslog is back"]
    got += ["?"] * (400 - len(got))  # the line that says it was away may stand among them
    for name in "ab":
        mine = [message for message in got if message.startswith(name)]
        assert mine == [f"{name} {number}" for number in range(len(mine))]
        assert len(mine) >= 199


def test_closing_is_bounded_and_tells_what_is_lost(
    make: Callable[..., SyslogHandler], capsys: pytest.CaptureFixture[str]
) -> None:
    handler = make(transport=Fake(BlockingIOError()))
    say(handler, "one")
    say(handler, "two")
    started_s = time.monotonic()
    handler.flush()
    handler.close()
    assert time.monotonic() - started_s < 2
    assert handler.stats() == SyslogStats(sent=0, queued=0, dropped=2)
    assert "nova-compute: 2 lines could not be sent to unix:/nowhere before the end" in capsys.readouterr().err


def test_closing_sends_what_the_peer_still_takes(make: Callable[..., SyslogHandler]) -> None:
    fake = Fake(BlockingIOError())
    handler = make(transport=fake)
    for number in range(500):
        say(handler, str(number))
    fake.fault = None
    handler.close()
    assert [body(line)["message"] for line in fake.taken] == [str(number) for number in range(500)]
    assert handler.stats().dropped == 0
    assert fake.is_closed


def test_line_after_the_end_still_leaves_or_is_counted(make: Callable[..., SyslogHandler]) -> None:
    fake = Fake()
    handler = make(transport=fake)
    handler.close()
    say(handler, "late")
    fake.fault = BlockingIOError()
    say(handler, "too late")
    assert handler.stats() == SyslogStats(sent=1, queued=0, dropped=1)
    handler.close()


def test_flush_returns_when_all_is_out(make: Callable[..., SyslogHandler], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syslog, "FLUSH_TIMEOUT_S", 10.0)
    fake = Fake(BlockingIOError())
    handler = make(transport=fake)
    say(handler, "one")
    fake.fault = None
    handler.flush()
    assert len(fake.taken) == 1


def test_flush_does_not_wait_for_a_peer_that_is_not_there(
    path: Path, make: Callable[..., SyslogHandler], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syslog, "FLUSH_TIMEOUT_S", 10.0)
    handler = make(f"unix:{path}")
    say(handler, "one")
    started_s = time.monotonic()
    handler.flush()
    assert time.monotonic() - started_s < 2


def test_line_logged_while_sending_comes_after_it(make: Callable[..., SyslogHandler]) -> None:
    fake = Fake()
    handler = make(transport=fake)
    left = ["second", "first"]

    def meanwhile() -> None:
        if left:
            say(handler, left.pop())

    fake.meanwhile = meanwhile
    say(handler, "outer")
    wait_until(lambda: len(fake.taken) == 3, what="all lines")
    assert [body(line)["message"] for line in fake.taken] == ["outer", "first", "second"]


def test_transport_that_always_logs_does_not_recurse(make: Callable[..., SyslogHandler]) -> None:
    fake = Fake(OSError("down"))
    handler = make(transport=fake, queue_messages=20)
    fake.meanwhile = lambda: say(handler, "again")
    say(handler, "outer")
    wait_until(lambda: handler.stats().dropped > 0, what="a full queue")
    fake.meanwhile = None
    fake.fault = None
    wait_until(lambda: handler.stats().queued == 0, what="an empty queue")


def test_signal_that_logs_in_the_middle_of_sending_neither_blocks_nor_loses(
    make: Callable[..., SyslogHandler],
) -> None:
    fake = Fake()
    handler = make(transport=fake)

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        say(handler, "from the signal")

    previous = signal.signal(signal.SIGUSR1, on_signal)
    try:
        fake.meanwhile = lambda: os.kill(os.getpid(), signal.SIGUSR1) if not fake.taken else None
        say(handler, "interrupted")
        wait_until(lambda: len(fake.taken) >= 2, what="both lines")
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert body(fake.taken[0])["message"] == "interrupted"
    assert body(fake.taken[1])["message"] == "from the signal"


def test_destructor_that_logs_while_another_line_is_sent_blocks_nobody(make: Callable[..., SyslogHandler]) -> None:
    fake = Fake()
    handler = make(transport=fake)

    class Leaving:
        def __init__(self) -> None:
            self.me = self  # only the garbage collector finds it

        def __del__(self) -> None:
            say(handler, "from the destructor")

    def meanwhile() -> None:
        fake.meanwhile = None
        Leaving()
        gc.collect(0)  # it is young, and to look at all that is loaded takes its time

    fake.meanwhile = meanwhile
    say(handler, "outer")
    wait_until(lambda: len(fake.taken) == 2, what="both lines")


def test_value_that_locks_while_it_is_rendered_does_not_deadlock(make: Callable[..., SyslogHandler]) -> None:
    """One thread logs while it holds a lock, the other logs an object whose text needs that lock."""
    handler = make(transport=Fake())
    lock = threading.Lock()
    is_rendering = threading.Event()
    is_held = threading.Event()

    class Locked:
        def __str__(self) -> str:
            is_rendering.set()
            assert is_held.wait(10)
            with lock:
                return "text"

    def render() -> None:
        handler.handle(logging.LogRecord("n", 20, "x", 1, "%s", (Locked(),), None))

    def hold() -> None:
        with lock:
            is_held.set()
            assert is_rendering.wait(10)
            say(handler, "holding the lock")

    threads = [threading.Thread(target=target, daemon=True) for target in (render, hold)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)
    assert handler.stats().sent == 2


def test_filter_decides(make: Callable[..., SyslogHandler]) -> None:
    fake = Fake()
    handler = make(transport=fake)
    handler.addFilter(lambda record: record.getMessage() != "secret")
    say(handler, "secret")
    say(handler, "open")
    assert [body(line)["message"] for line in fake.taken] == ["open"]


def test_forked_child_sends_its_own_lines_and_none_of_its_parents(
    path: Path, make: Callable[..., SyslogHandler]
) -> None:
    handler = make(f"unix:{path}")
    say(handler, "parent before")
    wait_until(lambda: handler._is_away, what="the outage")
    with Peer(path) as peer:
        child = os.fork()
        if child == 0:
            try:
                handler.flush()
                say(handler, "child")
                handler.close()
            finally:
                os._exit(0 if handler.stats() == SyslogStats(1, 0, 0) else 1)
        assert os.waitpid(child, 0)[1] == 0
        got = {body(line)["message"]: line for line in peer.read(3)}
        assert got.keys() == {"parent before", "syslog is back", "child"}
        assert f" {child} ".encode() in got["child"]
        say(handler, "parent after")
        assert peer.messages(1) == ["parent after"]


def test_fork_while_another_thread_is_sending_does_not_lock_the_child(make: Callable[..., SyslogHandler]) -> None:
    is_sending = threading.Event()
    release = threading.Event()

    def meanwhile() -> None:
        if threading.current_thread() is thread:
            is_sending.set()
            release.wait(10)

    handler = make(transport=Fake(meanwhile=meanwhile))
    thread = threading.Thread(target=lambda: handler.handle(logging.makeLogRecord({"msg": "held", "levelno": 20})))
    thread.start()
    assert is_sending.wait(10)
    child = os.fork()
    if child == 0:
        signal.alarm(5)  # ends a child that is locked
        say(handler, "child")
        os._exit(0 if handler.stats().sent == 1 else 1)
    release.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0


def test_tcp_lines_wait_for_the_connection_and_come_in_order(make: Callable[..., SyslogHandler]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        handler = make(f"tcp://127.0.0.1:{server.getsockname()[1]}")
        for number in range(200):
            say(handler, f"line {number}")
        connection, _ = server.accept()
        connection.settimeout(10)
        with connection:
            assert tcp_messages(connection, 200) == [f"line {number}" for number in range(200)]
            wait_until(lambda: handler.stats() == SyslogStats(200, 0, 0), what="the counters")


def test_tcp_collector_away_and_back_gets_the_lines_and_the_notice(make: Callable[..., SyslogHandler]) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    server.close()
    handler = make(f"tcp://127.0.0.1:{port}")
    for number in range(50):
        say(handler, f"line {number}")
    wait_until(lambda: handler._is_away, what="the outage")
    with socket.create_server(("127.0.0.1", port)) as server:
        server.settimeout(10)
        connection, _ = server.accept()
        connection.settimeout(10)
        with connection:
            assert tcp_messages(connection, 51) == [*(f"line {number}" for number in range(50)), "syslog is back"]


def test_tcp_collector_that_reads_nothing_holds_nobody(make: Callable[..., SyslogHandler]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        handler = make(f"tcp://127.0.0.1:{server.getsockname()[1]}", queue_messages=20)
        text = "x" * 100_000
        while handler.stats().dropped < 3:
            say(handler, text)
        connection, _ = server.accept()
        connection.settimeout(10)
        with connection:
            sent = handler.stats().sent + handler.stats().queued
            # Once it can send again the handler says so, somewhere among what waits.
            assert [message for message in tcp_messages(connection, sent) if message != BACK] in (
                [text] * sent,
                [text] * (sent - 1),
            )


BACK = "syslog is back"


def tcp_messages(connection: socket.socket, number: int) -> list[str]:
    got: list[str] = []
    with connection.makefile("rb") as stream:
        while len(got) < number:
            size = b""
            while not size.endswith(b" "):
                size += stream.read(1)
            got.append(body(stream.read(int(size)))["message"])
    return got


LATE = """
import atexit, logging, sys, threading
def late():
    log.info("at exit")
class Last:
    def __del__(self, log=logging.getLogger("nova")):
        log.info("from the last destructor")
atexit.register(late)
from cloud.logs.emit.syslog import SyslogHandler
handler = SyslogHandler(sys.argv[1], facility="local1", app_name="nova-compute", hostname="h")
handler.setFormatter(logging.Formatter("%(message)s"))
log = logging.getLogger("nova")
log.addHandler(handler)
log.setLevel(logging.INFO)
last = Last()
threading.Thread(target=lambda: log.info("from a thread")).start()
log.info("at work")
"""


@pytest.mark.parametrize("is_there", [True, False])
def test_handler_used_at_the_interpreters_exit_neither_hangs_nor_fails(path: Path, is_there: bool) -> None:
    peer = Peer(path) if is_there else None
    started_s = time.monotonic()
    run = subprocess.run(
        [sys.executable, "-c", LATE, f"unix:{path}"], capture_output=True, text=True, timeout=20, check=False
    )
    assert run.returncode == 0
    assert time.monotonic() - started_s < 6
    assert "Traceback" not in run.stderr
    if peer is None:
        assert "lines could not be sent" in run.stderr
    else:
        with peer:
            texts = {line.rpartition(b" - ")[2].decode() for line in peer.read(3)}
            assert {"at work", "from a thread", "at exit"} <= texts | {"from the last destructor"}
            assert run.stderr == ""
