"""From one connection's bytes to messages in a batch: found in place where that is possible, else framed one by one."""

from collections import deque
from collections.abc import Iterator
from enum import Enum, auto
from typing import Protocol

from cloud.logs.collector.batch import Batch, Source
from cloud.logs.collector.framing import Framer, Framing, Message
from cloud.logs.collector.receivers.intake import Intake, Views
from cloud.logs.collector.receivers.scan import FULL, INCOMPLETE, OTHER, Numbers, Scanned, scan_counted, scan_lines
from cloud.logs.collector.receivers.transport import Transport

READ_BYTES = 256 << 10
LEAST_READ_BYTES = 32 << 10
FRAMED_BYTES = 16 << 10  # at a time, one by one: what comes of it may have to wait for room
MAX_CARRIED_BYTES = 64 << 10


class Progress(Enum):
    """How a read ended."""

    READ = auto()
    NOTHING = auto()
    """No byte was there."""
    AGAIN = auto()
    """There is more to do although no byte may come any more."""
    NO_ROOM = auto()
    """The pool is used up."""
    ENDED = auto()
    """The peer sends no more."""


class Frames(Protocol):
    """How messages are framed on one connection: `scan` in place while it `is_steady`, else `feed`."""

    @property
    def is_steady(self) -> bool: ...

    @property
    def held_bytes(self) -> int: ...

    def scan(self, intake: Intake, views: Views, begin: int, end: int, limit: int) -> Scanned:
        """As the functions of `scan.py`, into the intake's arrays, `limit` messages at most."""

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that `data` completes."""

    def give_back(self) -> bytes:
        """The bytes of a message that has begun in the last `feed`, behind another, for the next scan."""

    def close(self) -> Iterator[Message]:
        """What the connection's end leaves."""

    def take_bad_counts(self) -> int:
        """How many octet counts were none since the last call."""

    def placed(self, batch: Batch, numbers: Numbers | None, count: int) -> None:
        """The next `count` messages that were found are in `batch` now; `numbers` are those of a scan."""


class SyslogFrames:
    """Octet counting, LF or NUL."""

    def __init__(self, max_message_bytes: int, framing: Framing) -> None:
        self._framer = Framer(max_message_bytes, framing)
        self._max_bytes = max_message_bytes

    @property
    def is_steady(self) -> bool:
        return self._framer.steady is not None

    @property
    def held_bytes(self) -> int:
        return self._framer.held_bytes

    def scan(self, intake: Intake, views: Views, begin: int, end: int, limit: int) -> Scanned:
        starts, ends = intake.starts[:limit], intake.ends[:limit]
        if self._framer.steady == "lf":
            return scan_lines(views.data, begin, end, self._max_bytes, starts, ends)
        return scan_counted(views.data, begin, end, self._max_bytes, starts, ends)

    def feed(self, data: bytes) -> Iterator[Message]:
        return self._framer.feed(data)

    def give_back(self) -> bytes:
        return self._framer.give_back()

    def close(self) -> Iterator[Message]:
        return self._framer.close()

    def take_bad_counts(self) -> int:
        return self._framer.take_bad_counts()

    def placed(self, batch: Batch, numbers: Numbers | None, count: int) -> None:
        """Nobody waits for an answer."""


class Stream:
    """What has been read of one connection and is not in a batch yet, which is little."""

    def __init__(self, frames: Frames, source: Source, intake: Intake) -> None:
        self._frames = frames
        self._source = source
        self._intake = intake
        self._rest = b""
        self._is_rest_unseen = False  # may hold whole frames
        self._waiting: deque[Message] = deque()

    @property
    def held_bytes(self) -> int:
        return len(self._rest) + self._frames.held_bytes

    @property
    def is_waiting(self) -> bool:
        """Whether there is something here that only waits for room."""
        return bool(self._waiting) or self._is_rest_unseen

    def read(self, transport: Transport) -> Progress:
        """Read once, 256 KiB at most, and take the messages out of it; what raises is what `Frames.feed` raises."""
        intake = self._intake
        with intake.lock:
            if self._waiting and not self._place():
                return Progress.NO_ROOM
            batch = intake.room(len(self._rest) + LEAST_READ_BYTES)
            if batch is None:
                return Progress.NO_ROOM
            views = intake.views(batch)
            begin = batch.used
            end = begin + len(self._rest)
            views.memory[begin:end] = self._rest
            if not self._is_rest_unseen:
                read_bytes = READ_BYTES if self._frames.is_steady else FRAMED_BYTES
                received = transport.receive_into(views.memory[end : end + read_bytes])
                if not received:
                    return Progress.NOTHING if received is None else Progress.ENDED
                intake.received_bytes += received
                end += received
            self._take(batch, views, begin, end)
            if self._waiting and not self._place():
                return Progress.NO_ROOM
        return Progress.AGAIN if self._is_rest_unseen or transport.may_hold_more else Progress.READ

    def close(self) -> bool:
        """Give what the end leaves; whether there was room for it. Until then it is to be called again."""
        with self._intake.lock:
            while self._place():
                if not self._rest:
                    self._wait(self._frames.close(), truncated_by="cut_off")
                    return self._place()
                self._frame()
        return False

    def drop(self) -> int:
        """Let go of all that waits for room; how many messages that were."""
        while self._rest:
            self._frame()
        self._wait(self._frames.close(), truncated_by="cut_off")
        dropped = len(self._waiting)
        self._waiting.clear()
        return dropped

    def _take(self, batch: Batch, views: Views, begin: int, end: int) -> None:
        """Messages from `begin` to `end` of the batch's buffer, where its free space begins."""
        intake, frames = self._intake, self._frames
        status = OTHER
        if frames.is_steady:
            count, begin, status = frames.scan(intake, views, begin, end, batch.free_messages)
            if count:
                batch.add(intake.starts[:count], intake.ends[:count], begin, self._source, intake.clock_us())
                intake.messages += count
                frames.placed(batch, intake.numbers[:count], count)
        self._rest = bytes(views.memory[begin:end])
        self._is_rest_unseen = status == FULL
        if status == OTHER or (status == INCOMPLETE and len(self._rest) > MAX_CARRIED_BYTES):
            self._frame()

    def _frame(self) -> None:
        """Take messages out of the beginning of what was read one by one."""
        first, self._rest = self._rest[:FRAMED_BYTES], self._rest[FRAMED_BYTES:]
        self._is_rest_unseen = bool(self._rest)
        self._wait(self._frames.feed(first), truncated_by="oversize")
        self._rest = self._frames.give_back() + self._rest

    def _wait(self, messages: Iterator[Message], truncated_by: str) -> None:
        """Let messages wait for room; if that raises, those before it do."""
        failures = self._intake.metrics.frame_failures
        for message in messages:
            self._waiting.append(message)
            if message.is_truncated:
                failures.labels(truncated_by).inc()
        if bad_counts := self._frames.take_bad_counts():
            failures.labels("octet_count").inc(bad_counts)

    def _place(self) -> bool:
        """Copy what waits into batches; whether there was room for all of it."""
        intake = self._intake
        while self._waiting:
            message = self._waiting[0]
            batch = intake.room(len(message.payload))
            if batch is None:
                return False
            batch.add_payload(message.payload, self._source, intake.clock_us(), is_truncated=message.is_truncated)
            intake.messages += 1
            self._frames.placed(batch, None, 1)
            self._waiting.popleft()
        return True
