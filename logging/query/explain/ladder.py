"""The marks of a procedure -> its ladder: each step with its hosts, when it began, how long it took, how it ended."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from cloud.logs.events import COMPLETED, FAILED, PROGRESS, STARTED
from cloud.logs.query.explain.lines import WARNING, Line
from cloud.logs.query.explain.operation import Mark, Operation
from cloud.logs.query.explain.places import PATHS, SIDES, Side

ROLLBACK = "rollback"
_REFUSED = "host is refused, another one is tried"


class Outcome(StrEnum):
    """Of one stage."""

    COMPLETED = "completed"
    FAILED = "failed"
    REFUSED = "refused"
    """A host has refused it, and another one was tried."""
    OPEN = "no end seen"
    CUT_OFF = "cut off"
    """It began, no line tells its end, and it was taken up again."""
    NOT_SEEN = "no line"
    """Later steps have lines, this one has none."""
    NOT_REACHED = "not reached"


@dataclass(frozen=True, slots=True)
class Stage:
    """One run of one step; of what is None no line tells."""

    step: str
    outcome: Outcome
    attempt: int = 1
    side: Side | None = None
    hosts: tuple[str, ...] = ()
    """Where it does its work, first where most of it is done."""
    began: datetime | None = None
    ended: datetime | None = None
    took_s: float | None = None
    is_resumed: bool = False
    """It had begun before, and whoever did it was gone."""
    has_start: bool = True
    """Whether a line tells that it began."""
    progress: int = 0
    """How many lines told how far it was."""
    failed: Line | None = None
    """The line that says that it failed, or that it has come to a stop for now."""
    marks: tuple[Mark, ...] = field(default=())

    @property
    def is_seen(self) -> bool:
        return self.outcome not in (Outcome.NOT_SEEN, Outcome.NOT_REACHED)


def ladder_of(operation: Operation) -> list[Stage]:
    """Its stages in the order in which they began; steps without a line stand where they should be."""
    procedure = operation.procedure
    if procedure is None:
        return []
    stages: list[Stage] = []
    hosts = _Hosts(operation)
    for mark in operation.marks:
        hosts.hear(mark.line)
        _take(stages, mark, hosts)
    return list(_whole(stages, PATHS[procedure.name], operation))


def failures_of(ladder: Sequence[Stage]) -> list[Stage]:
    """Those that failed, but for rollbacks, in order."""
    return [stage for stage in ladder if stage.outcome is Outcome.FAILED and stage.step != ROLLBACK]


def refusals_of(ladder: Sequence[Stage]) -> list[Stage]:
    """Those that hosts have refused, in order."""
    return [stage for stage in ladder if stage.outcome is Outcome.REFUSED]


class _Hosts:
    """Which host is which side, as far as lines have told up to now."""

    def __init__(self, operation: Operation) -> None:
        self._sides = SIDES[operation.procedure.name] if operation.procedure else {}
        self._named: dict[Side, str] = {}
        self._is_classic = operation.is_classic

    def hear(self, line: Line) -> None:
        fields = line.fields
        if fields.get("source_compute"):
            self._named[Side.SOURCE] = str(fields["source_compute"])
        if found := fields.get("dest_compute") or (line.event and fields.get("host")):
            self._named[Side.DESTINATION] = str(found)
        if line.host is not None and not line.is_classic:
            self._named[Side.CONTROLLER] = line.host

    def of(self, step: str, line: Line) -> tuple[Side | None, tuple[str, ...]]:
        if line.is_classic:
            return None, (line.host,) if line.host else ()
        sides = self._sides.get(step, ())
        return (sides[0] if sides else None), tuple(self._named[side] for side in sides if side in self._named)


def _take(stages: list[Stage], mark: Mark, hosts: _Hosts) -> None:
    number = next((n for n in range(len(stages) - 1, -1, -1) if stages[n].step == mark.step), None)
    side, named = hosts.of(mark.step, mark.line)
    current = None if number is None else stages[number]
    if mark.suffix == STARTED:
        is_again = current is not None and current.outcome is Outcome.OPEN
        if is_again and current is not None and number is not None:
            if mark.line.is_classic:  # nova says some things twice
                return
            stages[number] = replace(current, outcome=Outcome.CUT_OFF)
        attempt = _attempt(stages, is_again=is_again or mark.step == ROLLBACK)
        stages.append(
            Stage(
                mark.step, Outcome.OPEN, attempt, side, named, began=mark.line.time, is_resumed=is_again, marks=(mark,)
            )
        )
        return
    if current is None or number is None or current.outcome is not Outcome.OPEN:
        is_same = current is not None and current.outcome.value == mark.suffix and mark.line.is_classic
        if is_same and current is not None and number is not None and not _is_of_another_host(current, mark):
            stages[number] = replace(current, marks=(*current.marks, mark))  # the same told once more, as an echo
            return
        current = Stage(mark.step, Outcome.OPEN, _attempt(stages, is_again=True), side, named, has_start=False)
        stages.append(current)
        number = len(stages) - 1
    stages[number] = _heard(current, mark, named)
    if mark.suffix == PROGRESS and mark.line.message == _REFUSED:
        refused = stages[number]
        stages[number] = replace(refused, outcome=Outcome.REFUSED, ended=mark.line.time, failed=mark.line)
        stages.append(Stage(mark.step, Outcome.OPEN, refused.attempt + 1, side, began=mark.line.time))


def _is_of_another_host(stage: Stage, mark: Mark) -> bool:
    """Whether a second destination has come to the same end."""
    hosts = {each.line.host for each in stage.marks if each.side is Side.DESTINATION}
    return mark.side is Side.DESTINATION and bool(hosts - {mark.line.host})


def _heard(stage: Stage, mark: Mark, hosts: tuple[str, ...]) -> Stage:
    stage = replace(stage, marks=(*stage.marks, mark), hosts=hosts or stage.hosts)
    if mark.suffix == PROGRESS:
        is_stuck = mark.line.severity <= WARNING and "error" in mark.line.fields
        return replace(stage, progress=stage.progress + 1, failed=mark.line if is_stuck else stage.failed)
    said = mark.line.fields.get("step_s")
    took_s = float(said) if isinstance(said, int | float) else None
    began = stage.began
    if began is None and took_s is not None:
        began = mark.line.time - timedelta(seconds=took_s)
    if took_s is None and began is not None and stage.has_start:
        took_s = (mark.line.time - began).total_seconds()
    outcome = Outcome.COMPLETED if mark.suffix == COMPLETED else Outcome.FAILED
    failed = mark.line if mark.suffix == FAILED else None
    return replace(stage, outcome=outcome, began=began, ended=mark.line.time, took_s=took_s, failed=failed)


def _attempt(stages: Sequence[Stage], *, is_again: bool) -> int:
    """What follows a failed step, but for its rollback, is another attempt."""
    last = stages[-1] if stages else None
    if last is None:
        return 1
    has_failed = any(
        stage.attempt == last.attempt and stage.outcome is Outcome.FAILED and stage.step != ROLLBACK for stage in stages
    )
    return (
        last.attempt + 1 if has_failed and not is_again and last.step in (ROLLBACK, *_failed(stages)) else last.attempt
    )


def _failed(stages: Sequence[Stage]) -> list[str]:
    return [stage.step for stage in stages if stage.outcome is Outcome.FAILED]


def _whole(stages: Sequence[Stage], path: Sequence[str], operation: Operation) -> Iterator[Stage]:
    """With the steps of the path that have no line: those before one that has, and those behind the last one."""
    seen = {stage.step for stage in stages}
    next_step = 0
    for stage in stages:
        if stage.step in path:
            index = path.index(stage.step)
            if not operation.is_classic:
                for step in path[next_step:index]:
                    if step not in seen:
                        yield Stage(step, Outcome.NOT_SEEN, stage.attempt)
            next_step = max(next_step, index + 1)
        yield stage
    if not operation.is_classic:
        for step in path[next_step:]:
            yield Stage(step, Outcome.NOT_REACHED, stages[-1].attempt if stages else 1)
