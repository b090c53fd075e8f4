"""Which lines of the hosts of a failure are not in the store, by their numbers and by the collector's own accounts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Protocol

from cloud.logs.collector.lines import RunReport, RunState
from cloud.logs.query.explain.gather import MAX_LINES, Window, last_seen, numbered
from cloud.logs.query.explain.lines import Line, Lines
from cloud.logs.query.time_range import TimeRange
from cloud.logs.query.where import Where

MAX_GAPS = 5
"""Of a run that are told."""
MAX_LOOKED_AT = 20
"""Gaps and runs of a host that are looked at, the newest."""
LONG_BEFORE = timedelta(days=7)
"""A run whose last line came so long before a failure is not looked for."""
_FIRST_NUMBERS = 3

Gap = tuple[int, int]


class Accounts(Protocol):
    """What the collector knows beside the lines."""

    def runs(self, host: str) -> Sequence[RunReport]:
        """Of its rsyslogd, the oldest first, with gaps that may still be on their way."""

    def dropped(self, host: str) -> int:
        """Its lines over its budget, since the collector started."""


class NoAccounts:
    """Nothing beside the lines."""

    def runs(self, _host: str) -> Sequence[RunReport]:
        return ()

    def dropped(self, _host: str) -> int:
        return 0


@dataclass(frozen=True, slots=True)
class Looked:
    """At one host, in the window of its own clock."""

    host: str
    window: Window
    lines: Lines
    accounts: Accounts


def missing(looked: Looked) -> Iterator[str]:
    """In sentences: gaps in the numbers, ends of runs that nobody has confirmed, and lines over a budget."""
    host, window = looked.host, looked.window
    reports = {report.run.start: report for report in looked.accounts.runs(host)}
    found, is_cut = numbered(host, window, looked.lines)
    if is_cut:
        yield f"host {host} has too many lines in this time: whether some are missing was not looked at"
    gaps = {} if is_cut else _gaps_between(found, looked)
    for run, known in _known_gaps(reports, looked).items():
        gaps[run] = sorted({*gaps.get(run, ()), *known})
    for run, each in gaps.items():
        report = reports.get(run)
        given_up = [gap for gap in each if report is not None and not _overlaps(gap, report.gaps)]
        if left := [gap for gap in each if gap not in given_up]:
            yield f"of host {host} lines {_told(left)} are missing (run {run}): `cloud log backfill` may find them"
        if given_up:
            yield (
                f"of host {host} lines {_told(given_up)} are missing for good (run {run}): "
                "they were over its budget, or given up as lost"
            )
    yield from _ends(list(reports.values()), looked) if reports else _new_runs(found, host)
    if dropped := looked.accounts.dropped(host):
        yield (
            f"host {host} is over its daily budget: {dropped} of its lines were dropped since the collector started, "
            "info and debug ones first"
        )


def _gaps_between(found: Sequence[Line], looked: Looked) -> dict[str, list[Gap]]:
    """Between the numbers of lines of the window; those that lie elsewhere in time are not missing."""
    runs: dict[str, list[int]] = {}
    for line in found:
        if line.host_start is not None and line.sequence is not None:
            runs.setdefault(line.host_start, []).append(line.sequence)
    between = {run: _holes(sorted(set(numbers))) for run, numbers in runs.items()}
    return {run: left for run, gaps in between.items() if (left := _confirmed(run, gaps, looked))}


def _confirmed(run: str, gaps: Sequence[Gap], looked: Looked) -> list[Gap]:
    if not gaps:
        return []
    first, last = gaps[0][0], gaps[-1][1]
    where = Where(
        "hostname = $host AND host_start = $run AND sequence BETWEEN $first AND $last",
        {"host": looked.host, "run": run, "first": first, "last": last},
    )
    rows = looked.lines.newest(where, looked.window.arrived, MAX_LINES).rows
    there = sorted({first - 1, last + 1, *(int(row["sequence"]) for row in rows)})
    return _holes(there)


def _holes(numbers: Sequence[int]) -> list[Gap]:
    return [(before + 1, after - 1) for before, after in pairwise(numbers) if after - before > 1]


def _known_gaps(reports: dict[str, RunReport], looked: Looked) -> dict[str, list[Gap]]:
    """Gaps of the accounts that lie in the window, or may reach into it."""
    found: dict[str, list[Gap]] = {}
    for run, report in list(reports.items())[-MAX_LOOKED_AT:]:
        gaps = report.gaps[-MAX_LOOKED_AT:]
        if not gaps:
            continue
        beside = sorted({number for first, last in gaps for number in (first - 1, last + 1)})
        names = [f"number{place}" for place in range(len(beside))]
        where = Where(
            f"hostname = $host AND host_start = $run AND sequence IN ({', '.join(f'${name}' for name in names)})",
            {"host": looked.host, "run": run, **dict(zip(names, beside, strict=True))},
        )
        rows = looked.lines.newest(where, _long(looked.window), len(beside)).rows
        moments = {int(row["sequence"]): _moment(row) for row in rows}
        for first, last in gaps:
            before, after = moments.get(first - 1), moments.get(last + 1)
            is_known = before is not None or after is not None
            is_later = before is not None and before >= looked.window.until
            is_earlier = after is not None and after < looked.window.since
            if is_known and not is_later and not is_earlier:
                found.setdefault(run, []).append((first, last))
    return found


def _ends(reports: Sequence[RunReport], looked: Looked) -> Iterator[str]:
    """Of runs that others have followed: what came behind their last line may not be here."""
    window = looked.window
    for number in range(len(reports) - 1, max(-1, len(reports) - 1 - MAX_LOOKED_AT), -1):
        report = reports[number]
        if report.state is not RunState.UNCLOSED:
            continue
        of_run = Where("host_start = $run", {"run": report.run.start})
        last = last_seen(looked.host, _long(window), looked.lines, of_run)
        if last is None:
            return  # long before
        if last.time >= window.until:
            continue
        begun = _begun(reports[number + 1 :], last, looked)
        if begun is not None and begun <= window.since:
            return
        until = "now" if begun is None else _at(begun)
        yield (
            f"rsyslogd of host {looked.host} was started again, and nobody has confirmed that line {report.last} at "
            f"{_at(last.time)} was the last of run {report.run.start}: "
            f"lines of that host from then to {until} may be missing until `cloud log backfill` has compared"
        )


def _begun(later: Sequence[RunReport], last: Line, looked: Looked) -> datetime | None:
    """When the run behind that line began; None where no line tells."""
    if not later:
        return None
    where = Where(
        "hostname = $host AND host_start = $run AND sequence <= $first",
        {"host": looked.host, "run": later[0].run.start, "first": _FIRST_NUMBERS},
    )
    rows = looked.lines.newest(where, TimeRange(last.observed, None), _FIRST_NUMBERS).rows
    return min(map(_moment, rows), default=None)


def _new_runs(found: Sequence[Line], host: str) -> Iterator[str]:
    """The same where there are no accounts: by the lines of the window alone."""
    if len({line.host_start for line in found if line.host_start is not None}) > 1:
        yield (
            f"rsyslogd of host {host} was started again in this time: "
            "whether the last lines of its run before are here is not known until that run is closed"
        )


def _overlaps(gap: Gap, others: Sequence[Gap]) -> bool:
    return any(first <= gap[1] and gap[0] <= last for first, last in others)


def _told(gaps: Sequence[Gap]) -> str:
    shown = ", ".join(f"{first}-{last}" if first != last else str(first) for first, last in gaps[:MAX_GAPS])
    return f"{shown} and {len(gaps) - MAX_GAPS} more gaps" if len(gaps) > MAX_GAPS else shown


def _long(window: Window) -> TimeRange:
    since = window.arrived.since
    return TimeRange(None if since is None else since - LONG_BEFORE, None)


def _moment(row: dict[str, object]) -> datetime:
    return datetime.fromisoformat(str(row.get("timestamp") or row["observed_timestamp"]))


def _at(moment: datetime) -> str:
    return moment.isoformat(sep=" ", timespec="seconds")
