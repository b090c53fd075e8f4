"""From a subject to its lines, and to those of the hosts around a failure: what is read, and its bounds.

Of more lines than are read the newest are taken, and of the older ones those that tell most.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cloud.logs.query.explain.asking import among, either
from cloud.logs.query.explain.entries import entries_of
from cloud.logs.query.explain.identity import Subject
from cloud.logs.query.explain.lines import Line, Lines, line_of
from cloud.logs.query.explain.operation import mark_of
from cloud.logs.query.explain.subject import Kind
from cloud.logs.query.time_range import TimeRange, sql_time
from cloud.logs.query.where import Where

MAX_LINES = 5000
"""Of a subject, and of the hosts around a failure."""
MAX_IDS = 50
"""Instances, migrations and requests that are followed from one subject."""
MAX_FOLLOWED = 3
"""Instances of one request whose other lines are read, too, to tell where they are now."""
MAX_HOSTS = 8
EARLIER, LATER = timedelta(minutes=5), timedelta(days=1)
"""Before and behind the arrival of a failure's lines those of its hosts are looked for."""
SYSTEM_SERVICES = ("kernel", "libvirtd", "qemu", "virtlogd", "rsyslogd")
_TOLD_EVENTS = ("service.start", "service.stop", "service.up", "service.down", "rpc.timeout")


_TELLING = Where(
    "(event IS NOT NULL OR severity <= 4 OR message = 'migration ended'"
    r" OR (level IS NULL AND regexp_matches(message, '^[^\[]{0,80} (CRITICAL|ERROR|TRACE|WARNING|AUDIT) ')))"
)
"""What tells how a procedure went, or what went wrong."""


@dataclass(frozen=True, slots=True)
class Cut:
    """There are more lines than are read."""

    whole_since: datetime
    """Of those that arrived before it only what tells most is here."""
    telling_since: datetime | None
    """And of that nothing before this moment; None where all of it is here."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """Lines of the subject in order of time."""

    lines: Sequence[Line]
    instances: tuple[str, ...]
    cut: Cut | None


def gather(subject: Subject, lines: Lines, time: TimeRange) -> Gathered:
    """All lines of the subject, and of what it leads to: a migration's instance, the requests of its procedures."""
    found, first_cut = _read(subject.where(), time, lines)
    instances = _ids([line.instance for line in found])
    if subject.kind is Kind.INSTANCE:
        instances = (subject.id,)
    migrations = _ids([line.migration for line in found])
    requests = _ids([line.request_id for line in found if subject.kind is not Kind.INSTANCE or _tells(line)])
    wanted = [among("migration", migrations), among("request_id", requests)]
    if subject.kind is not Kind.REQUEST or len(instances) <= MAX_FOLLOWED:
        wanted.append(among("instance", instances))
    more, second_cut = _read(either(*wanted), time, lines)
    cuts = [cut for cut in (first_cut, second_cut) if cut is not None]
    cut = max(cuts, key=lambda each: each.whole_since, default=None)
    return Gathered(_whole([*found, *more], lines), instances, cut)


def _read(where: Where, time: TimeRange, lines: Lines) -> tuple[list[Line], Cut | None]:
    found = lines.newest(where, time, MAX_LINES)
    newest = [line_of(row) for row in found.rows]
    if not (found.is_full or len(newest) >= MAX_LINES):
        return newest, None
    older = lines.newest(where.and_(_TELLING), time, MAX_LINES)
    telling = [line_of(row) for row in older.rows]
    is_cut = older.is_full or len(telling) >= MAX_LINES
    first = min(line.observed for line in newest)
    since = min((line.observed for line in telling), default=first) if is_cut else None
    both = {line.row_id: line for line in (*newest, *telling)}
    return list(both.values()), Cut(first, since)


@dataclass(frozen=True, slots=True)
class Window:
    """Between two moments of the emitters' clocks, among what arrived in `arrived`."""

    since: datetime
    until: datetime
    arrived: TimeRange

    @property
    def where(self) -> Where:
        emitted = "coalesce(timestamp, observed_timestamp)"
        return Where(f"{emitted} >= {sql_time(self.since)} AND {emitted} < {sql_time(self.until)}")

    def shifted(self, by: timedelta) -> "Window":
        """For a host whose clock is so far ahead."""
        return replace(self, since=self.since + by, until=self.until + by)


def arrival_of(lines: Sequence[Line]) -> TimeRange:
    """When what other hosts said at the time of these lines has arrived, unless it was held up for longer."""
    observed = [line.observed for line in lines]
    return TimeRange(min(observed) - EARLIER, max(observed) + LATER)


def around(hosts: Sequence[str], window: Window, lines: Lines) -> tuple[Sequence[Line], bool]:
    """What hosts have said then that may matter, and whether there was more."""
    services = among("app_name", SYSTEM_SERVICES).sql
    events = among("event", _TOLD_EVENTS).sql
    matters = Where(
        f"(severity <= 4 OR level IS NULL OR {services} OR {events})",
        {**among("app_name", SYSTEM_SERVICES).parameters, **among("event", _TOLD_EVENTS).parameters},
    )
    where = among("hostname", list(hosts)[:MAX_HOSTS]).and_(matters).and_(window.where)
    found = lines.newest(where, window.arrived, MAX_LINES)
    return entries_of(map(line_of, found.rows)), found.is_full or len(found.rows) >= MAX_LINES


def numbered(host: str, window: Window, lines: Lines) -> tuple[Sequence[Line], bool]:
    """The lines that a host has numbered then, and whether there were more."""
    where = among("hostname", [host]).and_(Where("sequence IS NOT NULL")).and_(window.where)
    found = lines.newest(where, window.arrived, MAX_LINES)
    return [line_of(row) for row in found.rows], found.is_full or len(found.rows) >= MAX_LINES


def last_seen(host: str, time: TimeRange, lines: Lines, where: Where | None = None) -> Line | None:
    """The line of a host that arrived last, of those that `where` wants."""
    wanted = among("hostname", [host]).and_(where or Where())
    rows = lines.newest(wanted, time, 1).rows
    return line_of(rows[-1]) if rows else None


def _whole(found: Sequence[Line], lines: Lines) -> Sequence[Line]:
    """As entries: what goes on with a classic error carries no id, and is looked for beside it."""
    beside: list[Line] = []
    errors = [line for line in found if line.is_classic and line.severity <= 4 and line.host]
    for since, until, hosts in _moments(errors):
        window = Window(since, until, arrival_of(errors))
        plain = Where("(level IS NULL OR level IN ('TRACE', 'ERROR'))")
        where = among("hostname", hosts).and_(plain).and_(window.where)
        beside += map(line_of, lines.newest(where, window.arrived, MAX_LINES).rows)
    known = {line.row_id for line in found}
    ids = {line.row_id: line for line in [*found, *beside]}
    joined = entries_of(ids.values())
    return [line for line in joined if line.row_id in known]


def _moments(errors: Sequence[Line]) -> list[tuple[datetime, datetime, list[str]]]:
    """The times around errors, those that touch as one."""
    margin = timedelta(seconds=1)
    spans: list[tuple[datetime, datetime, list[str]]] = []
    for line in sorted(errors, key=lambda each: each.time):
        host = line.host or ""
        if spans and line.time - margin <= spans[-1][1]:
            since, _, hosts = spans[-1]
            spans[-1] = (since, line.time + margin, sorted({*hosts, host}))
        elif len(spans) < MAX_IDS:
            spans.append((line.time - margin, line.time + margin, [host]))
    return spans


def _ids(values: Sequence[str | None]) -> tuple[str, ...]:
    """Different ones, the newest MAX_IDS of them."""
    found = list(dict.fromkeys(value for value in reversed(values) if value is not None))
    return tuple(reversed(found[:MAX_IDS]))


def _tells(line: Line) -> bool:
    return line.is_classic or mark_of(line) is not None
