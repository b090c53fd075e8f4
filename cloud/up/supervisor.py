"""Keeps programs running: started stage by stage, started again when they end, stopped in the other order."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from cloud.up.process import Process, ProcessError, end_of, start_process

RETRY_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Before each start after an end; the last one goes on."""
STEADY_S = 60.0
POLL_S = 0.02


class Stage(IntEnum):
    """The order of the starts, in which a log line travels backwards, so that nothing is sent to nobody."""

    COLLECTOR = 0
    RSYSLOGD = 1
    BROKER = 2
    SERVICE = 3
    VIEWER = 4


STOP_TIMEOUTS_S = {
    Stage.VIEWER: 0.5,
    Stage.SERVICE: 2.5,
    Stage.BROKER: 0.3,
    Stage.RSYSLOGD: 0.8,
    Stage.COLLECTOR: 0.8,
}
"""What is still there after it is killed: all of them together make the five seconds that a stop may take."""


def _nothing() -> None:
    """For a program that needs no preparation."""


def _at_once() -> bool:
    """For a program that is ready when it runs."""
    return True


@dataclass(frozen=True, slots=True)
class Program:
    """What is to run, and how one knows that it does."""

    name: str
    host: str | None
    stage: Stage
    command: Callable[[], Sequence[str]]
    """Asked at each start."""
    output: Path
    prepare: Callable[[], None] = _nothing
    is_ready: Callable[[], bool] = _at_once
    shows_output: bool = False
    is_kept: bool = True
    """Whether it is started again when it ends."""

    def __str__(self) -> str:
        return f"{self.name} on {self.host}" if self.host else self.name


@dataclass(frozen=True, slots=True)
class Status:
    """How a program stands."""

    program: Program
    pid: int | None
    """None while it is down."""
    restarts: int


@dataclass(slots=True)
class _Child:
    program: Program
    process: Process | None = None
    started_s: float = 0.0
    failures: int = 0
    """In a row."""
    restarts: int = 0
    due_s: float = 0.0

    @property
    def pid(self) -> int | None:
        """None when it has ended, also where nobody has noticed yet."""
        return self.process.pid if self.process is not None and self.process.exit_code is None else None


class Supervisor:
    """All of its methods belong to the main thread, with which the programs end."""

    def __init__(
        self,
        tell: Callable[[Program, str], None],
        clock_s: Callable[[], float] = time.monotonic,
        *,
        steady_s: float = STEADY_S,
    ) -> None:
        """`tell` hears of each end and each new start of a program; `clock_s` gives monotonic seconds.

        What has run for `steady_s` begins with the first of RETRY_S again.
        """
        self._tell = tell
        self._clock_s = clock_s
        self._steady_s = steady_s
        self._children: dict[str, _Child] = {}

    def start(self, programs: Sequence[Program], timeout_s: float) -> None:
        """Start them all at once and return when all are ready.

        `ProcessError` for one that ends or is not ready within `timeout_s`; the others run.
        """
        started = []
        for program in programs:
            child = self._children[str(program)] = _Child(program)
            started.append((program, self._start(child)))
        deadline_s = self._clock_s() + timeout_s
        for program, process in started:
            while not program.is_ready():
                process.check()
                if self._clock_s() > deadline_s:
                    raise ProcessError(f"{program} is not up after {timeout_s:.0f} s: see {program.output}")
                time.sleep(POLL_S)

    def watch(self) -> None:
        """Notice who has ended, and start again who is due; to be called a few times a second."""
        now_s = self._clock_s()
        for child in self._children.values():
            if not child.program.is_kept:
                continue
            if child.process is not None and (code := child.process.exit_code) is not None:
                self._ended(child, code, now_s)
            if child.process is None and now_s >= child.due_s:
                child.restarts += 1
                try:
                    self._start(child)
                    self._tell(child.program, "started again")
                except (ProcessError, OSError) as exc:
                    self._failed(child, str(exc), now_s)

    def stop_one(self, program: Program, timeout_s: float) -> None:
        """End `program`, which is not watched any more until it is started again."""
        child = self._children.pop(str(program))
        if child.process is not None:
            child.process.terminate()
            child.process.end(timeout_s)

    def kill(self, programs: Sequence[Program]) -> None:
        """End those of them that are there, without a chance to say so; they are not watched any more either."""
        for program in programs:
            child = self._children.pop(str(program), None)
            if child is not None and child.process is not None:
                child.process.end(0)

    def statuses(self) -> tuple[Status, ...]:
        """In the order of the starts."""
        return tuple(Status(child.program, child.pid, child.restarts) for child in self._children.values())

    def stop(self) -> None:
        """End all, each stage at once and within its time."""
        for stage in reversed(Stage):
            self.stop_stage(stage, STOP_TIMEOUTS_S[stage])

    def stop_stage(self, stage: Stage, timeout_s: float) -> bool:
        """End all of one stage at once; they are not watched any more. Whether each ended within `timeout_s`."""
        names = [name for name, child in self._children.items() if child.program.stage == stage]
        processes = [child.process for name in names if (child := self._children.pop(name)).process is not None]
        for process in processes:
            process.terminate()
        deadline_s = self._clock_s() + timeout_s
        ended = [process.end(deadline_s - self._clock_s()) for process in processes]  # each, also behind a late one
        return all(ended)

    def _start(self, child: _Child) -> Process:
        program = child.program
        program.prepare()
        process = start_process(str(program), program.command(), program.output, shows_output=program.shows_output)
        child.process, child.started_s = process, self._clock_s()
        return process

    def _ended(self, child: _Child, code: int, now_s: float) -> None:
        child.process = None
        if now_s - child.started_s >= self._steady_s:
            child.failures = 0
        self._failed(child, end_of(code), now_s)

    def _failed(self, child: _Child, what: str, now_s: float) -> None:
        retry_s = RETRY_S[min(child.failures, len(RETRY_S) - 1)]
        child.failures += 1
        child.due_s = now_s + retry_s
        self._tell(child.program, f"{what}; again in {retry_s:g} s, see {child.program.output}")
