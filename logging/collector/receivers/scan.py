"""From a buffer's bytes to where the messages in it begin and end: what Framer and RelpFramer say, at the speed of C.

All scans begin between two frames and take whole messages until something is in their way, which they leave alone.
They write to `starts` and `ends` as many messages as fit, and give how many, where the first byte not taken is, and why
they stopped there.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from cloud.logs.collector.batch import Offsets
from cloud.logs.collector.compiled import Bytes, byte_at, compiled, find_byte

Numbers: TypeAlias = npt.NDArray[np.int64]
Scanned: TypeAlias = tuple[int, int, int]

INCOMPLETE = 0
"""The rest is less than a frame."""
FULL = 1
"""There may be more messages, and no place for their offsets."""
OTHER = 2
"""The next frame is too large, broken, or not one for this scan."""

_LF, _CR, _SPACE, _ZERO, _NINE, _PRI = 0x0A, 0x0D, 0x20, 0x30, 0x39, 0x3C
_COUNT_DIGITS = 10
_RELP_DIGITS = 9
_SYSLOG = np.frombuffer(b" syslog ", np.uint8)


def load_scans() -> None:
    """Compile what is not compiled yet, so that the first message does not wait for it."""
    data = np.zeros(8, np.uint8)
    offsets, numbers = np.zeros(1, np.int32), np.zeros(1, np.int64)
    scan_lines(data, 0, 8, 8, offsets, offsets)
    scan_counted(data, 0, 8, 8, offsets, offsets)
    scan_relp(data, 0, 8, 8, offsets, offsets, numbers)


@compiled
def scan_lines(data: Bytes, begin: int, end: int, max_bytes: int, starts: Offsets, ends: Offsets) -> Scanned:
    """Lines that end with LF."""
    count = 0
    while begin < end:
        stop = find_byte(data, begin, end, _LF)
        if stop == end:
            return count, begin, INCOMPLETE
        first = begin
        while first < stop and _is_padding(byte_at(data, first)):
            first += 1
        if stop - first > max_bytes:
            return count, begin, OTHER
        last = stop
        while last > first and _is_padding(byte_at(data, last - 1)):
            last -= 1
        if last > first:
            if count == len(starts):
                return count, begin, FULL
            starts[count] = first
            ends[count] = last
            count += 1
        begin = stop + 1
    return count, begin, INCOMPLETE


@compiled
def scan_counted(data: Bytes, begin: int, end: int, max_bytes: int, starts: Offsets, ends: Offsets) -> Scanned:
    """Octet-counted messages, with or without padding between them."""
    count = 0
    while True:
        while begin < end and _is_padding(byte_at(data, begin)):
            begin += 1
        if begin == end:
            return count, begin, INCOMPLETE
        first, length = _read_number(data, begin, end, _COUNT_DIGITS)
        if first == begin or byte_at(data, begin) == _ZERO:
            return count, begin, OTHER
        if first == end:
            return count, begin, INCOMPLETE
        if byte_at(data, first) != _SPACE:
            return count, begin, OTHER
        first += 1
        if first == end:
            return count, begin, INCOMPLETE
        if byte_at(data, first) != _PRI or length > max_bytes:
            return count, begin, OTHER
        if end - first < length:
            return count, begin, INCOMPLETE
        if count == len(starts):
            return count, begin, FULL
        starts[count] = first
        begin = first + length
        ends[count] = begin
        count += 1


@compiled
def scan_relp(
    data: Bytes, begin: int, end: int, max_bytes: int, starts: Offsets, ends: Offsets, numbers: Numbers
) -> Scanned:
    """RELP's `syslog` commands; `numbers` takes their transaction numbers."""
    count = 0
    while True:
        at, number = _read_number(data, begin, end, _RELP_DIGITS)
        if at == begin and at < end:
            return count, begin, OTHER
        for k in range(len(_SYSLOG)):
            if at == end:
                return count, begin, INCOMPLETE
            if byte_at(data, at) != byte_at(_SYSLOG, k):
                return count, begin, OTHER
            at += 1
        first, length = _read_number(data, at, end, _RELP_DIGITS)
        if first == end:
            return count, begin, INCOMPLETE
        if length == 0 or length > max_bytes or byte_at(data, first) != _SPACE:
            return count, begin, OTHER
        first += 1
        if end - first <= length:
            return count, begin, INCOMPLETE
        if byte_at(data, first + length) != _LF:
            return count, begin, OTHER
        if count == len(starts):
            return count, begin, FULL
        starts[count] = first
        ends[count] = first + length
        numbers[count] = number
        count += 1
        begin = first + length + 1


@compiled
def _read_number(data: Bytes, begin: int, end: int, max_digits: int) -> tuple[int, int]:
    """Where the digits at `begin` end, at most `max_digits` of them, and what they say."""
    at = begin
    number = 0
    while at < end and at - begin < max_digits and _ZERO <= byte_at(data, at) <= _NINE:
        number = number * 10 + byte_at(data, at) - _ZERO
        at += 1
    return at, number


@compiled
def _is_padding(byte: int) -> bool:
    return byte in (_LF, _CR, 0)
