"""A buffer of received bytes and where the messages in it begin and end: what framing fills and parsing reads."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MAX_MESSAGES = 122_880  # one row group of DuckDB
SLACK_BYTES = 16
"""What `data` has behind its last message, so that a kernel may read eight bytes at a time."""
Offsets = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Source:
    """Who sent a message."""

    peer: str
    """The address, as text; a socket's path where there is none."""
    names: frozenset[str] | None = None
    """The DNS names of the client's certificate, lower case; None where nobody asked for one."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of messages of one source, from message number `first` on up to the next segment."""

    first: int
    source: Source
    observed_us: int
    """When they were read: microseconds since 1970, UTC."""


class Batch:
    """One buffer of the pool. Bytes up to `used` belong to messages or are padding between them.

    Message number i is `data[starts[i]:ends[i]]`; both arrays ascend, and messages do not overlap.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self.data = bytearray(capacity_bytes + SLACK_BYTES)
        self._capacity_bytes = capacity_bytes
        self.starts: Offsets = np.empty(MAX_MESSAGES, np.int32)
        self.ends: Offsets = np.empty(MAX_MESSAGES, np.int32)
        self.truncated: list[int] = []
        """The numbers of messages that are not whole, ascending."""
        self.segments: list[Segment] = []
        self.on_commit: list[Callable[[], None]] = []
        """Called once, in order, when all messages here are durable."""
        self.used = 0
        self.count = 0

    @property
    def free_bytes(self) -> int:
        return self._capacity_bytes - self.used

    @property
    def free_messages(self) -> int:
        return MAX_MESSAGES - self.count

    def add(self, starts: Offsets, ends: Offsets, used: int, source: Source, observed_us: int) -> None:
        """Take messages whose bytes are in `data` already, in place; `used` is where free space begins now."""
        self._begin_segment(source, observed_us)
        stop = self.count + len(starts)
        self.starts[self.count : stop] = starts
        self.ends[self.count : stop] = ends
        self.count = stop
        self.used = used

    def add_payload(self, payload: bytes, source: Source, observed_us: int, *, is_truncated: bool = False) -> None:
        """Take one message by copying it; there must be room for it."""
        self._begin_segment(source, observed_us)
        end = self.used + len(payload)
        self.data[self.used : end] = payload
        self.starts[self.count] = self.used
        self.ends[self.count] = end
        if is_truncated:
            self.truncated.append(self.count)
        self.count += 1
        self.used = end

    def payload(self, number: int) -> bytes:
        return bytes(self.data[self.starts[number] : self.ends[number]])

    def clear(self) -> None:
        self.used = self.count = 0
        for each in (self.truncated, self.segments, self.on_commit):
            each.clear()

    def _begin_segment(self, source: Source, observed_us: int) -> None:
        last = self.segments[-1] if self.segments else None
        if last is None or last.source is not source or last.observed_us != observed_us:
            self.segments.append(Segment(self.count, source, observed_us))
