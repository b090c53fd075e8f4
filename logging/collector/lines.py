"""Which numbered lines are stored: what drops a line that comes again, and names the ones that never came."""

import re
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from cloud.logs.collector.ranges import Numbers, Ranges, coarser, ranges_of

Integers = npt.NDArray[np.integer[Any]]

MAX_RUN_RANGES = 10_000
MAX_RANGES = 200_000  # of all runs together: about 16 MB
MAX_RUNS = 20_000
MAX_HOST_RUNS = 500  # so that a host whose rsyslogd restarts all the time pushes out only its own
SETTLE_S = 30.0
MAX_NUMBER = 2**63 - 1

# Six tokens, elements of structured data, and as the last of these the one that rsyslogd has appended. In a message
# that merely quotes one, a space stands before it.
_NUMBERED = re.compile(
    rb"<[0-9]{1,3}>1 (?:[^ ]+ ){5}"
    rb'(?:\[(?:[^"\]\\]|"(?:[^"\\]|\\.)*")*\])*?'
    rb'\[line@32473 host="([^"\]\\]{1,255})" start="([^"\]\\]{1,255})" n="([1-9][0-9]{0,18})"\](?: |\Z)',
    re.DOTALL,
)


@dataclass(frozen=True, slots=True, order=True)
class Run:
    """One life of one host's rsyslogd, which numbers its lines from 1 on."""

    host: str
    start: str


class MarkKind(StrEnum):
    """What a mark says about its numbers. Marks of one kind and run may be joined where they touch or overlap."""

    STORED = "stored"
    """They are in the file that holds the mark."""
    EXPIRED = "expired"
    """They were stored, in a file that is gone by retention: whoever deletes the file keeps its marks as these."""
    WAIVED = "waived"
    """Nobody misses them (accepted as lost, or too scattered to keep account of); what comes of them is stored."""
    CLOSED = "closed"
    """The run is over, and `last` was its last number; `first` is 1."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What holds for the numbers `first` to `last`, inclusive, of a run."""

    run: Run
    first: int
    last: int
    kind: MarkKind = MarkKind.STORED


def identity_of(line: bytes) -> tuple[Run, int] | None:
    """Who has numbered a line in wire format, and its number; None for one that was not forwarded."""
    match = _NUMBERED.match(line)
    if match is None or int(match[3]) > MAX_NUMBER:
        return None
    host, start, number = match.groups()
    return Run(host.decode(errors="replace"), start.decode(errors="replace")), int(number)


@dataclass(frozen=True, slots=True)
class Fresh:
    """What of a batch is to be stored, and the marks that commit with it."""

    keep: npt.NDArray[np.bool_] | None
    """For each row whether it is new; None when all are."""
    marks: Sequence[Mark]
    duplicates: int = 0
    """How many rows are not kept."""
    untracked: int = 0
    """How many are kept without account: should they come again, they will be stored again."""


class RunState(StrEnum):
    """Where a run stands."""

    CURRENT = "current"
    """The newest of its host: more is to come."""
    UNCLOSED = "unclosed"
    """Its host has a newer one, and nobody has confirmed which number was its last."""
    CLOSED = "closed"
    """Its last number is known."""


@dataclass(frozen=True, slots=True)
class RunReport:
    """What is known of a run; `gaps` are ranges (first, last) in order."""

    run: Run
    state: RunState
    last: int
    """Its highest number, as far as known."""
    stored: int
    waived: int
    """How many are waived and not stored."""
    gaps: Sequence[tuple[int, int]]

    @property
    def missing(self) -> int:
        return sum(last - first + 1 for first, last in self.gaps)


class MarkStore(Protocol):
    """What of the store keeps marks that come without rows."""

    def record(self, marks: Sequence[Mark]) -> None:
        """Commit `marks`, from any thread; `StoreError` when the store refuses."""


class LinesMissingError(Exception):
    """A run cannot be closed: lines of it are not stored."""


class LineAccounts:
    """The numbers that are stored, of each run of each host. Any thread may ask; what is not committed changes nothing.

    Bounded: a run whose numbers are in too many pieces is stored without account from there on, and beyond the bound
    on runs the oldest is forgotten, first of its own host. Neither loses a line; both may store one twice. Where too
    many pieces are waived, the narrowest of what is missing between them is waived with them.
    """

    def __init__(
        self, marks: Iterable[Mark], *, settle_s: float = SETTLE_S, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        """`marks` are those of the store, the oldest runs first; a gap is one after `settle_s`, at most twice that."""
        self._settle_s = settle_s
        self._now_s = now_s
        self._lock = threading.Lock()
        self._recording = threading.Lock()
        self._accounts: dict[Run, _Account] = {}
        self._by_host: dict[str, dict[Run, None]] = {}  # the keys of a dict are in the order of their arrival
        self._current: dict[str, Run] = {}
        self._ranges = 0
        self.forgotten = 0
        """How many runs were given up for the bounds."""
        self.reload(marks)

    def reload(self, marks: Iterable[Mark]) -> None:
        """Begin again with the store's marks, as when it has lost a file: for the appending thread, between commits."""
        with self._lock:
            self._accounts.clear()
            self._by_host.clear()
            self._current.clear()
            self._ranges = 0
            now_s = self._now_s()
            for mark in marks:
                self._take(mark, now_s)
            for host, runs in self._by_host.items():  # only now is it known which are over
                alive = [run for run in runs if not self._accounts[run].is_closed]
                self._current[host] = alive[-1] if alive else next(reversed(runs))

    def reload_from(self, read: Callable[[], Iterable[Mark]]) -> None:
        """`reload` with the marks that `read` gives, of which none that is recorded meanwhile is missing."""
        with self._recording:
            self.reload(read())

    def record(self, store: MarkStore, marks: Sequence[Mark]) -> None:
        """Commit marks that come without rows to `store`, and take them in; from any thread. `StoreError`."""
        with self._recording:
            store.record(marks)
            self.committed(marks)

    def fresh(self, runs: Sequence[Run], run_of_row: Integers, numbers: Integers) -> Fresh:
        """Which rows were not stored before, nor come earlier in the batch.

        `run_of_row` says for each row which of `runs` has numbered it, -1 for none; a run may stand there twice.
        """
        if not runs:
            return Fresh(None, ())
        if len(distinct_runs := list(dict.fromkeys(runs))) < len(runs):  # written in two ways
            places = {run: place for place, run in enumerate(distinct_runs)}
            place_of_run = np.array([places[run] for run in runs], np.int32)
            run_of_row = np.where(run_of_row < 0, np.int32(-1), place_of_run[run_of_row])
            runs = distinct_runs
        exact: Numbers = numbers.astype(np.uint64, copy=False)  # signed and unsigned ones mix as floats
        keys = run_of_row.astype(np.int16) if len(runs) <= np.iinfo(np.int16).max else run_of_row
        order = np.argsort(keys, kind="stable")  # of 16 bits it is a radix sort
        by_run = exact[order]
        bounds = np.searchsorted(keys[order], np.arange(len(runs) + 1))
        breaks = np.flatnonzero(by_run[1:] != by_run[:-1] + np.uint64(1)) + 1
        first_break = np.searchsorted(breaks, bounds[:-1], "right")
        is_block = first_break == np.searchsorted(breaks, bounds[1:], "left")
        keep: npt.NDArray[np.bool_] | None = None
        marks: list[Mark] = []
        untracked = 0
        with self._lock:
            for run, begin, end, block in zip(
                runs, bounds[:-1].tolist(), bounds[1:].tolist(), is_block.tolist(), strict=True
            ):
                if begin == end:
                    continue
                account = self._accounts.get(run, _NOTHING)
                first, last = int(by_run[begin]), int(by_run[end - 1])
                if block and not account.known.overlaps(first, last):
                    added = [(first, last)]
                else:
                    distinct, at = np.unique(by_run[begin:end], return_index=True)  # the first of equal ones
                    is_new = ~account.known.contains(distinct)
                    added = ranges_of(distinct[is_new])
                    if np.count_nonzero(is_new) < end - begin:
                        keep = np.ones(len(numbers), np.bool_) if keep is None else keep
                        rows = order[begin:end]
                        keep[rows] = False
                        keep[rows[at[is_new]]] = True
                if self._has_room(account, added):
                    marks += [Mark(run, *each) for each in added]
                else:
                    untracked += sum(b - a + 1 for a, b in added)
                    marks.append(Mark(run, added[0][0], added[-1][1], MarkKind.WAIVED))
        return Fresh(keep, marks, 0 if keep is None else len(keep) - int(np.count_nonzero(keep)), untracked)

    def committed(self, marks: Iterable[Mark]) -> None:
        """Take in marks that are durable."""
        with self._lock:
            now_s = self._now_s()
            for mark in marks:
                self._take(mark, now_s)

    def ended(self, run: Run) -> None:
        """Somebody who knows says that this run is over: what comes of it does not make it its host's current one."""
        with self._lock:
            account = self._accounts.get(run) or self._open(run)
            account.is_ended = True

    def closing(self, run: Run, last: int) -> Sequence[Mark]:
        """The marks by which `run` ends with `last`; `LinesMissingError` unless all of it is stored or waived."""
        with self._lock:
            account = self._accounts.get(run, _NOTHING)
            if missing := sum(b - a + 1 for a, b in account.accounted().holes(last)):
                raise LinesMissingError(
                    f"cannot close run {run.start} of {run.host} at {last}: {missing} of its lines are not stored"
                )
            return (Mark(run, 1, max(last, account.high), MarkKind.CLOSED),)

    def report(self, host: str | None = None, *, in_flight: bool = False) -> Sequence[RunReport]:
        """Every run, of `host` or of all; what may still be on its way is a gap only with `in_flight`."""
        with self._lock:
            now_s = self._now_s()
            runs = self._accounts if host is None else self._by_host.get(host, {})
            return [self._report(run, self._accounts[run], now_s, in_flight) for run in runs]

    def _report(self, run: Run, account: "_Account", now_s: float, in_flight: bool) -> RunReport:
        if account.is_closed:
            state, last = RunState.CLOSED, account.closed_at
        else:
            is_current = self._current.get(run.host) == run and not account.is_ended
            state, last = RunState.CURRENT if is_current else RunState.UNCLOSED, account.high
        seen = last if in_flight or account.is_closed else account.settled_high(now_s, self._settle_s)
        accounted, stored = account.accounted(), account.known.count
        return RunReport(run, state, last, stored, accounted.count - stored, list(accounted.holes(seen)))

    def _has_room(self, account: "_Account", added: Sequence[tuple[int, int]]) -> bool:
        """Whether the bounds on ranges allow `added`, which may close holes rather than make some."""
        room = min(MAX_RUN_RANGES - len(account.known), MAX_RANGES - self._ranges)
        if len(added) <= room:
            return True
        return len(account.known.union(Ranges(added))) - len(account.known) <= max(room, 0)

    def _take(self, mark: Mark, now_s: float) -> None:
        account = self._accounts.get(mark.run) or self._open(mark.run)
        if mark.kind is MarkKind.CLOSED:
            account.closed_at = max(account.closed_at, mark.last)
        elif mark.kind is MarkKind.WAIVED:
            before = len(account.waived)
            account.waived.add(mark.first, mark.last)
            most = max(1, min(MAX_RUN_RANGES, MAX_RANGES - self._ranges + before))
            if len(account.waived) > most:
                account.waived = coarser(account.waived, account.known, max(1, most // 2))
            self._ranges += len(account.waived) - before
        else:
            before = len(account.known)
            account.known.add(mark.first, mark.last)
            self._ranges += len(account.known) - before
        if account.advance(now_s, self._settle_s) and not account.is_ended:
            self._current[mark.run.host] = mark.run

    def _open(self, run: Run) -> "_Account":
        siblings = self._by_host.setdefault(run.host, {})
        if len(siblings) >= MAX_HOST_RUNS:
            self._forget(next(iter(siblings)))
        elif len(self._accounts) >= MAX_RUNS:
            self._forget(next(iter(self._accounts)))
        siblings = self._by_host.setdefault(run.host, {})  # its last run may have been the oldest of all
        account = self._accounts[run] = _Account()
        siblings[run] = None
        return account

    def _forget(self, run: Run) -> None:
        account = self._accounts.pop(run)
        self._ranges -= len(account.known) + len(account.waived)
        self.forgotten += 1
        siblings = self._by_host[run.host]
        del siblings[run]
        if not siblings:
            del self._by_host[run.host]
            self._current.pop(run.host, None)


@dataclass(slots=True)
class _Account:
    known: Ranges = field(default_factory=Ranges)
    """What is stored, or was."""
    waived: Ranges = field(default_factory=Ranges)
    closed_at: int = 0
    """The last number that was confirmed; 0 for none."""
    is_ended: bool = False
    high: int = 0
    _high_s: float = float("-inf")
    # Where `high` stood some time ago: what is missing below that is late.
    _slot_high: int = 0
    _slot_s: float = float("-inf")
    _settled_high: int = 0

    @property
    def is_closed(self) -> bool:
        """Whether its end is confirmed, and nothing beyond that has come since."""
        return 0 < self.closed_at >= self.high

    def accounted(self) -> Ranges:
        return self.known.union(self.waived) if self.waived else self.known

    def advance(self, now_s: float, settle_s: float) -> bool:
        """Follow the highest number; whether it has grown."""
        high = max(self.known.last, self.waived.last)
        if high <= self.high:
            return False
        if now_s - self._slot_s >= settle_s:
            self._settled_high, self._slot_s = self._slot_high, now_s
        if now_s == self._slot_s:  # one commit may bring several ranges
            self._slot_high = high
        self.high, self._high_s = high, now_s
        return True

    def settled_high(self, now_s: float, settle_s: float) -> int:
        if now_s - self._high_s >= settle_s:
            return self.high
        return self._slot_high if now_s - self._slot_s >= settle_s else self._settled_high


_NOTHING = _Account()
