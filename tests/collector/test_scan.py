"""What is found in place is what the readable framers find, however the bytes are cut."""

import itertools
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cloud.logs.collector.batch import MAX_MESSAGES, Batch, Source
from cloud.logs.collector.framing import Framer, Framing
from cloud.logs.collector.inbox import Inbox
from cloud.logs.collector.metrics import Metrics
from cloud.logs.collector.receivers.intake import Intake, Views
from cloud.logs.collector.receivers.relp import Ledger, RelpFrames, RelpSession
from cloud.logs.collector.receivers.relp_framing import RelpError, RelpFramer
from cloud.logs.collector.receivers.scan import INCOMPLETE, Scanned, load_scans, scan_counted, scan_lines, scan_relp
from cloud.logs.collector.receivers.stream import Frames, Progress, Stream, SyslogFrames
from tests.collector.receiving import RELP_OPEN, messages_in

MAX_BYTES = 64


class Chunks:
    """A connection that brings `chunks`, one a read, and ends."""

    may_hold_more = False

    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = [chunk for chunk in chunks if chunk]

    def fileno(self) -> int:
        return -1

    def receive_into(self, room: memoryview) -> int:
        if not self._chunks:
            return 0
        chunk, self._chunks[0] = self._chunks[0][: len(room)], self._chunks[0][len(room) :]
        if not self._chunks[0]:
            del self._chunks[0]
        room[: len(chunk)] = chunk
        return len(chunk)

    def send(self, data: bytes | bytearray | memoryview) -> int:
        return len(data)

    def close(self) -> None:
        pass


class Reading:
    """A stream with an inbox of its own, whose batches are taken as they come."""

    def __init__(self, batch_bytes: int = 1 << 18) -> None:
        self.inbox = Inbox(2, batch_bytes)
        self.metrics = Metrics()
        self.intake = Intake(self.inbox, self.metrics, lambda: 7)
        self.found: list[tuple[bytes, bool]] = []

    def read(self, frames: Frames, chunks: list[bytes]) -> list[tuple[bytes, bool]]:
        """All messages of a connection, and whether each is truncated."""
        stream, transport = Stream(frames, Source("x"), self.intake), Chunks(chunks)
        turns = 0
        while (progress := stream.read(transport)) is not Progress.ENDED:
            turns += 1
            assert turns < 100_000, "it makes no headway"
            if progress is Progress.NO_ROOM:
                self.take()
        while not stream.close():
            self.take()
        self.take()
        return self.found

    def take(self) -> None:
        while batch := self.inbox.take(0):
            check_offsets(batch)
            self.found += [(each.payload, each.is_truncated) for each in messages_in(batch)]
            self.inbox.give_back(batch)


def check_offsets(batch: Batch) -> None:
    edges = [edge for pair in zip(batch.starts[: batch.count], batch.ends[: batch.count], strict=True) for edge in pair]
    assert edges == sorted(edges)
    assert not edges or edges[-1] <= batch.used


load_scans()  # a first example would take seconds
READING = Reading()  # one for all examples: making its arrays costs more than an example


def scanned(chunks: list[bytes], framing: Framing = "auto") -> tuple[list[tuple[bytes, bool]], float]:
    """Messages, and how many counts were none."""
    READING.found = []
    before = bad_counts()
    return READING.read(SyslogFrames(MAX_BYTES, framing), chunks), bad_counts() - before


def bad_counts() -> float:
    name, labels = "cloudlog_framing_failures_total", {"reason": "octet_count"}
    return READING.metrics.registry.get_sample_value(name, labels) or 0.0


def framed(chunks: list[bytes], framing: Framing = "auto") -> tuple[list[tuple[bytes, bool]], int]:
    framer = Framer(MAX_BYTES, framing)
    messages = [*itertools.chain.from_iterable(map(framer.feed, chunks)), *framer.close()]
    return [(each.payload, each.is_truncated) for each in messages], framer.take_bad_counts()


def cut(stream: bytes, seed: int) -> list[bytes]:
    """Up to twelve chunks."""
    chooser = random.Random(seed)  # noqa: S311 - a choice of tests
    places = sorted(chooser.randint(0, len(stream)) for _ in range(chooser.randint(0, 11)))
    return [stream[start:end] for start, end in itertools.pairwise([0, *places, len(stream)])]


def counted(message: bytes) -> bytes:
    return b"%d %s" % (len(message), message)


TEXT = st.binary(max_size=90)
MESSAGES = st.builds(lambda pri, text: b"<%d>%s" % (pri, text), st.integers(0, 191), TEXT)
LINES = MESSAGES.map(lambda message: message.translate(None, b"\n") + b"\n")
ENDS = st.sampled_from([b"", b"\n", b"\r\n", b"\0", b"\n\0\n"])
COUNTED = st.builds(lambda message, end: counted(message) + end, MESSAGES, ENDS)
JUNK = st.sampled_from(
    [b"0", b"07 <1>", b"12345678901 <1>", b"\n\n\r\n\0", b"<", b"9", b" ", b"x\n", b"9 9 <", b"5 <1>"]
)
FRAMINGS: list[Framing] = ["auto", "octet-counted", "lf", "nul"]


@given(st.lists(st.one_of(COUNTED, COUNTED, COUNTED, JUNK)), st.integers(), st.sampled_from(FRAMINGS))
@example([b"7 <13>one", b"0", b"7 <13>two"], 0, "octet-counted")
@example([counted(b"<13>" + b"x" * 60), counted(b"<13>" + b"x" * 61), counted(b"<13>end")], 0, "auto")
def test_counted_streams_with_junk_in_them(pieces: list[bytes], seed: int, framing: Framing) -> None:
    chunks = cut(b"".join([b"6 <13>hi", *pieces]), seed)
    assert scanned(chunks, framing) == framed(chunks, framing)


@given(st.lists(st.one_of(LINES, LINES, LINES, JUNK)), st.integers(), st.sampled_from(FRAMINGS))
@example([b"<1>" + b"x" * 64 + b"\r\n", b"<1>" + b"x" * 61 + b"\n", b"<1>" + b"x" * 60 + b"\r\n"], 0, "lf")
def test_lines_with_junk_in_them(pieces: list[bytes], seed: int, framing: Framing) -> None:
    chunks = cut(b"".join([b"<13>a\n<13>b\n", *pieces]), seed)
    assert scanned(chunks, framing) == framed(chunks, framing)


@given(st.lists(st.sampled_from([b"\n", b"\r", b"\0", b"x", b"<13>", b"12345678", b" "]), max_size=60), st.integers())
def test_every_place_of_a_newline_in_a_word_is_seen(pieces: list[bytes], seed: int) -> None:
    chunks = cut(b"".join(pieces), seed)
    assert scanned(chunks, "lf") == framed(chunks, "lf")


RELP_COMMANDS = st.one_of(
    TEXT.map(lambda text: b"syslog %d %s\n" % (len(text), text) if text else b"syslog 0\n"),
    TEXT.map(lambda text: b"syslog %d %s\n" % (len(text), text) if text else b"syslog 0\n"),
    TEXT.map(lambda text: b"syslog %d %s\n" % (len(text), text) if text else b"syslog 0 \n"),
    st.sampled_from(
        [b"close 0\n", b"hello 2 ab\n", b"syslog 3 abcd\n", b"syslog 03 abc\n", b"syslog x\n", b"open 1 x\n"]
    ),
)


def relp_scanned(chunks: list[bytes]) -> tuple[list[bytes], bytes, str]:
    """Messages, the answers once all are durable, and why it broke, if so."""
    READING.found = []
    ledger = Ledger(lambda: None)
    session = RelpSession(ledger, lambda: None)
    stream, transport = Stream(RelpFrames(MAX_BYTES, session), Source("x"), READING.intake), Chunks(chunks)
    reason = ""
    try:
        while session.may_read and stream.read(transport) is not Progress.ENDED:
            pass
    except RelpError as error:
        reason = error.reason
    while stream.is_waiting and READING.intake.room(1) is None:
        READING.take()
    while batch := READING.inbox.take(0):
        READING.found += [(each.payload, each.is_truncated) for each in messages_in(batch)]
        for tell in batch.on_commit:
            tell()
        READING.inbox.give_back(batch)
    for account in ledger.take_due():
        session.answer(account)
    assert ledger.open_accounts == 0
    assert session.unanswered == 0
    return [payload for payload, _ in READING.found], bytes(session.output), reason


def relp_framed(chunks: list[bytes]) -> tuple[list[bytes], list[int], str]:
    framer, messages, numbers, is_open = RelpFramer(MAX_BYTES), list[bytes](), list[int](), False
    try:
        for frame in itertools.chain.from_iterable(map(framer.feed, chunks)):
            if frame.command == "syslog":
                numbers.append(frame.txnr)
                if frame.message.payload:
                    messages.append(frame.message.payload)
            elif frame.command == "close":
                return messages, numbers, ""
            elif frame.command != "open":
                return messages, numbers, "command"
            elif is_open:
                return messages, numbers, "open_twice"
            else:
                is_open = True
    except RelpError as error:
        return messages, numbers, error.reason
    return messages, numbers, ""


@given(st.lists(RELP_COMMANDS), st.integers())
def test_relp_streams_with_junk_in_them(commands: list[bytes], seed: int) -> None:
    frames = [b"%d %s" % (number, command) for number, command in enumerate(commands, 2)]
    chunks = cut(RELP_OPEN + b"".join(frames), seed)
    messages, output, reason = relp_scanned(chunks)
    expected, numbers, expected_reason = relp_framed(chunks)
    if reason:  # what was read together with the fault may be let go of: it was not answered
        assert messages == expected[: len(messages)]
        assert reason == expected_reason or b"close 0\n" in commands  # whatever comes behind that is a fault
        return
    assert messages == expected
    assert expected_reason == ""
    answered = [int(line.split()[0]) for line in output.splitlines() if line.endswith(b" rsp 6 200 OK")]
    assert sorted(answered) == numbers


STALE = [
    ("a line", b"<13>one\n<13>two", b"\n", scan_lines, [b"<13>one"]),
    ("the end of a line within a word", b"<13>one\n<13>tw", b"o\n345678", scan_lines, [b"<13>one"]),
    ("a counted message", b"7 <13>one7 <13>tw", b"o", scan_counted, [b"<13>one"]),
    ("a count", b"7 <13>one", b"7 <13>two", scan_counted, [b"<13>one"]),
    ("RELP's LF", b"5 syslog 3 one\n6 syslog 3 two", b"\n", scan_relp, [b"one"]),
    ("RELP's header", b"5 syslog 3 one\n6 sys", b"log 3 two\n", scan_relp, [b"one"]),
]


@pytest.mark.parametrize(
    ("read", "before", "scan", "expected"), [pytest.param(*rest, id=name) for name, *rest in STALE]
)
def test_what_an_earlier_batch_left_behind_the_bytes_that_were_read_is_not_seen(
    read: bytes, before: bytes, scan: Callable[..., Scanned], expected: list[bytes]
) -> None:
    data = np.frombuffer((read + before).ljust(64, b"\n"), np.uint8)
    starts, ends, numbers = np.zeros(9, np.int32), np.zeros(9, np.int32), np.zeros(9, np.int64)
    more = (numbers,) if scan is scan_relp else ()
    count, consumed, status = scan(data, 0, len(read), 64, starts, ends, *more)
    assert [data[starts[each] : ends[each]].tobytes() for each in range(count)] == expected
    assert consumed <= len(read)
    assert status == INCOMPLETE


@pytest.mark.parametrize("framing", ["lf", "octet-counted"])
def test_more_messages_than_one_batch_has_places_for(framing: Framing) -> None:
    number = MAX_MESSAGES + 1000
    message = b"<1>\n" if framing == "lf" else b"3 <1>"
    reading = Reading(batch_bytes=4 << 20)
    found = reading.read(SyslogFrames(MAX_BYTES, framing), [message * number])
    assert len(found) == number
    assert set(found) == {(b"<1>", False)}


def test_of_a_huge_frame_that_drips_in_no_more_than_a_little_is_laid_into_the_buffer_each_time() -> None:
    body = b"<13>" + b"x" * 300_000
    stream = counted(body) + b"9 <13>again"
    most = 0

    class Measured(SyslogFrames):
        def scan(self, intake: Intake, views: Views, begin: int, end: int, limit: int) -> Scanned:
            nonlocal most
            most = max(most, end - begin)
            return super().scan(intake, views, begin, end, limit)

    frames = Measured(1 << 20, "octet-counted")
    found = Reading(batch_bytes=1 << 20).read(frames, [stream[at : at + 999] for at in range(0, len(stream), 999)])
    assert found == [(body, False), (b"<13>again", False)]
    assert most <= (64 << 10) + 999


@settings(max_examples=20)
@given(st.integers(1, 400), st.integers())
def test_what_waits_for_room_keeps_its_order(size: int, seed: int) -> None:
    chooser = random.Random(seed)  # noqa: S311 - a choice of tests
    sent = [b"<13>%d-%s" % (number, b"x" * chooser.randint(0, size)) for number in range(3000)]
    reading = Reading(batch_bytes=70_000)
    found = reading.read(SyslogFrames(256, "auto"), [b"".join(message + b"\n" for message in sent)])
    assert [payload.partition(b"-")[0] for payload, _ in found] == [text.partition(b"-")[0] for text in sent]


_WITHOUT_JIT = """
import numpy as np
from cloud.logs.collector.receivers.scan import Scanned, load_scans, scan_counted, scan_lines, scan_relp
load_scans()
starts, ends, numbers = (np.zeros(9, kind) for kind in (np.int32, np.int32, np.int64))
def view(text):
    data = np.frombuffer(text, np.uint8)
    return data, 0, len(text), 64, starts, ends
data = view(b"<13>one, and more\\n<13>two\\r\\n\\n\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff<13>thr")
print(scan_lines(*data), starts[:2], ends[:2])
data = view(b"7 <13>one\\n7 <13>two7 <13>t")
print(scan_counted(*data), starts[:2], ends[:2])
data = view(b"5 syslog 3 one\\n6 syslog 3 two\\n7 close 0\\n")
print(scan_relp(*data, numbers), starts[:2], ends[:2], numbers[:2])
"""


@pytest.mark.parametrize("without_jit", ["0", "1"])
def test_the_scans_say_the_same_as_machine_code_and_as_python(without_jit: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", _WITHOUT_JIT],
        env=os.environ | {"NUMBA_DISABLE_JIT": without_jit},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=Path(__file__).parents[2],
    )
    assert ran.stdout.splitlines() == [
        "(2, 28, 0) [ 0 18] [17 25]",
        "(2, 19, 0) [ 2 12] [ 9 19]",
        "(2, 30, 2) [11 26] [14 29] [5 6]",
    ]
