"""Backfill itself: compare what the collector has of a host's runs with the host's files, and send what is missing."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from cloud.logs.backfill.client import BackfillClient, RunStatus
from cloud.logs.backfill.files import LogFile, LogFiles, ReadError, list_files, unpacked
from cloud.logs.backfill.records import last_numbered, records
from cloud.logs.collector.lines import MAX_RUN_RANGES, Run, RunState, identity_of
from cloud.logs.collector.ranges import Ranges

MAX_ROUNDS = 3
PIECE_BYTES = 4 << 20
PIECE_LINES = 20_000


class BackfillError(Exception):
    """There is nothing to begin with."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is wanted; without `host` it is the one that wrote the last numbered line."""

    host: str | None = None
    is_dry_run: bool = False
    is_accepting: bool = False
    """Miss no more what no file has, and take the ends that cannot be confirmed for confirmed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run."""

    run: Run
    missing: int
    """How many of its lines the collector did not have, as far as it or the files know."""
    found: int
    filled: int
    still_missing: int
    state: str
    """`closed`, `current`, or why it is neither."""

    @property
    def is_settled(self) -> bool:
        return not self.still_missing and self.state in (RunState.CLOSED, RunState.CURRENT)


def backfill(
    files: LogFiles, collector: BackfillClient, options: Options, warn: Callable[[str], None]
) -> Sequence[Outcome]:
    """Fill, and confirm the ends of runs that are whole then; the runs that had anything missing or unconfirmed.

    `warn` hears of files that cannot be read: then no run is confirmed, since its end may be in there.
    """
    listed = list_files(files)
    current = _current_run(files, listed, warn)
    host = options.host or (current.host if current else None)
    if host is None:
        raise BackfillError("cannot tell the host: no file has a numbered line; say which with --host")
    before = collector.runs(host)
    runs: dict[Run, _Progress] = {
        run: _Progress.of(status, is_current=run == current) for run, status in before.items()
    }
    is_whole = False
    for _ in range(MAX_ROUNDS):
        is_whole = _read_all(files, listed, _Filler(host, current, runs, collector, options), warn)
        again = list_files(files)
        if again == listed:
            break
        listed = again  # rotated under us: a file may have slipped by, and what is stored already is not sent again
    else:
        warn(f"the files were rotated {MAX_ROUNDS} times while they were read")
        is_whole = False
    after = before if options.is_dry_run else collector.runs(host, in_flight=True)
    return [
        outcome
        for run, progress in runs.items()
        if (outcome := _settle(run, progress, after.get(run), collector, options, is_whole=is_whole))
    ]


def _current_run(files: LogFiles, listed: Sequence[LogFile], warn: Callable[[str], None]) -> Run | None:
    """The run that wrote last: of all in the files, the one that may still go on."""
    for file in reversed(listed):
        try:
            if run := last_numbered(files, file):
                return run
        except ReadError as exc:
            warn(str(exc))
    return None


def _read_all(files: LogFiles, listed: Sequence[LogFile], filler: "_Filler", warn: Callable[[str], None]) -> bool:
    """Go through all files; whether each could be read to its end."""
    is_whole = True
    for file in listed:
        try:
            with unpacked(files, file) as stream:
                for record in records(stream):
                    filler.take(record)
        except ReadError as exc:
            warn(str(exc))
            is_whole = False
    filler.flush()
    return is_whole


@dataclass(slots=True)
class _Progress:
    """A run on its way: what of it the collector lacks, and what the files have."""

    is_current: bool
    state: RunState | None = None
    """None for one that the collector has never heard of."""
    gaps: Ranges = field(default_factory=Ranges)
    known_last: int = 0
    local_last: int = 0
    found: Ranges = field(default_factory=Ranges)
    filled: int = 0

    @classmethod
    def of(cls, status: RunStatus, *, is_current: bool) -> "_Progress":
        return cls(is_current, status.state, Ranges(status.gaps), status.last)

    @property
    def last(self) -> int:
        return max(self.known_last, self.local_last)

    @property
    def missing(self) -> int:
        """Of the current run the lines after the last known one are on their way."""
        return self.gaps.count + (0 if self.is_current else self.last - self.known_last)

    def wants(self, number: int) -> bool:
        if number > self.known_last:
            return not self.is_current and not self.found.overlaps(number, number)
        return self.gaps.overlaps(number, number) and not self.found.overlaps(number, number)


class _Filler:
    """Takes the files' records in order and sends those that are missing, in pieces of one run."""

    def __init__(
        self,
        host: str,
        current: Run | None,
        runs: dict[Run, _Progress],
        collector: BackfillClient,
        options: Options,
    ) -> None:
        self._host = host
        self._current = current
        self._runs = runs
        self._collector = collector
        self._options = options
        self._run: Run | None = None
        self._piece: list[bytes] = []
        self._piece_bytes = 0
        self._has_seen_current = False

    def take(self, record: bytes) -> None:
        identity = identity_of(record)
        if identity is None or identity[0].host != self._host:
            return
        run, number = identity
        progress = self._runs.get(run)
        if progress is None:
            progress = self._runs[run] = _Progress(is_current=run == self._current)
        if run == self._current:
            self._has_seen_current = True
        elif self._has_seen_current and not progress.local_last:
            progress.is_current = True  # rsyslogd was restarted while we read
        progress.local_last = max(progress.local_last, number)
        if not progress.wants(number):
            return
        progress.found.add(number, number)
        if self._options.is_dry_run:
            return
        if run != self._run or self._piece_bytes + len(record) > PIECE_BYTES or len(self._piece) == PIECE_LINES:
            self.flush()
        self._run = run
        self._piece.append(record)
        self._piece_bytes += len(record)

    def flush(self) -> None:
        """Send what is held."""
        if self._run is not None and self._piece:
            progress = self._runs[self._run]
            progress.filled += self._collector.send(self._run, self._piece, ended=not progress.is_current)
        self._piece, self._piece_bytes = [], 0


def _settle(
    run: Run,
    progress: _Progress,
    after: RunStatus | None,
    collector: BackfillClient,
    options: Options,
    *,
    is_whole: bool,
) -> Outcome | None:
    """Accept what is lost, confirm the end where that is possible; None when there was nothing to do for the run."""
    if progress.state is None and progress.is_current:
        return None  # all of it is on its way
    if progress.state is RunState.CURRENT and not progress.local_last:
        progress.is_current = True  # it goes on where these files are not from
    missing = list(_still_missing(progress, after))
    if progress.is_current:
        if not progress.missing:
            return None
        if options.is_accepting and not options.is_dry_run:
            missing = _waive(run, missing, collector)
        state: str = RunState.CURRENT
    elif progress.state is RunState.CLOSED and not progress.missing:
        return None
    else:
        if options.is_accepting and not options.is_dry_run:
            missing = _waive(run, missing, collector)
        state = _end(run, progress, collector, options, is_complete=not missing, is_whole=is_whole)
    still = sum(last - first + 1 for first, last in missing)
    return Outcome(run, progress.missing, progress.found.count, progress.filled, still, state)


def _still_missing(progress: _Progress, after: RunStatus | None) -> Iterator[tuple[int, int]]:
    if after is not None:
        for first, last in after.gaps:
            if not progress.is_current:
                yield first, last
                continue
            for asked_first, asked_last in progress.gaps:  # the others are on their way
                if max(first, asked_first) <= min(last, asked_last):
                    yield max(first, asked_first), min(last, asked_last)
    known = after.last if after is not None else 0
    if not progress.is_current and progress.last > known:
        yield known + 1, progress.last


def _waive(run: Run, missing: Sequence[tuple[int, int]], collector: BackfillClient) -> list[tuple[int, int]]:
    for at in range(0, len(missing), MAX_RUN_RANGES):
        collector.waive(run, missing[at : at + MAX_RUN_RANGES])
    return []


def _end(
    run: Run, progress: _Progress, collector: BackfillClient, options: Options, *, is_complete: bool, is_whole: bool
) -> str:
    """The state of a run that is over, after its end was confirmed if that could be."""
    if not is_complete:
        return "unclosed: lines are missing"
    if not options.is_accepting:
        if not progress.local_last:
            return "unclosed: not in the files"
        if not is_whole:
            return "unclosed: a file cannot be read"
    if options.is_dry_run:
        return "unclosed: can be closed"
    collector.close_run(run, progress.last)
    return RunState.CLOSED
