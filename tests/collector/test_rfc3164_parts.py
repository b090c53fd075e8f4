from datetime import UTC, datetime

import pytest

from cloud.logs.collector.rfc3164 import split_message
from cloud.logs.collector.rfc5424 import Parts


def us(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * 1_000_000  # type: ignore[arg-type, misc]


OBSERVED = us(2026, 10, 11, 22, 14, 20)
TIME = 1791756855000000  # 2026-10-11 22:14:15


def parts(
    pri: int,
    body: str,
    app_name: str | None = None,
    procid: str | None = None,
    timestamp: int | None = None,
    hostname: str | None = None,
    bad_timestamp: str | None = None,
) -> Parts:
    return Parts(pri, timestamp, hostname, app_name, procid, None, None, body, bad_timestamp)


CASES = [
    # valid
    (
        "the standard's example",
        "<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
        parts(34, "'su root' failed for lonvick on /dev/pts/8", "su", None, TIME, "mymachine"),
    ),
    (
        "with a procid",
        "<30>Oct 11 22:14:15 compute-01 libvirtd[812]: up",
        parts(30, "up", "libvirtd", "812", TIME, "compute-01"),
    ),
    (
        "a day of one digit, with two spaces",
        "<13>Oct  1 22:14:15 h a: x",
        parts(13, "x", "a", None, us(2026, 10, 1, 22, 14, 15), "h"),
    ),
    (
        "a day of one digit, with one space",
        "<13>Oct 1 22:14:15 h a: x",
        parts(13, "x", "a", None, us(2026, 10, 1, 22, 14, 15), "h"),
    ),
    (
        "a day of one digit, with a zero",
        "<13>Oct 01 22:14:15 h a: x",
        parts(13, "x", "a", None, us(2026, 10, 1, 22, 14, 15), "h"),
    ),
    ("an ISO time", "<13>2026-10-11T22:14:15.000000+00:00 h a[1]: x", parts(13, "x", "a", "1", TIME, "h")),
    ("no hostname", "<13>Oct 11 22:14:15 su: x", parts(13, "x", "su", None, TIME)),
    ("no hostname, with a procid", "<13>Oct 11 22:14:15 su[7]: x", parts(13, "x", "su", "7", TIME)),
    ("no time", "<14>nova-api: started", parts(14, "started", "nova-api")),
    ("no time, no tag", "<14>started at last", parts(14, "started at last")),
    ("a tag with nothing behind it", "<13>Oct 11 22:14:15 h a:", parts(13, "", "a", None, TIME, "h")),
    ("a body of two lines", "<13>Oct 11 22:14:15 h a: x\n  y", parts(13, "x\n  y", "a", None, TIME, "h")),
    ("no space behind the tag", "<13>Oct 11 22:14:15 h a:x", parts(13, "x", "a", None, TIME, "h")),
    (
        "a tag with slashes",
        "<13>Oct 11 22:14:15 h postfix/smtpd[9]: x",
        parts(13, "x", "postfix/smtpd", "9", TIME, "h"),
    ),
    # incomplete
    ("PRI alone", "<13>", parts(13, "")),
    ("time alone", "<13>Oct 11 22:14:15", parts(13, "Oct 11 22:14:15")),
    ("time and a space", "<13>Oct 11 22:14:15 ", parts(13, "", timestamp=TIME)),
    ("time and a word", "<13>Oct 11 22:14:15 h", parts(13, "h", timestamp=TIME)),
    ("a procid without an end", "<13>Oct 11 22:14:15 h a[1: x", parts(13, "a[1: x", timestamp=TIME, hostname="h")),
    ("text without a tag", "<13>Oct 11 22:14:15 h just words", parts(13, "just words", timestamp=TIME, hostname="h")),
    # hostile: a time that is none costs the time only, and its text is kept
    ("30 February", "<13>Feb 30 22:14:15 h a: x", parts(13, "x", "a", hostname="h", bad_timestamp="Feb 30 22:14:15")),
    ("hour 25", "<13>Oct 11 25:14:15 h a: x", parts(13, "x", "a", hostname="h", bad_timestamp="Oct 11 25:14:15")),
    ("second 60", "<13>Oct 11 22:14:60 h a: x", parts(13, "x", "a", hostname="h", bad_timestamp="Oct 11 22:14:60")),
    ("no month", "<13>Okt 11 22:14:15 h a: x", parts(13, "x", "a", hostname="h", bad_timestamp="Okt 11 22:14:15")),
    (
        "29 February where no year near has one",
        "<13>Feb 29 22:14:15 h a: x",
        parts(13, "x", "a", hostname="h", bad_timestamp="Feb 29 22:14:15"),
    ),
    (
        "ISO month 13",
        "<13>2026-13-11T22:14:15Z h a: x",
        parts(13, "x", "a", hostname="h", bad_timestamp="2026-13-11T22:14:15Z"),
    ),
    (
        "a tag of 10,000 characters",
        "<13>Oct 11 22:14:15 h " + "a" * 10_000 + ": x",
        parts(13, "a" * 10_000 + ": x", timestamp=TIME, hostname="h"),
    ),
    ("a broken RFC 5424 header", "<13>1 2026-10-11T22:14:15Z h a", parts(13, "1 2026-10-11T22:14:15Z h a")),
]


@pytest.mark.parametrize(("text", "expected"), [pytest.param(*case, id=name) for name, *case in CASES])
def test_parts_are_read(text: str, expected: Parts) -> None:
    assert split_message(text, OBSERVED) == expected


@pytest.mark.parametrize(
    "text", ["", "no pri", "<192>x", "<999>x", "<1234>x", "<>x", "<a>x", "< 1>x", "<-1>x", "<13", "x<13>y", "<١٣>x"]
)
def test_without_a_pri_it_is_nobodys(text: str) -> None:
    assert split_message(text, OBSERVED) is None


YEARS = [
    (
        "the last second of a year, seen in the next",
        "Dec 31 23:59:59",
        us(2026, 1, 1, 0, 0, 2),
        us(2025, 12, 31, 23, 59, 59),
    ),
    (
        "a clock that is ahead, in the last second of a year",
        "Jan  1 00:00:05",
        us(2025, 12, 31, 23, 59, 59),
        us(2026, 1, 1, 0, 0, 5),
    ),
    ("the same year", "Jan  1 00:00:05", us(2026, 1, 1, 0, 0, 9), us(2026, 1, 1, 0, 0, 5)),
    ("five months late", "Aug  1 00:00:00", us(2026, 1, 1), us(2025, 8, 1)),
    ("five months ahead", "Jun  1 00:00:00", us(2026, 1, 1), us(2026, 6, 1)),
    ("29 February in its year", "Feb 29 12:00:00", us(2028, 2, 29, 12, 0, 1), us(2028, 2, 29, 12)),
    ("29 February of the year before", "Feb 29 12:00:00", us(2029, 1, 15), us(2028, 2, 29, 12)),
    ("29 February of the year after", "Feb 29 12:00:00", us(2027, 12, 1), us(2028, 2, 29, 12)),
]


@pytest.mark.parametrize(("text", "observed", "expected"), [pytest.param(*case, id=name) for name, *case in YEARS])
def test_the_year_is_the_one_that_brings_it_closest_to_the_arrival(text: str, observed: int, expected: int) -> None:
    found = split_message(f"<13>{text} h a: x", observed)
    assert found is not None
    assert found.timestamp == expected
