"""Where an instance is after a procedure of classic nova.

What its lines leave open stays open: it is likely at best. A procedure without an end leaves nothing certain of before.
"""

from cloud.logs.events import BUILD, COMPLETED, EVACUATE, FAILED, MIGRATION, RESIZE
from cloud.logs.query.explain.classic import is_deleted, is_deletion, is_post_copy, is_running
from cloud.logs.query.explain.explanation import Position
from cloud.logs.query.explain.operation import Ending, Mark, Operation
from cloud.logs.query.explain.places import Side
from cloud.logs.query.explain.whereabouts.course import CERTAIN, LIKELY, UNKNOWN


def after_request(operation: Operation) -> Position | None:
    """Of one that is of no procedure; None where it has left the instance where it was."""
    if operation.is_deletion:
        return _after_deletion(operation)
    if operation.is_shelving:
        return Position(None, UNKNOWN, None, "it was being shelved; no line tells the end of that")
    running = next((line for line in reversed(operation.lines) if is_running(line)), None)
    if running is not None:
        return Position(running.host, LIKELY, None, "its host says that it runs there")
    claim = next((mark for mark in operation.marks if (mark.step, mark.suffix) == ("claim", COMPLETED)), None)
    if claim is not None and claim.line.is_classic:
        reason = f"host {claim.line.host} has made room for it; no line tells what came of that"
        return Position(None, UNKNOWN, None, reason)
    return None


def _after_deletion(operation: Operation) -> Position:
    if any(map(is_deleted, operation.lines)):
        is_safe = True if operation.ending is Ending.COMPLETED else None
        return Position(None, LIKELY, is_safe, "its host has deleted it")
    host = next((line.host for line in operation.lines if is_deletion(line)), None)
    return Position(host, UNKNOWN, None, "it was being deleted; no line tells the end of that")


def after_classic(operation: Operation) -> Position:
    """By its end, by what failed, else by how far it has come."""
    for mark in reversed(operation.marks):
        done = mark.line.message.partition("Migrating instance to ")[2].partition(" finished successfully")[0]
        if mark.step == "post" and mark.suffix == COMPLETED and done:
            return Position(done, CERTAIN, True, "its source says that it has gone over")
    success = operation.last_success if operation.ending is Ending.COMPLETED else None
    if operation.procedure is BUILD and success is not None:
        return Position(success.line.host, CERTAIN, True, "its host says that it was spawned there")
    if operation.procedure is RESIZE and success is not None:
        return Position(success.line.host, LIKELY, None, "its host says that it runs there; its source may keep a copy")
    failures = [mark for mark in operation.standing_marks if mark.suffix == FAILED]
    failed = min(failures, key=lambda mark: mark.step == "request", default=None)
    if operation.procedure is MIGRATION:
        return _after_migration(operation, failed)
    if operation.procedure is BUILD and failed is not None:
        return Position(None, LIKELY, None, "it was not built; whether all was taken back no line tells")
    if operation.procedure is RESIZE and failed is not None and failed.step not in ("post", "revert"):
        source = _source(operation)
        return Position(source, LIKELY if source else UNKNOWN, None, "it was being moved or resized, and may be off")
    if operation.procedure is EVACUATE and failed is not None:
        reason = f"it was to begin anew on host {failed.line.host}; whether it runs no line tells"
        return Position(None, UNKNOWN, None, reason)
    return Position(None, UNKNOWN, None, f"{operation.name} was begun, and no line tells its end")


def _after_migration(operation: Operation, failed: Mark | None) -> Position:
    steps = {(mark.step, mark.suffix) for mark in operation.standing_marks}
    if ("transfer", COMPLETED) in steps or any(step == "post" for step, _ in steps):
        host = next(reversed(operation.hosts[Side.DESTINATION]), None)
        reason = "its guest had gone over; no line tells the end of the migration"
        if failed is not None:
            reason = "its guest had gone over when the migration failed, though the database may still name its source"
        return Position(host, LIKELY if host else UNKNOWN, None, reason)
    has_begun = any(step == "transfer" for step, _ in steps)
    if failed is None or (has_begun and failed.step != "transfer"):
        return Position(None, UNKNOWN, None, "its migration was begun, and no line tells its end")
    if failed.step == "request":
        return Position(None, UNKNOWN, None, "its migration failed, and no line tells how far it had come")
    if failed.step == "transfer" and any(map(is_post_copy, operation.lines)):
        reason = "its transfer failed when its guest had gone over without all of its memory: look at both hypervisors"
        return Position(None, UNKNOWN, None, reason)
    source = _source(operation)
    if failed.step == "transfer":
        reason = "its transfer failed; libvirt leaves it at its source then, which no line confirms"
        return Position(source, LIKELY if source else UNKNOWN, None, reason)
    which = "" if source else "it is at its source, which no line names: "
    return Position(source, LIKELY if source else UNKNOWN, None, f"{which}its transfer had not begun")


def _source(operation: Operation) -> str | None:
    """None where no line tells, or lines tell of several."""
    hosts = operation.hosts[Side.SOURCE]
    return hosts[0] if len(hosts) == 1 else None
