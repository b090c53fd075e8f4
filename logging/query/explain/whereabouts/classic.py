"""Where an instance is after a procedure of classic nova."""

from cloud.logs.events import BUILD, COMPLETED, EVACUATE, FAILED, MIGRATION, RESIZE
from cloud.logs.query.explain.classic import is_deletion
from cloud.logs.query.explain.explanation import Position
from cloud.logs.query.explain.operation import Ending, Operation
from cloud.logs.query.explain.places import Side
from cloud.logs.query.explain.whereabouts.course import CERTAIN, LIKELY, UNKNOWN


def after_deletion(operation: Operation) -> Position | None:
    """Of a procedure of classic nova that has deleted it; None of another one."""
    if not operation.is_deletion:
        return None
    if operation.ending is Ending.COMPLETED:
        return Position(None, LIKELY, True, "its host has deleted it")
    host = next((line.host for line in operation.lines if is_deletion(line)), None)
    return Position(host, UNKNOWN, None, "it was being deleted; no line tells the end of that")


def after_classic(operation: Operation) -> Position | None:
    """What nova's own lines leave open stays open: it is likely at best."""
    for mark in reversed(operation.marks):
        done = mark.line.message.partition("Migrating instance to ")[2].partition(" finished successfully")[0]
        if mark.step == "post" and mark.suffix == "completed" and done:
            return Position(done, CERTAIN, True, "its source says that it has gone over")
    spawned = next((mark for mark in operation.marks if (mark.step, mark.suffix) == ("spawn", COMPLETED)), None)
    if operation.procedure is BUILD and operation.ending is Ending.COMPLETED and spawned is not None:
        return Position(spawned.line.host, CERTAIN, True, "its host says that it was spawned there")
    success = operation.last_success
    if operation.procedure is RESIZE and operation.ending is Ending.COMPLETED and success is not None:
        return Position(success.line.host, LIKELY, None, "its host says that it runs there; its source may keep a copy")
    failures = [mark for mark in operation.marks if mark.suffix == FAILED]
    failed = min(failures, key=lambda mark: mark.step == "request", default=None)
    source = next(iter(operation.hosts[Side.SOURCE]), None)
    if operation.procedure is MIGRATION and failed is not None:
        if any(mark.step == "post" or (mark.step, mark.suffix) == ("transfer", COMPLETED) for mark in operation.marks):
            host = next(reversed(operation.hosts[Side.DESTINATION]), None)
            reason = "its guest had gone over when the migration failed, though the database may still name its source"
            return Position(host, LIKELY if host else UNKNOWN, None, reason)
        if failed.step == "transfer":
            reason = "its transfer failed; libvirt leaves it at its source then, which no line confirms"
            return Position(source, LIKELY if source else UNKNOWN, None, reason)
        which = "" if source else "it is at its source, which no line names: "
        return Position(source, LIKELY if source else UNKNOWN, None, f"{which}its transfer had not begun")
    if operation.procedure is BUILD and failed is not None:
        return Position(None, LIKELY, None, "it was not built; whether all was taken back no line tells")
    if operation.procedure is RESIZE and failed is not None:
        return Position(source, LIKELY if source else UNKNOWN, None, "it was being moved or resized, and may be off")
    if operation.procedure is EVACUATE and failed is not None:
        return Position(
            None, UNKNOWN, None, f"it was to begin anew on host {failed.line.host}; whether it runs no line tells"
        )
    return None
