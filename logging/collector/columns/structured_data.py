"""STRUCTURED-DATA (RFC 5424 section 6.3) in a message's bytes: where it ends, and the line's identity at its end."""

import numpy as np
import numpy.typing as npt

from cloud.logs.collector.columns.bytes import is_same, starts_with
from cloud.logs.collector.compiled import Bytes, byte_at, compiled
from cloud.logs.collector.rfc5424 import MAX_ID

NOT_READ = -1
END, IDENTITY, NUMBER = range(3)
"""What `found` holds: where STRUCTURED-DATA ends, where the identity begins, and where its number begins."""
PREFIX = np.frombuffer(b"[line@32473 ", np.uint8)
_HOST = np.frombuffer(b'[line@32473 host="', np.uint8)
_START = np.frombuffer(b'" start="', np.uint8)
_NUMBER = np.frombuffer(b'" n="', np.uint8)
_QUOTE, _BACKSLASH, _OPEN, _CLOSE, _EQUALS, _SPACE = 34, 92, 91, 93, 61, 32
_MAX_NAME = 255
_MAX_DIGITS = 18


@compiled
def read_structured_data(
    data: Bytes, start: int, end: int, known_start: int, known_end: int, found: npt.NDArray[np.int64]
) -> bool:
    """Fill `found` (-1 for no identity); False where the reference parser must look.

    That is where there is no STRUCTURED-DATA, and where an element might be an identity that rsyslogd did not write.
    `data[known_start:known_end]` is an identity up to its number, since nearly always the next line's is the same.
    """
    found[IDENTITY] = found[NUMBER] = -1
    length = known_end - known_start
    if 0 < length < end - start and is_same(data, known_start, start, length):
        return _read_number(data, start, start + length, end, found)
    at = start
    last = start
    if at < end and byte_at(data, at) == 45:  # -
        at += 1
    else:
        while at < end and byte_at(data, at) == _OPEN:
            last = at
            at = _element_end(data, at, end)
            if at == NOT_READ:
                return False
        if at == start:
            return False
    if at < end and byte_at(data, at) != _SPACE:
        return False
    found[END] = at
    if starts_with(data, last, at, PREFIX):
        number = _identity_number(data, last, at)
        return number != NOT_READ and _read_number(data, last, number, end, found)
    return True


@compiled
def _element_end(data: Bytes, start: int, end: int) -> int:
    at = _name_end(data, start + 1, end)
    while at != NOT_READ and at < end:
        character = byte_at(data, at)
        if character == _CLOSE:
            return at + 1
        if character != _SPACE:
            return NOT_READ
        at = _name_end(data, at + 1, end)
        if at == NOT_READ or at + 1 >= end or byte_at(data, at) != _EQUALS or byte_at(data, at + 1) != _QUOTE:
            return NOT_READ
        at = _value_end(data, at + 2, end)
    return NOT_READ


@compiled
def _name_end(data: Bytes, start: int, end: int) -> int:
    for at in range(start, min(end, start + _MAX_NAME + 1)):
        character = byte_at(data, at)
        if character in (_EQUALS, _SPACE, _QUOTE, _CLOSE):
            return at if at > start else NOT_READ
        if character < _SPACE or character > 126:
            return NOT_READ
    return NOT_READ


@compiled
def _value_end(data: Bytes, start: int, end: int) -> int:
    """Behind the closing quote."""
    at = start
    while at < end:
        character = byte_at(data, at)
        if character == _QUOTE:
            return at + 1
        at += 2 if character == _BACKSLASH else 1
    return NOT_READ


@compiled
def _identity_number(data: Bytes, start: int, end: int) -> int:
    """Where the number of the identity `data[start:end]` begins; NOT_READ unless it is as rsyslogd writes it."""
    if not starts_with(data, start, end, _HOST):
        return NOT_READ
    at = _plain_value_end(data, start + len(_HOST), end)
    if at == NOT_READ or not starts_with(data, at, end, _START):
        return NOT_READ
    at = _plain_value_end(data, at + len(_START), end)
    if at == NOT_READ or not starts_with(data, at, end, _NUMBER):
        return NOT_READ
    return at + len(_NUMBER)


@compiled
def _read_number(data: Bytes, identity: int, start: int, end: int, found: npt.NDArray[np.int64]) -> bool:
    """Fill `found` for the identity whose number begins at `start`; whether it ends there as it should."""
    at = start
    while at < end and 48 <= byte_at(data, at) <= 57:
        at += 1
    if not 1 <= at - start <= _MAX_DIGITS or byte_at(data, start) == 48:
        return False
    if at + 2 > end or byte_at(data, at) != _QUOTE or byte_at(data, at + 1) != _CLOSE:
        return False
    if at + 2 < end and byte_at(data, at + 2) != _SPACE:
        return False
    found[IDENTITY], found[NUMBER], found[END] = identity, start, at + 2
    return True


@compiled
def _plain_value_end(data: Bytes, start: int, end: int) -> int:
    """Where the closing quote stands of a value that is neither empty nor long, and has no escape or control code."""
    for at in range(start, min(end, start + MAX_ID + 1)):
        character = byte_at(data, at)
        if character == _QUOTE:
            return at if at > start else NOT_READ
        if character == _BACKSLASH or character < _SPACE:
            return NOT_READ
    return NOT_READ
