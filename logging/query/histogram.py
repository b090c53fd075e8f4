"""From a condition and a time range to the numbers of rows over time, by severity."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cloud.logs.emit.levels import SEVERITIES
from cloud.logs.query.counting import Asked, Counting, Counts
from cloud.logs.query.grouping import Intervals, group_of, interval_group
from cloud.logs.query.language.query import Name
from cloud.logs.query.time_range import TimeRange

BUCKETS = 60
MAX_BUCKETS = 1000
_NICE_S = (
    *(each * scale for scale in (0.001, 0.01, 0.1) for each in (1, 2, 5)),
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400),
)
_DAY_S = 86_400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Bucket:
    """One interval; of severities only those that came."""

    begin: datetime
    by_severity: Mapping[str, int]

    @property
    def count(self) -> int:
        return sum(self.by_severity.values())


@dataclass(frozen=True, slots=True)
class Histogram:
    """Every interval of the range in order, those without rows too."""

    interval_s: float
    buckets: list[Bucket]
    counts: Counts


def interval_for(time: TimeRange, buckets: int = BUCKETS) -> float:
    """An interval in round seconds that divides the range, which has both ends, into about so many."""
    if time.since is None or time.until is None:
        raise ValueError("cannot choose an interval for a time range without an end")
    wanted_s = max((time.until - time.since).total_seconds() / buckets, _NICE_S[0])
    if wanted_s > _DAY_S:
        return float(_DAY_S * math.ceil(wanted_s / _DAY_S))
    return float(min(_NICE_S, key=lambda each: abs(math.log(each / wanted_s))))


def histogram(counting: Counting, asked: Asked, interval_s: float) -> Histogram:
    """`ValueError` where the range has more than MAX_BUCKETS intervals, or no ends."""
    time = asked.time
    if time.since is None or time.until is None:
        raise ValueError("cannot draw a time range without an end")
    interval = timedelta(seconds=interval_s)
    first = (time.since - _EPOCH) // interval  # of the intervals since 1970
    number = max(1, -((_EPOCH - time.until) // interval) - first)
    if number > MAX_BUCKETS:
        raise ValueError(f"cannot draw {number} intervals of {interval_s:g} s: at most {MAX_BUCKETS}")
    intervals = Intervals.of(interval_s)
    counts = counting.count(asked, [interval_group(intervals, time.clock), group_of(Name("severity"))])
    found: dict[int, dict[str, int]] = {}
    if counts.groups is not None:
        for place, severity, rows in zip(*(column.to_pylist() for column in counts.groups.columns), strict=True):
            found.setdefault(place, {})[SEVERITIES[severity]] = rows
    places = range(intervals.before_1970 + first, intervals.before_1970 + first + number)
    buckets = [Bucket(intervals.begin_of(place), found.get(place, {})) for place in places]
    return Histogram(interval_s, buckets, counts)
