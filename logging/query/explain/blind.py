"""What an explanation could not see: silent hosts, gaps in the numbers, clocks that are off, missing and cut lines."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from cloud.logs.query.explain.gather import Gathered, Window, last_seen
from cloud.logs.query.explain.ladder import Outcome, Stage
from cloud.logs.query.explain.lines import Line, Lines
from cloud.logs.query.explain.missing import Accounts, Looked, NoAccounts, missing
from cloud.logs.query.explain.operation import Operation
from cloud.logs.query.search import SearchError
from cloud.logs.query.time_range import TimeRange

SKEW_SAID = timedelta(seconds=5)
LATE = timedelta(minutes=10)
"""Lines that arrive so long after they were written tell nothing of a clock: they were held up, or filled in later."""
SILENT = timedelta(minutes=3)
"""A host that forwards marks is never silent for so long."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Where lines come from, of which time, and when that is asked."""

    lines: Lines
    time: TimeRange
    now: datetime
    accounts: Accounts = field(default_factory=NoAccounts)
    _last: dict[str, Line | None] = field(default_factory=dict)

    def last_of(self, host: str) -> Line | None:
        """The line of a host that arrived last, which is looked for once."""
        if host not in self._last:
            self._last[host] = last_seen(host, self.time, self.lines)
        return self._last[host]


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
    *,
    is_crowded: bool = False,
) -> tuple[str, ...]:
    """Sentences, those first that are the most likely to hide the cause.

    `is_crowded` where its hosts have said more around the failure than is read.
    """
    found = [
        *_looked_at(_silent(operation, window, asking, skews), "which hosts were silent"),
        *_looked_at(_missing(operation, window, asking, skews), "which lines are missing"),
        *_missing_stages(operation, ladder),
        *_skewed(skews),
        *_cut(operation, gathered, asking.time),
        *_crowded(is_crowded=is_crowded),
        *_flagged(operation),
    ]
    return tuple(dict.fromkeys(found))


def _looked_at(sentences: Iterator[str], what: str) -> Iterator[str]:
    """As far as there is time: what is known of the failure is told all the same."""
    try:
        yield from sentences
    except SearchError:
        yield f"{what} was not looked at to the end: the time was up"


def _silent(operation: Operation, window: Window, asking: Asking, skews: Skews) -> Iterator[str]:
    quiet: list[str] = []
    for host in operation.all_hosts:
        last = asking.last_of(host)
        if last is None:
            yield f"host {host} has no line at all in this time"
            continue
        silent_since = skews.corrected(last).time
        if silent_since < window.until - SILENT:
            yield f"host {host} is silent since {_at(silent_since)}, which is before the end of this"
        elif not _is_heard(host, window, operation) and not _has_spoken(
            host, window.shifted(skews.of(host)), asking.lines
        ):
            begin, end = _at(window.since - SILENT), _at(window.until + SILENT)
            yield f"host {host} has no line from {begin} to {end}, though it has others"
        elif asking.time.until is None and last.observed < asking.now - SILENT:
            quiet.append(f"host {host} since {_at(silent_since)}")
    if quiet:
        yield f"nothing has been heard of {', '.join(quiet)}: what has happened there by now no line tells"


def _is_heard(host: str, window: Window, operation: Operation) -> bool:
    """Whether the procedure's own lines show that the host has spoken then, so that no others need to be asked for."""
    since, until = window.since - SILENT, window.until + SILENT
    return any(line.host == host and since <= line.time < until for line in operation.lines)


def _has_spoken(host: str, window: Window, lines: Lines) -> bool:
    around = replace(window, since=window.since - SILENT, until=window.until + SILENT)
    return last_seen(host, window.arrived, lines, around.where) is not None


def _missing(operation: Operation, window: Window, asking: Asking, skews: Skews) -> Iterator[str]:
    for host in operation.all_hosts:
        yield from missing(Looked(host, window.shifted(skews.of(host)), asking.lines, asking.accounts))


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
    if (cut := gathered.cut) is not None:
        less = "" if cut.telling_since is None else f", and of those none before {_at(cut.telling_since)}"
        yield (
            "there are more lines of it than are read: "
            f"of what came before {_at(cut.whole_since)} only events, warnings and errors are here{less}"
        )
    if time.since is not None and operation.lines[0].observed - time.since < timedelta(seconds=60):
        yield f"the time range begins at {_at(time.since)}: what was before that is not looked at"
    if time.until is not None and time.until - operation.lines[-1].observed < timedelta(seconds=60):
        yield f"the time range ends at {_at(time.until)}: what came after that is not looked at"


def _crowded(*, is_crowded: bool) -> Iterator[str]:
    if is_crowded:
        yield "its hosts have said more around the failure than is read: the oldest of that was not looked at"


def _flagged(operation: Operation) -> Iterator[str]:
    truncated = sum("truncated" in line.flags for line in operation.lines)
    if truncated:
        yield f"{truncated} of these lines are truncated: their middle is gone"
    unverified = sorted({line.host or "-" for line in operation.lines if "host_unverified" in line.flags})
    if unverified:
        yield f"lines of {', '.join(unverified)} come from somebody whose certificate is another's"


def _at(moment: datetime) -> str:
    return moment.isoformat(sep=" ", timespec="seconds")
