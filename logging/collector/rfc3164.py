"""The parts of the older BSD syslog format (RFC 3164 section 4.1), as real senders write it."""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from cloud.logs.collector.rfc5424 import MAX_PRI, Parts, parse_timestamp

_PRI = re.compile(r"<(\d{1,3})>", re.ASCII)
_BSD_TIME = re.compile(r"([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d\d):(\d\d):(\d\d) ", re.ASCII)
_ISO_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\S+) ")  # rsyslog's RSYSLOG_ForwardFormat
_HOST = re.compile(r"([^\s:\[]{1,255}) (?=\S)")
_TAG = re.compile(r"([^\s:\[]{1,48})(?:\[([^\]\s]{1,128})\])?: ?")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def split_message(text: str, observed_us: int) -> Parts | None:
    """The parts of `text`, or None without a PRI.

    The format has neither year nor zone: the year is the one that brings the time closest to `observed_us`, and
    the zone is taken for UTC. Without a timestamp (section 4.3.2) a tag is still read: Python's own handler sends that.
    """
    match = _PRI.match(text)
    if match is None or (pri := int(match[1])) > MAX_PRI:
        return None
    rest = text[match.end() :]
    if match := _BSD_TIME.match(rest):
        timestamp = _closest(match, observed_us)
    elif match := _ISO_TIME.match(rest):
        timestamp = parse_timestamp(match[1])
    else:
        return _parts(pri, rest)
    bad_timestamp = match[0].rstrip() if timestamp is None else None
    rest = rest[match.end() :]
    # The hostname may be missing: then a tag stands right behind the time (`logger` without -n, older daemons).
    hostname = None
    if not _TAG.match(rest) and (host := _HOST.match(rest)):
        hostname, rest = host[1], rest[host.end() :]
    return _parts(pri, rest, timestamp, hostname, bad_timestamp)


def _parts(
    pri: int, rest: str, timestamp: int | None = None, hostname: str | None = None, bad_timestamp: str | None = None
) -> Parts:
    tag = _TAG.match(rest)
    return Parts(
        pri=pri,
        timestamp=timestamp,
        hostname=hostname,
        app_name=tag[1] if tag else None,
        procid=tag[2] if tag else None,
        msgid=None,
        structured_data=None,
        body=rest[tag.end() :] if tag else rest,
        bad_timestamp=bad_timestamp,
    )


def _closest(match: re.Match[str], observed_us: int) -> int | None:
    """The time of `match` in the year before, of or after its arrival, whichever is nearest; None if in none."""
    observed = _EPOCH + timedelta(microseconds=observed_us)
    if match[1] not in _MONTHS:
        return None
    month = _MONTHS.index(match[1]) + 1
    day, hour, minute, second = (int(match[group]) for group in (2, 3, 4, 5))
    candidates = []
    for year in (observed.year - 1, observed.year, observed.year + 1):
        with suppress(ValueError):  # 29 February in the wrong year, or hour 25 in any
            candidates.append(datetime(year, month, day, hour, minute, second, tzinfo=UTC))
    nearest = min(candidates, key=lambda moment: abs(moment - observed), default=None)
    return None if nearest is None else (nearest - _EPOCH) // timedelta(microseconds=1)
