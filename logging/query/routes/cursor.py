"""A page's end as text: with the time range, so that the next page is of the same one whatever time it is by then."""

import re
from datetime import UTC, datetime, timedelta

from cloud.logs.query.search import Cursor
from cloud.logs.query.time_range import Clock, TimeRange

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CLOCKS: dict[str, Clock] = {"o": "observed", "e": "emitted"}
_WRITTEN = re.compile(r"(-?\d{1,18})\.(\d{1,20})\.(\d{1,20})\.(-?\d{1,18})?\.(-?\d{1,18})?\.([oe])", re.ASCII)


class CursorError(ValueError):
    """A text that no answer had as `next`."""


def write_cursor(cursor: Cursor, time: TimeRange) -> str:
    """For `read_cursor`, and opaque to everybody else."""
    end = f"{_us(cursor.observed_timestamp)}.{cursor.row_id}.{cursor.up_to_row_id}"
    return f"{end}.{_us(time.since)}.{_us(time.until)}.{time.clock[0]}"


def read_cursor(text: str) -> tuple[Cursor, TimeRange]:
    """`CursorError` for what is none."""
    found = _WRITTEN.fullmatch(text)
    try:
        if found is None:
            raise ValueError("it does not look like one")
        end, row_id, up_to, since, until, clock = found.groups()
        cursor = Cursor(_moment(end), int(row_id), int(up_to))
        return cursor, TimeRange(_moment(since) if since else None, _moment(until) if until else None, _CLOCKS[clock])
    except (ValueError, OverflowError) as exc:
        raise CursorError(f"cannot go on from cursor {text[:80]!r}: {exc}") from exc


def _us(moment: datetime | None) -> str:
    return "" if moment is None else str((moment - _EPOCH) // timedelta(microseconds=1))


def _moment(text: str) -> datetime:
    return _EPOCH + timedelta(microseconds=int(text))
