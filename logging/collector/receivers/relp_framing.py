"""From a RELP connection's bytes to its frames: `TXNR SP COMMAND SP DATALEN [SP DATA] LF`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from cloud.logs.collector.framing import Body, Message

MAX_COMMAND_BYTES = 4096
"""Of the data of all commands but `syslog`."""
_HEADER = re.compile(rb"([0-9]{1,9}) ([A-Za-z]{1,32}) (?:(0{1,9})\n|([0-9]{1,9}) )")
_MAYBE_HEADER = re.compile(rb"[0-9]{1,9}(?: (?:[A-Za-z]{1,32}(?: [0-9]{0,9})?)?)?\Z")


class RelpError(Exception):
    """What a peer must not send."""

    def __init__(self, reason: str, txnr: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        """As metrics count it."""
        self.txnr = txnr
        """The transaction it came with; 0 where that cannot be told."""


@dataclass(frozen=True, slots=True)
class RelpFrame:
    """One command of the peer."""

    txnr: int
    command: str
    message: Message
    """Its data, for `syslog` the message; empty where it has none."""


class RelpFramer:
    """The framing state of one connection; holds at most 1.5 times `max_bytes` and what one `feed` brought.

    It is the reference for `scan_relp`, which may take over where nothing `is_under_way`.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._started: tuple[int, str, Body] | None = None
        self._has_ended_one = False

    @property
    def is_under_way(self) -> bool:
        return bool(self._buffer) or self._started is not None

    @property
    def held_bytes(self) -> int:
        return len(self._buffer) + (self._started[2].held_bytes if self._started else 0)

    def feed(self, data: bytes) -> Iterator[RelpFrame]:
        """The frames that `data` completes, in order; `RelpError` behind the last one before what is none."""
        self._buffer += data
        self._has_ended_one = False
        while self._buffer:
            if self._started is None:
                self._started = self._start()
            if self._started is None:
                return
            txnr, command, body = self._started
            taken = min(len(self._buffer), (body.length or 0) - body.received)
            body.add(bytes(self._buffer[:taken]))
            del self._buffer[:taken]
            if not self._buffer:  # the LF is to come
                return
            if self._buffer[:1] != b"\n":
                raise RelpError("frame", txnr)
            del self._buffer[:1]
            self._started = None
            self._has_ended_one = True
            yield RelpFrame(txnr, command, body.finish() or Message(b""))

    def give_back(self) -> bytes:
        """The bytes of a frame that has begun in the last `feed`, behind another; nothing `is_under_way` then."""
        if not self._has_ended_one:
            return b""
        given = bytes(self._buffer)
        if self._started is not None:
            txnr, command, body = self._started
            if not (received := body.as_received()):
                return b""
            given = b"%d %s " % (txnr, command.encode()) + received + given
        self._started = None
        self._buffer.clear()
        return given

    def _start(self) -> tuple[int, str, Body] | None:
        match = _HEADER.match(self._buffer)
        if match is None:
            if _MAYBE_HEADER.match(self._buffer):
                return None
            raise RelpError("frame")
        txnr, command, length = int(match[1]), match[2].decode(), int(match[4] or 0)
        if command != "syslog" and length > MAX_COMMAND_BYTES:
            raise RelpError("command_size", txnr)
        del self._buffer[: match.end() - (match[3] is not None)]  # the LF behind a length of 0 is the frame's end
        return txnr, command, Body(self._max_bytes if command == "syslog" else MAX_COMMAND_BYTES, length)
