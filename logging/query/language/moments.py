"""Times in a query: each is as long as it is precise, so that a day is all of that day."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

FORMS = "2027-01-31, 2027-01-31T14:05, 2027-01-31T14:05:07.25Z or 2027-01-31T14:05:07+01:00"
_WRITTEN = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ](?P<hour>[0-9]{2})(?::(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,6}))?)?)?"
    r"(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?)?",
    re.IGNORECASE,
)
_LENGTHS = {"second": timedelta(seconds=1), "minute": timedelta(minutes=1), "hour": timedelta(hours=1)}


@dataclass(frozen=True, slots=True)
class Moment:
    """From `start` on and before `end`, in UTC."""

    start: datetime
    end: datetime


def moment_of(text: str) -> Moment:
    """The day, hour, minute, second or fraction of one that `text` names, without a zone in UTC.

    `ValueError` for all else.
    """
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:40]!r} is no time: expected {FORMS}")
    try:
        hour, minute, second = (found[part] or "00" for part in ("hour", "minute", "second"))
        fraction = found["fraction"] or ""
        start = datetime.fromisoformat(
            f"{found['day']}T{hour}:{minute}:{second}.{fraction:0<6}{(found['zone'] or 'Z').upper()}"
        ).astimezone(UTC)
        return Moment(start, start + _length(found))
    except (ValueError, OverflowError) as exc:
        raise ValueError(f"there is no time {text[:40]}: {exc}") from exc


def _length(found: re.Match[str]) -> timedelta:
    if found["fraction"]:
        return timedelta(microseconds=10 ** (6 - len(found["fraction"])))
    return next((length for part, length in _LENGTHS.items() if found[part]), timedelta(days=1))
