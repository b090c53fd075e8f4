"""Where an instance is after its last procedure, as far as lines show it, and whether exactly one host has it.

A host is certain only where a line says how the procedure ended, or that the instance has arrived; what follows from
other lines is likely, and all else is not known.
"""

from collections.abc import Callable, Mapping, Sequence

from cloud.logs.events import BUILD, EVACUATE, FAILED, MIGRATION, RESIZE
from cloud.logs.query.explain.explanation import Certainty, Position
from cloud.logs.query.explain.ladder import ROLLBACK, Outcome, Stage, failures_of, ladder_of
from cloud.logs.query.explain.lines import Line
from cloud.logs.query.explain.operation import Operation
from cloud.logs.query.explain.places import Side

_AT_HOST = ("instance.start", "instance.stop", "instance.reboot")
_CERTAIN, _LIKELY, _UNKNOWN = Certainty.CERTAIN, Certainty.LIKELY, Certainty.UNKNOWN


def position_of(operations: Sequence[Operation], lines: Sequence[Line]) -> Position | None:
    """Of the instance that all of these are about; None where no line tells anything of it."""
    positions = [found for operation in operations if (found := _after(operation)) is not None]
    last = operations[-1].ended if operations else None
    later = [
        line
        for line in lines
        if line.event and line.event.startswith("instance.") and (last is None or line.time >= last)
    ]
    for line in reversed(later):
        if line.event == "instance.delete":
            return Position(None, _CERTAIN, True, f"the instance is deleted: {_at(line)}")
        if line.event in _AT_HOST and line.host is not None:
            return Position(line.host, _CERTAIN, None, f"host {line.host} has said {line.event} of it: {_at(line)}")
    return positions[-1] if positions else None


def _after(operation: Operation) -> Position | None:
    if operation.procedure is None:
        return None
    if operation.is_classic:
        return _after_classic(operation)
    return _AFTER[operation.procedure.name](_Course(operation))


class _Course:
    """What a procedure's lines tell, for the rules below."""

    def __init__(self, operation: Operation) -> None:
        self.ladder: Sequence[Stage] = ladder_of(operation)
        hosts = operation.hosts
        self.source = next(iter(hosts[Side.SOURCE]), None)
        self.destination = next(reversed(hosts[Side.DESTINATION]), None)
        end = operation.end_line
        self.status = None if end is None else str(end.fields["status"])
        self.error = "" if end is None else str(end.fields.get("error", ""))
        failures = failures_of(self.ladder)
        self.failed = failures[-1].step if failures else None
        self.events = {line.event for line in operation.lines}

    def has(self, step: str, outcome: Outcome) -> bool:
        return any(stage.step == step and stage.outcome is outcome for stage in self.ladder)

    @property
    def is_deleted(self) -> bool:
        return "the instance is deleted" in self.error


def _after_live(course: _Course) -> Position:
    source, destination = course.source, course.destination
    if (ended := _ended(course)) is not None:
        return ended
    if course.status == "error" and course.failed == "cleanup":
        reason = "it was handed over and has arrived; only what is left at its source was not cleared away"
        return Position(destination, _CERTAIN, True, reason)
    if course.status == "error" and course.failed == "post":
        return Position(
            destination, _LIKELY, None, "its transfer was completed; the destination has not said that it runs"
        )
    if course.status == "error" or course.has(ROLLBACK, Outcome.FAILED):
        return _nowhere(course, "it was not undone, and no line tells which host has it")
    if course.has("post", Outcome.COMPLETED):
        return Position(destination, _LIKELY, None, "it was handed over; no line tells the end of the migration")
    if course.has("transfer", Outcome.COMPLETED):
        return Position(destination, _LIKELY, None, "its transfer was completed; no line tells that it was handed over")
    if course.has(ROLLBACK, Outcome.COMPLETED):
        return Position(source, _LIKELY, None, "it was taken back; no line tells the end of the migration")
    if any(stage.step == "transfer" and stage.is_seen for stage in course.ladder):
        return _nowhere(course, "it was on its way, and no line tells what came of that")
    return Position(source, _LIKELY, None, "its transfer had not begun")


def _after_resize(course: _Course) -> Position:
    if course.source is not None and course.source == course.destination and not course.is_deleted:
        return Position(course.source, _CERTAIN, True, "it was to be resized where it is, and no other host has had it")
    if (ended := _ended(course)) is not None:
        return ended
    if course.status == "finished":
        reason = "it waits to be confirmed or reverted; its source keeps its own copy, set aside"
        return Position(course.destination, _CERTAIN, True, reason)
    if course.status == "confirmed":
        return Position(course.destination, _CERTAIN, True, "the move was confirmed")
    if course.status == "reverted":
        return Position(course.source, _CERTAIN, True, "the move was reverted")
    if course.status == "error" and course.has(ROLLBACK, Outcome.COMPLETED):
        return Position(course.source, _LIKELY, None, "it was taken back, but not all of it was")
    if course.status is None and course.has(ROLLBACK, Outcome.COMPLETED):
        return Position(course.source, _LIKELY, None, "it was taken back; no line tells the end of the move")
    if course.status is None and course.has("post", Outcome.COMPLETED):
        return Position(course.destination, _LIKELY, None, "it was handed over; no line tells the end of the move")
    if course.status is None and not any(each.step in ("transfer", "post") and each.is_seen for each in course.ladder):
        return Position(course.source, _LIKELY, None, "its disk had not begun to move")
    return _nowhere(course, "it was on its way, and no line tells which host has it")


def _after_evacuation(course: _Course) -> Position:
    if course.status == "failed":
        reason = (
            "it was undone: the instance is still its old host's, which was down; whether it runs there no line tells"
        )
        return Position(course.source, _CERTAIN, None, reason)
    if (ended := _ended(course)) is not None:
        return ended
    if course.status == "error":
        return Position(course.destination, _LIKELY, None, "it was handed over, but may not run there")
    if course.has("spawn", Outcome.COMPLETED):
        return Position(course.destination, _LIKELY, None, "it was spawned; no line tells the end of the evacuation")
    if any(stage.step == "spawn" and stage.is_seen for stage in course.ladder):
        return _nowhere(course, "it was being spawned, and no line tells what came of that")
    return Position(course.source, _LIKELY, None, "it had not been handed over")


def _after_build(course: _Course) -> Position:
    if "instance.create" in course.events:
        return Position(course.destination, _CERTAIN, True, "it was built there")
    if course.has(ROLLBACK, Outcome.FAILED):
        return Position(
            course.destination, _UNKNOWN, None, f"not all was taken back: host {course.destination} may have a guest"
        )
    if "instance.error" in course.events:
        return Position(None, _CERTAIN, True, "it was not built, and what was begun is taken back")
    return Position(course.destination, _UNKNOWN, None, "no line tells the end of the build")


_AFTER: Mapping[str, Callable[[_Course], Position]] = {
    MIGRATION.name: _after_live,
    RESIZE.name: _after_resize,
    EVACUATE.name: _after_evacuation,
    BUILD.name: _after_build,
}


def _ended(course: _Course) -> Position | None:
    """Where the end that a line tells leaves no doubt."""
    if course.status == "completed":
        return Position(course.destination, _CERTAIN, True, "the move was completed")
    if course.status == "cancelled" and course.is_deleted:
        return Position(None, _LIKELY, None, "it was being deleted")
    if course.status == "cancelled":
        return Position(course.source, _CERTAIN, True, "the move was given up, and what was begun is taken back")
    if course.status == "failed":
        return Position(course.source, _CERTAIN, True, "the move failed, and what was begun is taken back")
    return None


def _nowhere(course: _Course, reason: str) -> Position:
    hosts = " and ".join(f"host {host}" for host in (course.source, course.destination) if host)
    return Position(None, _UNKNOWN, None, f"{reason}: look at the hypervisors of {hosts or 'both hosts'}")


def _after_classic(operation: Operation) -> Position | None:
    """What nova's own lines leave open stays open: it is likely at best."""
    for mark in reversed(operation.marks):
        done = mark.line.message.partition("Migrating instance to ")[2].partition(" finished successfully")[0]
        if mark.step == "post" and mark.suffix == "completed" and done:
            return Position(done, _CERTAIN, True, "its source says that it has gone over")
    failed = next((mark for mark in operation.marks if mark.suffix == FAILED), None)
    source = next(iter(operation.hosts[Side.SOURCE]), None)
    if operation.procedure is MIGRATION and failed is not None:
        if failed.step == "post":
            return Position(None, _UNKNOWN, None, "it had gone over when the migration failed: look at the destination")
        if failed.step == "transfer":
            reason = "its transfer failed; libvirt leaves it at its source then, which no line confirms"
            return Position(source, _LIKELY if source else _UNKNOWN, None, reason)
        which = "" if source else "it is at its source, which no line names: "
        return Position(source, _LIKELY if source else _UNKNOWN, None, f"{which}its transfer had not begun")
    if operation.procedure is BUILD and failed is not None:
        return Position(None, _LIKELY, None, "it was not built; whether all was taken back no line tells")
    if operation.procedure is RESIZE and failed is not None:
        return Position(source, _LIKELY if source else _UNKNOWN, None, "it was being moved or resized, and may be off")
    if operation.procedure is EVACUATE and failed is not None:
        return Position(
            None, _UNKNOWN, None, f"it was to begin anew on host {failed.line.host}; whether it runs no line tells"
        )
    return None


def _at(line: Line) -> str:
    return line.time.isoformat(sep=" ", timespec="seconds")
