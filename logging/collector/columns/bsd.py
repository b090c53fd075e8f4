"""The header of RFC 3164 in a message's bytes."""

import numpy as np
import numpy.typing as npt

from cloud.logs.collector.columns import timestamp
from cloud.logs.collector.columns.header import word_end
from cloud.logs.collector.columns.timestamp import clock, days_since_1970, rfc3339_us, two_digits, year_of
from cloud.logs.collector.compiled import Bytes, byte_at, compiled

HOST_START, HOST_END, TAG_START, TAG_END, PID_START, PID_END, BODY, HAS_TIME = range(8)
"""What `found` holds; a start of -1 means that there is none."""
_MONTHS = np.frombuffer(b"JanFebMarAprMayJunJulAugSepOctNovDec", np.uint8)
_DAY_US = 86_400_000_000
_MAX_HOST, _MAX_TAG, _MAX_PID = 255, 48, 128
_SPACE, _COLON, _OPEN, _CLOSE = 32, 58, 91, 93


@compiled
def read_bsd_header(data: Bytes, start: int, end: int, observed_us: int, found: npt.NDArray[np.int64]) -> int:
    """Fill `found` from what follows the PRI and give the time, NOT_READ where the reference parser must look.

    Without a timestamp the time given is 0 and `found[HAS_TIME]` is 0.
    """
    found[HOST_START] = found[TAG_START] = found[PID_START] = -1
    found[HAS_TIME] = 1
    at = start
    time_us = 0
    if at < end and 65 <= byte_at(data, at) <= 90:
        at = _bsd_time_end(data, start, end)
        if at == -1:
            return timestamp.NOT_READ  # a text, or a time that no calendar has
        time_us = _closest(data, start, at, observed_us)
        if time_us == timestamp.NOT_READ:
            return timestamp.NOT_READ
    elif at < end and 48 <= byte_at(data, at) <= 57:
        at = word_end(data, start, end)
        if at == -1:
            return timestamp.NOT_READ
        time_us = rfc3339_us(data, start, at)
        if time_us == timestamp.NOT_READ:
            return timestamp.NOT_READ
        at += 1
    else:
        found[HAS_TIME] = 0
    tag = _read_tag(data, at, end, found)
    if tag == -1:
        return timestamp.NOT_READ
    if found[HAS_TIME] and not tag:
        host_end = _host_end(data, at, end)
        if host_end == -1:
            return timestamp.NOT_READ
        if host_end > at:
            found[HOST_START], found[HOST_END] = at, host_end
            if _read_tag(data, host_end + 1, end, found) == -1:
                return timestamp.NOT_READ
    return time_us


@compiled
def _bsd_time_end(data: Bytes, start: int, end: int) -> int:
    """Behind the space after `Nov  5 10:00:00` or `Nov 5 10:00:00`; -1 for what is written otherwise."""
    at = start + 3
    if end - start < 15 or byte_at(data, at) != _SPACE:
        return -1
    at += 1
    if byte_at(data, at) == _SPACE:
        at += 1
    digits = 0
    while digits < 2 and 48 <= byte_at(data, at) <= 57:
        at += 1
        digits += 1
    if digits == 0 or at + 10 > end or byte_at(data, at) != _SPACE:
        return -1
    if byte_at(data, at + 3) != _COLON or byte_at(data, at + 6) != _COLON or byte_at(data, at + 9) != _SPACE:
        return -1
    return at + 10


@compiled
def _closest(data: Bytes, start: int, end: int, observed_us: int) -> int:
    """The time in the year before, of or after its arrival that is nearest to it (the format has no year)."""
    month = 0
    for each in range(12):
        if (
            byte_at(data, start) == byte_at(_MONTHS, 3 * each)
            and byte_at(data, start + 1) == byte_at(_MONTHS, 3 * each + 1)
            and byte_at(data, start + 2) == byte_at(_MONTHS, 3 * each + 2)
        ):
            month = each + 1
    clock_us = clock(data, end - 9)
    day = byte_at(data, end - 11) - 48
    if 48 <= byte_at(data, end - 12) <= 57:
        day = two_digits(data, end - 12)
    if month == 0 or clock_us < 0:
        return timestamp.NOT_READ
    nearest = timestamp.NOT_READ
    year = year_of(observed_us)
    for candidate in range(year - 1, year + 2):
        days = days_since_1970(candidate, month, day)
        if days != timestamp.NOT_READ:
            us = days * _DAY_US + clock_us
            if nearest == timestamp.NOT_READ or abs(us - observed_us) < abs(nearest - observed_us):
                nearest = us
    return nearest


@compiled
def _word_end(data: Bytes, start: int, end: int, longest: int, closing: int, other: int) -> int:
    """Where a space, `closing` or `other` stands; `end`, or one beyond `longest`, without; -1 where it is not ASCII."""
    at = start
    while at < end and at - start <= longest:
        character = byte_at(data, at)
        if character in (_SPACE, closing, other):
            return at
        if character < _SPACE or character > 126:
            return -1
        at += 1
    return at


@compiled
def _host_end(data: Bytes, start: int, end: int) -> int:
    """Where a hostname ends, before a space and something; `start` where there is none, -1 where it is not ASCII."""
    at = _word_end(data, start, end, _MAX_HOST, _COLON, _OPEN)
    if at == -1:
        return -1
    if at == start or at - start > _MAX_HOST or at + 1 >= end or byte_at(data, at) != _SPACE:
        return start
    following = byte_at(data, at + 1)
    if following < _SPACE or following > 126:
        return -1
    return start if following == _SPACE else at


@compiled
def _read_tag(data: Bytes, start: int, end: int, found: npt.NDArray[np.int64]) -> int:
    """1 for `tag:` or `tag[pid]:`, 0 for none, -1 where it is not ASCII; `found[BODY]` is set unless it is -1."""
    found[BODY] = start
    at = _word_end(data, start, end, _MAX_TAG, _COLON, _OPEN)
    if at == -1:
        return -1
    if at == start or at - start > _MAX_TAG or at >= end:
        return 0
    tag_end = at
    pid = -1
    if byte_at(data, at) == _OPEN:
        pid = at + 1
        at = _word_end(data, pid, end, _MAX_PID, _CLOSE, _CLOSE)
        if at == -1:
            return -1
        if at == pid or at - pid > _MAX_PID or at >= end or byte_at(data, at) != _CLOSE:
            return 0
        at += 1
    if at >= end or byte_at(data, at) != _COLON:
        return 0
    found[TAG_START], found[TAG_END] = start, tag_end
    if pid != -1:
        found[PID_START], found[PID_END] = pid, at - 1
    at += 1
    found[BODY] = at + 1 if at < end and byte_at(data, at) == _SPACE else at
    return 1
