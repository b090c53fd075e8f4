"""From `15m`, a date or an RFC 3339 time to the moments between which rows are looked for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Literal

from cloud.logs.query.where import Where

Clock = Literal["observed", "emitted"]
FORMS = "15m, 2h30m, 7d, now, 14:05, 2027-01-31, 2027-01-31T14:05 or 2027-01-31T14:05:00+01:00"
"""The ways to write a moment, for help and errors."""

_SPAN = re.compile(r"(?:[0-9]{1,9}(?:\.[0-9]{1,6})?[smhdw])+")
_PART = re.compile(r"([0-9.]+)([smhdw])")
_UNITS: Mapping[str, str] = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_TIME_OF_DAY = re.compile(r"[0-2]?[0-9]:[0-5][0-9](?::[0-5][0-9])?")
_COLUMNS: Mapping[Clock, str] = {
    "observed": "observed_timestamp",
    "emitted": "coalesce(timestamp, observed_timestamp)",
}


class TimeError(ValueError):
    """A text that is no moment, or a range that ends before it begins."""


@dataclass(frozen=True, slots=True)
class TimeRange:
    """From `since` on and before `until`, both with a zone; None is without a bound there.

    By the time of arrival, or by the emitter's clock (that of arrival where the emitter gave none).
    """

    since: datetime | None = None
    until: datetime | None = None
    clock: Clock = "observed"

    def __post_init__(self) -> None:
        if self.since is not None and self.until is not None and self.since > self.until:
            raise TimeError(f"cannot use time range: it ends at {rfc3339(self.until)}, before {rfc3339(self.since)}")

    def where(self) -> Where:
        """The range as a condition. The moments are part of the text: only constants make the engine skip rows."""
        bounds = ((">=", self.since), ("<", self.until))
        clauses = [f"{_COLUMNS[self.clock]} {sign} {sql_time(moment)}" for sign, moment in bounds if moment is not None]
        return Where(" AND ".join(clauses) or "true")


def read_time(text: str, now: datetime, *, is_local: bool = False) -> datetime:
    """The moment that `text` names, in UTC: a span before `now`, a time of the last 24 hours, a date, an RFC 3339 time.

    Where `text` has no zone it is UTC, or with `is_local` this machine's. `TimeError` says what was expected.
    """
    written = text.strip()
    try:
        if written == "now":
            return now.astimezone(UTC)
        if _SPAN.fullmatch(written):
            parts = {_UNITS[unit]: float(number) for number, unit in _PART.findall(written)}
            return (now - timedelta(**parts)).astimezone(UTC)
        if _TIME_OF_DAY.fullmatch(written):
            return _last(time.fromisoformat(written if written[2] == ":" else f"0{written}"), now, is_local)
        moment = datetime.fromisoformat(written)
        if moment.tzinfo is None and not is_local:
            moment = moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise TimeError(f"cannot read time {text[:80]!r}: expected {FORMS}") from exc


def is_relative(text: str) -> bool:
    """Whether `text` is a moment by its distance from now, and so another one on each clock."""
    return text.strip() == "now" or _SPAN.fullmatch(text.strip()) is not None


def rfc3339(moment: datetime) -> str:
    """As the API writes times."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def sql_time(moment: datetime) -> str:
    """A moment as a constant of SQL."""
    return f"TIMESTAMPTZ '{moment.astimezone(UTC).strftime('%Y-%m-%d %H:%M:%S.%f').zfill(26)}+00'"


def emitted_at(row: Mapping[str, Any]) -> tuple[datetime, int]:
    """A row's place in the order of the emitters' clocks; that of arrival stands in where there is none."""
    return datetime.fromisoformat(row.get("timestamp") or row["observed_timestamp"]), row["row_id"]


def _last(at: time, now: datetime, is_local: bool) -> datetime:
    day = now.astimezone(None if is_local else UTC).date()
    moment = _moment(datetime.combine(day, at), is_local)
    return moment if moment <= now else _moment(datetime.combine(day - timedelta(days=1), at), is_local)


def _moment(written: datetime, is_local: bool) -> datetime:
    """A time without a zone, by the offset that this machine's zone has at that time."""
    return (written if is_local else written.replace(tzinfo=UTC)).astimezone(UTC)
