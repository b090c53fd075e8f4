"""From a connection's bytes to whole messages: octet counting, LF and NUL framing, told apart by what arrives."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

Framing = Literal["auto", "octet-counted", "lf", "nul"]
_OCTET_COUNT = re.compile(rb"([1-9][0-9]{0,9}) <")  # RFC 6587 section 3.4.1, and a message begins with its PRI
_PRI = re.compile(rb"<[0-9]{1,3}>")
_MAYBE_START = re.compile(rb"(?:[1-9][0-9]{0,9} ?|<[0-9]{0,3})\Z")  # a count or a PRI of which more is to come
_NUL_AT_THE_END = re.compile(rb"\0(?:<[0-9]{0,3})?\Z")
_LEADING_PADDING = re.compile(rb"[\r\n\0]*")
_DELIMITER_AND_PRI = re.compile(rb"([\n\0])<[0-9]{1,3}>")
PADDING = b"\r\n\0"  # a delimiter that a sender writes behind a counted message although the count ends it


@dataclass(frozen=True, slots=True)
class Message:
    """The bytes of one syslog message, without its frame."""

    payload: bytes
    is_truncated: bool = False
    """Over the maximum size, where head and tail are kept, or cut off by the end of the connection."""


class _Mode(Enum):
    DETECT = auto()
    COUNTED = auto()
    LINE = auto()
    NUL = auto()


_FIRST_MODE: dict[Framing, _Mode] = {
    "auto": _Mode.DETECT,
    "octet-counted": _Mode.COUNTED,
    "lf": _Mode.LINE,
    "nul": _Mode.NUL,
}
_MESSAGE_END = {
    # While undecided, a NUL in the middle of a line is somebody's text unless a PRI, or nothing yet, comes behind it.
    _Mode.DETECT: re.compile(rb"\n|\0(?=<[0-9]{1,3}>|(?:<[0-9]{0,3})?\Z)"),
    _Mode.COUNTED: re.compile(rb"\n"),  # of what has no count although nothing else is to come
    _Mode.LINE: re.compile(rb"\n"),
    _Mode.NUL: re.compile(rb"\0"),
}


class Framer:
    """The framing state of one connection; holds at most 1.5 times `max_bytes` and what one `feed` brought.

    A counted message runs to its count whatever it holds, newlines included. Otherwise the first delimiter with a PRI
    behind it decides for the connection. After LF, a NUL is text. After NUL (Python's own handler), a newline is; a
    NUL without a PRI behind it makes detection start again. So does a count that is none, which makes the rest of
    that line a message. Until it is decided, messages end at LF or where the bytes of one `feed` end with NUL.

    Any `framing` but "auto" is never left. This is the reference for `receivers/scan.py`, which takes over where the
    framing is `steady`.
    """

    def __init__(self, max_bytes: int, framing: Framing = "auto") -> None:
        self._max_bytes = max_bytes
        self._is_detecting = framing == "auto"
        self._mode = _FIRST_MODE[framing]
        self._buffer = bytearray()
        self._body: Body | None = None
        self._ended_by = b""
        self._bad_counts = 0
        self._has_ended_one = False

    @property
    def steady(self) -> Literal["octet-counted", "lf"] | None:
        """The framing, if no message is under way here and what follows does not depend on how it is cut."""
        if self._body is not None or self._buffer:
            return None
        if self._mode is _Mode.LINE:
            return "lf"
        return "octet-counted" if self._mode is _Mode.COUNTED else None

    @property
    def held_bytes(self) -> int:
        return len(self._buffer) + (self._body.held_bytes if self._body else 0)

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that `data` completes, in order."""
        self._buffer += data
        self._has_ended_one = False
        while self._buffer:
            if self._body is None and not self._start():
                return
            if self._body is not None:
                if not self._fill(self._body):
                    return
                message = self._body.finish()
                self._body = None
                self._has_ended_one = True
                if message:
                    yield message

    def give_back(self) -> bytes:
        """The bytes of a message that has begun in the last `feed`, behind another, if that makes this `steady`."""
        body = self._body
        if self._mode not in (_Mode.LINE, _Mode.COUNTED) or not self._has_ended_one:
            return b""
        if body is None:
            given = bytes(self._buffer)
            self._buffer.clear()
        elif self._mode is _Mode.COUNTED and body.length is None:  # its bad count is not to be counted again
            return b""
        elif given := body.as_received():
            self._body = None
        return given

    def close(self) -> Iterator[Message]:
        """What the connection's end leaves: the message that was under way. A delimited one counts as whole."""
        was_counted = self._mode is _Mode.COUNTED and (self._body is None or self._body.length is not None)
        body = self._body or Body(self._max_bytes, length=None)
        body.add(bytes(self._buffer))
        self._buffer.clear()
        self._body = None
        if message := body.finish(was_cut_off=was_counted):
            yield message

    def take_bad_counts(self) -> int:
        """How many octet counts were none since the last call."""
        taken, self._bad_counts = self._bad_counts, 0
        return taken

    def _start(self) -> bool:
        """Recognise the next message's frame; False when that takes more bytes than are there."""
        if self._buffer[0] in PADDING and (padding := _LEADING_PADDING.match(self._buffer)):
            del self._buffer[: padding.end()]
        if not self._buffer:
            return False
        if self._mode is not _Mode.LINE:
            if _MAYBE_START.match(self._buffer):
                return False
            if self._mode is not _Mode.NUL and (match := _OCTET_COUNT.match(self._buffer)):
                self._mode = _Mode.COUNTED
                self._body = Body(self._max_bytes, length=int(match[1]))
                del self._buffer[: match.end() - 1]  # after its use: a match on a bytearray reads it anew
                return True
            if self._mode is _Mode.COUNTED:
                self._bad_counts += 1
                if self._is_detecting:
                    self._mode, self._ended_by = _Mode.DETECT, b""
            elif self._is_detecting:
                self._mode = self._guess() if _PRI.match(self._buffer) else _Mode.DETECT
        self._body = Body(self._max_bytes, length=None)
        return True

    def _guess(self) -> _Mode:
        """The framing of a message that begins with a PRI: by what ended the one before, else by what ends this one."""
        if self._ended_by:
            return _Mode.NUL if self._ended_by == b"\0" else _Mode.LINE
        if match := _DELIMITER_AND_PRI.search(self._buffer):
            return _Mode.NUL if match[1] == b"\0" else _Mode.LINE
        return _Mode.NUL if _NUL_AT_THE_END.search(self._buffer) else _Mode.DETECT

    def _fill(self, body: "Body") -> bool:
        """Move bytes from the buffer into the message under way; whether it is whole now."""
        if body.length is not None:
            taken = min(len(self._buffer), body.length - body.received)
            body.add(bytes(self._buffer[:taken]))
            del self._buffer[:taken]
            return body.received == body.length
        match = _MESSAGE_END[self._mode].search(self._buffer)
        taken = match.start() if match else len(self._buffer)
        if match:
            self._ended_by = match[0]
        body.add(bytes(self._buffer[:taken]))
        del self._buffer[: taken + 1]
        return match is not None


class Body:
    """A message under way. Over `max_bytes` only head and tail are held, however long it gets."""

    def __init__(self, max_bytes: int, length: int | None) -> None:
        self.length = length
        self.received = 0
        self._half = max_bytes // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._max_bytes = max_bytes

    @property
    def held_bytes(self) -> int:
        return len(self._head) + len(self._tail)

    def add(self, data: bytes) -> None:
        was_over = self._is_over
        self.received += len(data)
        (self._tail if was_over else self._head).extend(data)
        if self._is_over and not was_over:
            self._tail = self._head[self._half :]
            del self._head[self._half :]
        if len(self._tail) > 2 * self._half:  # not at every byte: a message that drips in costs no copy each time
            self._cut_tail()

    def as_received(self) -> bytes:
        """Frame and bytes so far; nothing if they are not all here."""
        if self._is_over:
            return b""
        return (b"" if self.length is None else b"%d " % self.length) + self._head

    def finish(self, *, was_cut_off: bool = False) -> Message | None:
        """The message; None for an empty line."""
        if not self._is_over:
            payload = bytes(self._head)
            payload = payload if self.length is not None else payload.rstrip(PADDING)
            return Message(payload, is_truncated=was_cut_off) if payload else None
        self._cut_tail()
        cut = self.received - len(self._head) - len(self._tail)
        return Message(bytes(self._head) + b" [... %d bytes cut ...] " % cut + bytes(self._tail), is_truncated=True)

    def _cut_tail(self) -> None:
        del self._tail[: max(0, len(self._tail) - self._half)]

    @property
    def _is_over(self) -> bool:
        return self.received > self._max_bytes
