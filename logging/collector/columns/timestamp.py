"""A timestamp's bytes to microseconds since 1970, for the forms that a kernel reads itself."""

from cloud.logs.collector.compiled import Bytes, byte_at, compiled

NOT_READ = -(1 << 62)
"""No timestamp of such a form; whether it is one at all the reference parser says."""
_DAY_US = 86_400_000_000
_MAX_FRACTION = 9


@compiled
def two_digits(data: Bytes, at: int) -> int:
    """The number that two digits write; -1 where they are none."""
    tens, ones = byte_at(data, at) - 48, byte_at(data, at + 1) - 48
    return tens * 10 + ones if 0 <= tens <= 9 and 0 <= ones <= 9 else -1


@compiled
def days_since_1970(year: int, month: int, day: int) -> int:
    """Days of the Gregorian calendar; NOT_READ for a day that is not in it."""
    leap = 1 if (year % 4 == 0 and year % 100 != 0) or year % 400 == 0 else 0
    length = 31
    if month in (4, 6, 9, 11):
        length = 30
    elif month == 2:
        length = 28 + leap
    if not (1 <= month <= 12 and 1 <= day <= length):
        return NOT_READ
    # Years that begin in March have their leap day at the end.
    shifted_year = year - 1 if month <= 2 else year
    shifted_month = month + 9 if month <= 2 else month - 3
    day_of_year = (153 * shifted_month + 2) // 5 + day - 1
    return shifted_year * 365 + shifted_year // 4 - shifted_year // 100 + shifted_year // 400 + day_of_year - 719_468


@compiled
def rfc3339_us(data: Bytes, start: int, end: int) -> int:
    """RFC 5424 section 6.2.3, `2026-11-25T10:00:00.123456+01:00`; what comes after microseconds is cut off."""
    if end - start < 20:
        return NOT_READ
    for at, expected in ((4, 45), (7, 45), (10, 84), (13, 58), (16, 58)):  # - - T : :
        if byte_at(data, start + at) != expected:
            return NOT_READ
    century, years = two_digits(data, start), two_digits(data, start + 2)
    month, day = two_digits(data, start + 5), two_digits(data, start + 8)
    clock_us = clock(data, start + 11)
    if century < 0 or years < 0 or clock_us < 0:
        return NOT_READ
    year = century * 100 + years
    if not 2 <= year <= 9998:  # at either end an offset may lead out of the years that there are
        return NOT_READ
    days = days_since_1970(year, month, day)
    if days == NOT_READ:
        return NOT_READ
    at = start + 19
    if byte_at(data, at) == 46:  # .
        at += 1
        unit = 100_000
        first = at
        while at < end and 48 <= byte_at(data, at) <= 57:
            clock_us += (byte_at(data, at) - 48) * unit
            unit //= 10
            at += 1
        if not 1 <= at - first <= _MAX_FRACTION:
            return NOT_READ
    if end - at == 1 and byte_at(data, at) == 90:  # Z
        return days * _DAY_US + clock_us
    if end - at != 6 or byte_at(data, at + 3) != 58:
        return NOT_READ
    hours, minutes = two_digits(data, at + 1), two_digits(data, at + 4)
    if not (0 <= hours <= 23 and 0 <= minutes <= 59):
        return NOT_READ
    offset_us = (hours * 60 + minutes) * 60_000_000
    if byte_at(data, at) == 43:  # +
        return days * _DAY_US + clock_us - offset_us
    if byte_at(data, at) == 45:  # -
        return days * _DAY_US + clock_us + offset_us
    return NOT_READ


@compiled
def clock(data: Bytes, at: int) -> int:
    """Microseconds since midnight of `10:00:00`; -1 for a time that no day has. The colons are not looked at."""
    hour, minute, second = two_digits(data, at), two_digits(data, at + 3), two_digits(data, at + 6)
    if 0 <= hour <= 23 and 0 <= minute <= 59 and 0 <= second <= 59:
        return ((hour * 60 + minute) * 60 + second) * 1_000_000
    return -1


@compiled
def year_of(us: int) -> int:
    """The year (UTC) of a time since 1970."""
    days = us // _DAY_US
    year = 1970 + days // 366
    while days_since_1970(year + 1, 1, 1) <= days:
        year += 1
    return year
