"""Where an instance is after its live migration."""

from cloud.logs.query.explain.explanation import Position
from cloud.logs.query.explain.ladder import ROLLBACK, Outcome
from cloud.logs.query.explain.whereabouts.course import CERTAIN, LIKELY, UNKNOWN, Course, ended, named, nowhere

_TWICE = ("guest-on-two-hosts", "guest-elsewhere", "guest-missing")


def after_live(course: Course) -> Position:
    """By the line that ends it, else by how far it has come."""
    if (position := ended(course)) is not None:
        return position
    return _in_error(course) if course.status == "error" else _without_end(course)


def _in_error(course: Course) -> Position:
    source, destination = course.source, course.destination
    if course.is_given_up:
        return nowhere(course, "an admin has given it up while no host could say who has it", _TWICE)
    if _is_lost(course):
        reason = (
            "neither hypervisor has a guest of it: "
            f"look for its disk on {named(source)} and {named(destination)}, and start nothing before"
        )
        return Position(None, UNKNOWN, False, reason, doctor=("guest-missing",))
    if course.left and "transfer" not in course.left:
        reason = "it was taken back to where it was; not all that was prepared for it elsewhere is cleared away"
        left = (
            f"{named(destination)} may have what was left of the steps {', '.join(course.left)}, but no guest that runs"
        )
        return Position(source, CERTAIN, True, reason, copies=(left,), doctor=("claim-elsewhere",))
    if course.was_undone:
        return nowhere(course, "it was not undone, and no line tells which host has it", _TWICE)
    if course.failed == "cleanup":
        reason = "it was handed over and has arrived; only what is left at its source was not cleared away"
        left = f"{named(source)} may still have its disk, where that was copied, but no guest of it"
        return Position(destination, CERTAIN, True, reason, copies=(left,))
    if course.failed == "post":
        reason = "its transfer was completed; the destination has not said that it runs"
        left = f"{named(source)} may still have its disk, where that was copied"
        return Position(destination, LIKELY, None, reason, copies=(left,), doctor=("guest-missing",))
    return nowhere(course, "it was not undone, and no line tells which host has it", _TWICE)


def _without_end(course: Course) -> Position:
    source, destination = course.source, course.destination
    if any(stage.outcome is Outcome.OPEN and stage.failed for stage in course.stages):
        return nowhere(course, "it waits until a host can say who has it, and is asked again", ("migration-uncertain",))
    if course.has(ROLLBACK, Outcome.FAILED):
        return nowhere(course, "it was not undone, and no line tells which host has it", _TWICE)
    if course.has("post", Outcome.COMPLETED):
        return Position(destination, LIKELY, None, "it was handed over; no line tells the end of the migration")
    if course.has(ROLLBACK, Outcome.COMPLETED):
        return Position(source, LIKELY, None, "it was taken back; no line tells the end of the migration")
    if course.has("transfer", Outcome.COMPLETED):
        return Position(destination, LIKELY, None, "its transfer was completed; no line tells that it was handed over")
    if course.has("transfer"):
        return nowhere(course, "it was on its way, and no line tells what came of that", ("migration-left",))
    return Position(source, LIKELY, None, "its transfer had not begun")


def _is_lost(course: Course) -> bool:
    """Whether the conductor has given it up as one that neither host has."""
    failed = [stage.failed for stage in course.stages if stage.failed is not None]
    return any(line.error_class == "LostError" for line in failed)
