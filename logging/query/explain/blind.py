"""What an explanation could not see: silent hosts, gaps in the numbers, clocks that are off, missing and cut lines."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from cloud.logs.query.explain.gather import Gathered, Window, last_seen, numbered
from cloud.logs.query.explain.ladder import Outcome, Stage
from cloud.logs.query.explain.lines import Line, Lines
from cloud.logs.query.explain.operation import Operation
from cloud.logs.query.time_range import TimeRange

SKEW_SAID = timedelta(seconds=5)
LATE = timedelta(minutes=10)
"""Lines that arrive so long after they were written tell nothing of a clock: they were held up, or filled in later."""
SILENT = timedelta(minutes=3)
"""A host that forwards marks is never silent for so long."""
MAX_GAPS = 5


@dataclass(frozen=True, slots=True)
class Asking:
    """Where lines come from, of which time, and when that is asked."""

    lines: Lines
    time: TimeRange
    now: datetime


@dataclass(frozen=True, slots=True)
class Skews:
    """How far the clock of each host is ahead, as far as arrival tells; negative where it is behind, or lines are late.

    Only what is ahead is corrected: nothing arrives before it was written, but late it may be for many reasons.
    """

    by_host: Mapping[str, timedelta]

    def of(self, host: str | None) -> timedelta:
        return max(self.by_host.get(host or "", timedelta()), timedelta())

    def corrected(self, line: Line) -> Line:
        """With the time that it would have by the collector's clock."""
        return replace(line, time=line.time - self.of(line.host)) if self.of(line.host) else line


def skews_of(lines: Sequence[Line]) -> Skews:
    """By the line of each host that was quickest to arrive; hosts that are not off by SKEW_SAID are left out."""
    ahead: dict[str, timedelta] = {}
    for line in lines:
        if line.host is not None and line.has_time:
            ahead[line.host] = max(ahead.get(line.host, timedelta.min), line.time - line.observed)
    return Skews({host: by for host, by in ahead.items() if abs(by) >= SKEW_SAID and (by > timedelta() or -by < LATE)})


def not_seen(
    operation: Operation,
    ladder: Sequence[Stage],
    gathered: Gathered,
    skews: Skews,
    window: Window,
    asking: Asking,
) -> tuple[str, ...]:
    """Sentences, those first that are the most likely to hide the cause."""
    found = [
        *_silent(operation, window, asking, skews),
        *_gaps(operation, window, asking.lines, skews),
        *_missing_stages(operation, ladder),
        *_skewed(skews),
        *_cut(operation, gathered, asking.time),
        *_flagged(operation),
    ]
    return tuple(dict.fromkeys(found))


def _silent(operation: Operation, window: Window, asking: Asking, skews: Skews) -> Iterator[str]:
    quiet: list[str] = []
    for host in operation.all_hosts:
        last = last_seen(host, asking.time, asking.lines)
        if last is None:
            yield f"host {host} has no line at all in this time"
            continue
        silent_since = skews.corrected(last).time
        if silent_since < window.until - SILENT:
            yield f"host {host} is silent since {_at(silent_since)}, which is before the end of this"
        elif asking.time.until is None and last.observed < asking.now - SILENT:
            quiet.append(f"host {host} since {_at(silent_since)}")
    if quiet:
        yield f"nothing has been heard of {', '.join(quiet)}: what has happened there by now no line tells"


def _gaps(operation: Operation, window: Window, lines: Lines, skews: Skews) -> Iterator[str]:
    for host in operation.all_hosts:
        found, is_cut = numbered(host, window.shifted(skews.of(host)), lines)
        if is_cut:
            yield f"host {host} has too many lines in this time: whether some are missing was not looked at"
        runs: dict[str, list[int]] = {}
        for line in found:
            if line.host_start is not None and line.sequence is not None:
                runs.setdefault(line.host_start, []).append(line.sequence)
        for run, numbers in runs.items():
            gaps = [] if is_cut else _missing(sorted(set(numbers)))
            shown = ", ".join(f"{first}-{last}" if first != last else str(first) for first, last in gaps[:MAX_GAPS])
            more = f" and {len(gaps) - MAX_GAPS} more gaps" if len(gaps) > MAX_GAPS else ""
            if gaps:
                yield f"of host {host} lines {shown}{more} are missing (run {run}): `cloud log backfill` may find them"
        if len(runs) > 1:
            yield (
                f"rsyslogd of host {host} was started again in this time: "
                "whether the last lines of its run before are here is not known until that run is closed"
            )


def _missing(numbers: Sequence[int]) -> list[tuple[int, int]]:
    return [(before + 1, after - 1) for before, after in pairwise(numbers) if after - before > 1]


def _missing_stages(operation: Operation, ladder: Sequence[Stage]) -> Iterator[str]:
    if operation.is_classic:
        return
    missing = [stage.step for stage in ladder if stage.outcome is Outcome.NOT_SEEN and stage.step != "request"]
    unbegun = [stage.step for stage in ladder if stage.is_seen and not stage.has_start]
    if missing or (unbegun and not any(stage.has_start and stage.is_seen for stage in ladder)):
        steps = ", ".join(dict.fromkeys([*missing, *unbegun]))
        yield (
            f"stages have no line of their beginning or end: {steps}. "
            "A level or a forward filter above INFO drops those: see `cloud log level`, and `cloud config check`"
        )
    if any(stage.step == "request" and stage.outcome is Outcome.NOT_SEEN for stage in ladder):
        yield "the lines of the API's request are not here: another time range, or a host whose lines do not arrive"
    if cut_off := [stage.step for stage in ladder if stage.outcome is Outcome.CUT_OFF]:
        yield f"step {', '.join(cut_off)} was cut off and taken up again: what the one before did last no line tells"


def _skewed(skews: Skews) -> Iterator[str]:
    for host, by in sorted(skews.by_host.items()):
        seconds = abs(by.total_seconds())
        if by > timedelta():
            yield f"the clock of host {host} is {seconds:.0f} s ahead; times here are as it has them"
        else:
            yield f"the clock of host {host} is {seconds:.0f} s behind, or its lines are that late"


def _cut(operation: Operation, gathered: Gathered, time: TimeRange) -> Iterator[str]:
    if gathered.is_cut:
        yield "there are more lines than are read: what was before the oldest of these is not here"
    if time.since is not None and operation.lines[0].observed - time.since < timedelta(seconds=60):
        yield f"the time range begins at {_at(time.since)}: what was before that is not looked at"
    if time.until is not None and time.until - operation.lines[-1].observed < timedelta(seconds=60):
        yield f"the time range ends at {_at(time.until)}: what came after that is not looked at"


def _flagged(operation: Operation) -> Iterator[str]:
    truncated = sum("truncated" in line.flags for line in operation.lines)
    if truncated:
        yield f"{truncated} of these lines are truncated: their middle is gone"
    unverified = sorted({line.host or "-" for line in operation.lines if "host_unverified" in line.flags})
    if unverified:
        yield f"lines of {', '.join(unverified)} come from somebody whose certificate is another's"


def _at(moment: datetime) -> str:
    return moment.isoformat(sep=" ", timespec="seconds")
