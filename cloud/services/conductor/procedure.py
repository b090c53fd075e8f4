"""A procedure over several hosts: named steps in order, each with its undo. What runs one, whatever it does."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Generic, TypeVar

from cloud.logs.emit import logger
from cloud.logs.events import COMPLETED, FAILED, STARTED
from cloud.logs.events import Procedure as Vocabulary
from cloud.rpc.errors import is_expected

ROLLBACK = "rollback"
UNDO_ATTEMPTS = 2

Work = TypeVar("Work")
"""What the steps work on and hand on to one another."""


def nothing(_work: Any) -> None:
    """The undo of a step that leaves nothing behind."""


def unnoted(_work: Any, _step: str) -> None:
    """Nobody keeps a journal."""


def once(_work: Any, _cause: Exception, _attempt: int) -> bool:
    """A step that has failed is not tried again."""
    return False


def always(_work: Any, _cause: Exception) -> bool:
    """Nobody else can have taken the work over."""
    return True


@dataclass(frozen=True, slots=True)
class Step(Generic[Work]):
    """`undo` takes back what `run` did, be it all, some of it or nothing; a second time changes nothing."""

    name: str
    run: Callable[[Work], None]
    undo: Callable[[Work], None] = nothing
    undo_after: str | None = None
    """A later step that may still use what this one did: while the undo of that has failed, this one's waits."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Which step failed, why, and what became of those that had run."""

    step: str
    cause: Exception
    is_ours: bool
    """Whether undoing was ours to do; nothing was undone otherwise."""
    left: tuple[str, ...] = ()
    """Steps whose undo failed at each attempt, or waits for one that did: what they did may be there still."""


@dataclass(frozen=True, slots=True)
class Procedure(Generic[Work]):
    """The steps, and what holds for all of them."""

    vocabulary: Vocabulary
    """Has every step, and with it the events that are logged."""
    steps: Sequence[Step[Work]]
    describe: Callable[[Work], Mapping[str, object]]
    """The fields that each line has beside those of the request context."""
    before: Callable[[Work, str], None] = unnoted
    """Told before each step does anything; what it raises lets the step fail."""
    try_again: Callable[[Work, Exception, int], bool] = once
    """Asked after each failed attempt at a step, with its number from 1 on; may wait before it says yes."""
    may_undo: Callable[[Work, Exception], bool] = always
    """Asked once after a failure, before anything is undone."""
    interruptions: tuple[type[Exception], ...] = ()
    """What ends a run as a kill does, with nothing undone: whoever runs the procedure again takes it up."""
    clock_s: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        """ValueError for a step that the vocabulary does not have."""
        for step in self.steps:
            self.vocabulary.event(step.name, STARTED)

    def run(self, work: Work, *, begin: str | None = None) -> Failure | None:
        """Run the steps in order, from `begin` on where those before it have run already; None when all have.

        At the first failure those that have run are undone in reverse order, with them the one that failed: nobody
        knows how far it came.
        """
        names = [step.name for step in self.steps]
        first = 0 if begin is None else names.index(begin)
        for number, step in enumerate(self.steps[first:], start=first):
            try:
                self._run_step(step, work)
            except self.interruptions:
                raise
            except Exception as exc:  # noqa: BLE001 - a defect, too, must leave nothing behind
                if not self.may_undo(work, exc):
                    return Failure(step.name, exc, is_ours=False)
                return Failure(step.name, exc, is_ours=True, left=self._undo(work, self.steps[: number + 1]))
        return None

    def undo(self, work: Work, *, begin: str | None = None) -> tuple[str, ...]:
        """Undo every step in reverse order, for work that was left behind, who knows where; what is left of it.

        From `begin` on where those behind it have not run.
        """
        names = [step.name for step in self.steps]
        last = len(names) if begin is None else names.index(begin) + 1
        return self._undo(work, self.steps[:last])

    def _run_step(self, step: Step[Work], work: Work) -> None:
        started_s = self.clock_s()
        try:
            self.before(work, step.name)
            started_s = self._say_started(step.name, work)
            self._try(step, work)
        except self.interruptions:
            raise
        except Exception as exc:
            self._say_ended(step.name, work, started_s, exc)
            raise
        self._say_ended(step.name, work, started_s)

    def _try(self, step: Step[Work], work: Work) -> None:
        for attempt in count(1):
            try:
                step.run(work)
            except self.interruptions:
                raise
            except Exception as exc:
                if not self.try_again(work, exc, attempt):
                    raise
                self._line(work, step=step.name, cause=exc).bind(attempt=attempt).warning("step is tried again")
            else:
                return

    def _undo(self, work: Work, steps: Sequence[Step[Work]]) -> tuple[str, ...]:
        """One that fails holds up only those that wait for it, and is tried once more behind the others."""
        left = [step for step in reversed(steps) if step.undo is not nothing]
        if not left:
            return ()
        started_s = self._say_started(ROLLBACK, work)
        last: Exception | None = None
        for _ in range(UNDO_ATTEMPTS):
            failed: list[Step[Work]] = []
            for step in left:
                if step.undo_after in [each.name for each in failed]:
                    failed.append(step)
                    continue
                try:
                    step.undo(work)
                except self.interruptions:
                    raise
                except Exception as exc:  # noqa: BLE001 - as above
                    failed.append(step)
                    last = exc
                    self._line(work, step=step.name, cause=exc).error("cannot undo step")
            left = failed
        self._say_ended(ROLLBACK, work, started_s, last if left else None)
        return tuple(step.name for step in left)

    def _say_started(self, step: str, work: Work) -> float:
        """When that was, in seconds of the clock."""
        self._line(work, step=step, suffix=STARTED).info("step started")
        return self.clock_s()

    def _say_ended(self, step: str, work: Work, started_s: float, cause: Exception | None = None) -> None:
        step_s = round(self.clock_s() - started_s, 3)
        if cause is None:
            self._line(work, step=step, suffix=COMPLETED).bind(step_s=step_s).info("step completed")
        else:
            self._line(work, step=step, suffix=FAILED, cause=cause).bind(step_s=step_s).error("step failed")

    def _line(self, work: Work, *, step: str, suffix: str | None = None, cause: Exception | None = None) -> Any:
        line = logger.bind(step=step, **self.describe(work))
        if suffix is not None and step in self.vocabulary.steps:  # not every procedure has an event for its rollback
            line = line.bind(event=self.vocabulary.event(step, suffix))
        if cause is None:
            return line
        line = line.bind(error=str(cause), cause=type(cause).__name__)
        return line if is_expected(cause) else line.opt(exception=cause)  # a defect has its traceback
