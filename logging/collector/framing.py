"""From a connection's bytes to whole messages: octet counting, LF and NUL framing, told apart by what arrives."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

_OCTET_COUNT = re.compile(rb"([1-9][0-9]{0,9}) <")  # RFC 6587 section 3.4.1, and a message begins with its PRI
_PRI = re.compile(rb"<[0-9]{1,3}>")
_MAYBE_START = re.compile(rb"(?:[1-9][0-9]{0,9} ?|<[0-9]{0,3})\Z")  # a count or a PRI of which more is to come
_NUL_AT_THE_END = re.compile(rb"\0(?:<[0-9]{0,3})?\Z")
_DELIMITER_AND_PRI = re.compile(rb"([\n\0])<[0-9]{1,3}>")
_PADDING = b"\r\n\0"  # a delimiter that a sender writes behind a counted message although the count ends it


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


_MESSAGE_END = {
    # While undecided, a NUL in the middle of a line is somebody's text unless a PRI, or nothing yet, comes behind it.
    _Mode.DETECT: re.compile(rb"\n|\0(?=<[0-9]{1,3}>|(?:<[0-9]{0,3})?\Z)"),
    _Mode.LINE: re.compile(rb"\n"),
    _Mode.NUL: re.compile(rb"\0"),
}


class Framer:
    """The framing state of one connection; holds at most `max_bytes` and what one `feed` brought.

    A counted message runs to its count whatever it holds, newlines included. Otherwise the first delimiter with a PRI
    behind it decides for the connection. After LF, a NUL is text. After NUL (Python's own handler), a newline is; a
    NUL without a PRI behind it makes detection start again. So does a count that is none, which makes the rest of
    that line a message. Until it is decided, messages end at LF or where the bytes of one `feed` end with NUL.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._mode = _Mode.DETECT
        self._buffer = bytearray()
        self._body: _Body | None = None
        self._ended_by = b""
        self._bad_counts = 0

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that `data` completes, in order."""
        self._buffer += data
        while self._buffer:
            if self._body is None and not self._start():
                return
            if self._body is not None:
                if not self._fill(self._body):
                    return
                message = self._body.finish()
                self._body = None
                if message:
                    yield message

    def close(self) -> Iterator[Message]:
        """What the connection's end leaves: the message that was under way. A delimited one counts as whole."""
        body = self._body or _Body(self._max_bytes, length=None)
        body.add(bytes(self._buffer))
        self._buffer.clear()
        self._body = None
        if message := body.finish(was_cut_off=self._mode is _Mode.COUNTED):
            yield message

    def take_bad_counts(self) -> int:
        """How many octet counts were none since the last call."""
        taken, self._bad_counts = self._bad_counts, 0
        return taken

    def _start(self) -> bool:
        """Recognise the next message's frame; False when that takes more bytes than are there."""
        if self._buffer[0] in _PADDING:
            self._buffer = self._buffer.lstrip(_PADDING)
        if not self._buffer:
            return False
        if self._mode is not _Mode.LINE:
            if _MAYBE_START.match(self._buffer):
                return False
            if self._mode is not _Mode.NUL and (match := _OCTET_COUNT.match(self._buffer)):
                self._mode = _Mode.COUNTED
                self._body = _Body(self._max_bytes, length=int(match[1]))
                del self._buffer[: match.end() - 1]  # after its use: a match on a bytearray reads it anew
                return True
            if self._mode is _Mode.COUNTED:
                self._bad_counts += 1
                self._mode, self._ended_by = _Mode.DETECT, b""
            else:
                self._mode = self._guess() if _PRI.match(self._buffer) else _Mode.DETECT
        self._body = _Body(self._max_bytes, length=None)
        return True

    def _guess(self) -> _Mode:
        """The framing of a message that begins with a PRI: by what ended the one before, else by what ends this one."""
        if self._ended_by:
            return _Mode.NUL if self._ended_by == b"\0" else _Mode.LINE
        if match := _DELIMITER_AND_PRI.search(self._buffer):
            return _Mode.NUL if match[1] == b"\0" else _Mode.LINE
        return _Mode.NUL if _NUL_AT_THE_END.search(self._buffer) else _Mode.DETECT

    def _fill(self, body: "_Body") -> bool:
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


class _Body:
    """A message under way. Over `max_bytes` only head and tail are held, however long it gets."""

    def __init__(self, max_bytes: int, length: int | None) -> None:
        self.length = length
        self.received = 0
        self._half = max_bytes // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._max_bytes = max_bytes

    def add(self, data: bytes) -> None:
        (self._tail if self._is_over else self._head).extend(data)
        self.received += len(data)
        if self._is_over:
            self._tail = self._head[self._half :] + self._tail
            del self._head[self._half :], self._tail[: -self._half]

    def finish(self, *, was_cut_off: bool = False) -> Message | None:
        """The message; None for an empty line."""
        if not self._is_over:
            payload = bytes(self._head)
            payload = payload if self.length is not None else payload.rstrip(_PADDING)
            return Message(payload, is_truncated=was_cut_off) if payload else None
        cut = self.received - len(self._head) - len(self._tail)
        return Message(bytes(self._head) + b" [... %d bytes cut ...] " % cut + bytes(self._tail), is_truncated=True)

    @property
    def _is_over(self) -> bool:
        return self.received > self._max_bytes
