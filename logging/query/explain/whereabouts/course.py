"""What the lines of one procedure tell of where its instance is: its steps, its last end, and what was not undone."""

import re
from collections.abc import Sequence

from cloud.logs.query.explain.explanation import Certainty, Position
from cloud.logs.query.explain.ladder import ROLLBACK, Outcome, Stage, failures_of, ladder_of
from cloud.logs.query.explain.operation import Operation
from cloud.logs.query.explain.places import Side

CERTAIN, LIKELY, UNKNOWN = Certainty.CERTAIN, Certainty.LIKELY, Certainty.UNKNOWN
ENDINGS = ("confirm", "revert")
"""Steps by which a move that waits is ended."""

_LEFT = re.compile(r"; may not be undone: ([\w, ]+)\Z")
_GIVEN_UP = "; it was given up: "


class Course:
    """For the rules of each procedure."""

    def __init__(self, operation: Operation) -> None:
        self.ladder: Sequence[Stage] = ladder_of(operation)
        hosts = operation.hosts
        self.source = next(iter(hosts[Side.SOURCE]), None)
        self.destination = next(reversed(hosts[Side.DESTINATION]), None)
        end = operation.end_line
        self.status = None if end is None else str(end.fields["status"])
        """Of the line that ends it; None where there is none."""
        self.error = "" if end is None else str(end.fields.get("error", ""))
        self.events = {line.event for line in operation.lines}
        seen = [stage for stage in self.ladder if stage.is_seen]
        began = next((place for place in range(len(seen) - 1, -1, -1) if seen[place].step in ENDINGS), None)
        self.phase = "move" if began is None else seen[began].step
        """`move`, or what ends one that waits: `confirm` or `revert`."""
        self.stages: Sequence[Stage] = seen[began or 0 :]
        """Of the phase, those that lines tell of."""
        failures = failures_of(self.stages)
        self.failed = failures[-1].step if failures else None
        self.left = _left_of(self.error)
        """Steps that were not undone, as the line says that ends it."""

    def has(self, step: str, *outcomes: Outcome) -> bool:
        """Whether the phase has such a step, with one of the outcomes where some are given."""
        return any(stage.step == step and (not outcomes or stage.outcome in outcomes) for stage in self.stages)

    @property
    def was_undone(self) -> bool:
        """Whether that was tried, be it in vain."""
        return self.has(ROLLBACK)

    @property
    def is_given_up(self) -> bool:
        """Whether an admin has ended the wait for hosts that could not say who has it."""
        return _GIVEN_UP in self.error

    @property
    def is_deleted(self) -> bool:
        return "the instance is deleted" in self.error

    @property
    def goes_nowhere(self) -> bool:
        """Whether its host stays the same."""
        return self.source is not None and self.source == self.destination


def ended(course: Course) -> Position | None:
    """Where the end that a line tells leaves no doubt."""
    if course.status == "completed":
        return Position(course.destination, CERTAIN, True, "the move was completed")
    if course.status == "cancelled" and course.is_deleted:
        return Position(None, LIKELY, None, "it was being deleted")
    if course.status == "cancelled":
        return Position(course.source, CERTAIN, True, "the move was given up, and what was begun is taken back")
    if course.status == "failed":
        return Position(course.source, CERTAIN, True, "the move failed, and what was begun is taken back")
    return None


def nowhere(course: Course, reason: str, doctor: Sequence[str] = ()) -> Position:
    """No line tells which host has it: both may have one."""
    hosts = [f"host {host}" for host in (course.source, course.destination) if host]
    where = " and ".join(hosts)
    return Position(
        None,
        UNKNOWN,
        None,
        f"{reason}: look at the hypervisors of {where or 'both hosts'}",
        copies=(f"{where} may both have a guest of it: start none before that is known",) if len(hosts) > 1 else (),
        doctor=tuple(doctor),
    )


def named(host: str | None) -> str:
    return "a host that no line names" if host is None else f"host {host}"


def _left_of(error: str) -> tuple[str, ...]:
    found = _LEFT.search(error)
    return tuple(found[1].split(", ")) if found else ()
