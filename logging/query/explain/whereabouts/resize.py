"""Where an instance is after a resize or a cold migration, and after what ended that.

Until it is confirmed or reverted the old host keeps what it had, set aside: nothing starts that there.
"""

from dataclasses import replace

from cloud.logs.query.explain.explanation import Position
from cloud.logs.query.explain.ladder import ROLLBACK, Outcome
from cloud.logs.query.explain.whereabouts.course import CERTAIN, LIKELY, Course, ended, named, nowhere

_KEPT = ("copy-kept",)
_TWO = ("guest-on-two-hosts", "copy-kept")


def after_resize(course: Course) -> Position:
    """By the line that ends its last phase, else by how far it has come."""
    if course.goes_nowhere and not course.is_deleted:
        return _where_it_was(course)
    if (position := ended(course)) is not None:
        return position
    if course.phase == "confirm":
        return _after_confirm(course)
    return _after_revert(course) if course.phase == "revert" else _after_move(course)


def _where_it_was(course: Course) -> Position:
    reason = "it was to be resized where it is, and no other host has had it"
    if course.status == "error":
        reason += "; it may be off"
    return Position(course.source, CERTAIN, True, reason)


def _after_move(course: Course) -> Position:
    aside = f"{named(course.source)} keeps its own copy, set aside for a revert"
    if course.status == "finished":
        reason = "it waits to be confirmed or reverted; its source keeps its own copy, set aside"
        return Position(course.destination, CERTAIN, True, reason, copies=(aside,))
    if course.status == "error":
        return _move_in_error(course, aside)
    if course.has(ROLLBACK, Outcome.COMPLETED):
        return Position(course.source, LIKELY, None, "it was taken back; no line tells the end of the move")
    if course.has("post", Outcome.COMPLETED):
        reason = "it was handed over; no line tells the end of the move"
        return Position(course.destination, LIKELY, None, reason, copies=(aside,))
    if not course.has("transfer") and not course.has("post"):
        return Position(course.source, LIKELY, None, "its disk had not begun to move")
    return nowhere(course, "it was on its way, and no line tells which host has it", ("migration-left",))


def _move_in_error(course: Course, aside: str) -> Position:
    if course.was_undone and course.left and "pre" not in course.left:
        reason = "it was taken back, but not all of it was"
        left = f"{named(course.destination)} may have a copy of its disk, and a guest of it that is off"
        return Position(
            course.source, CERTAIN, None, reason, copies=(left,), doctor=("guest-on-two-hosts", "copy-kept")
        )
    if course.was_undone:
        found = nowhere(course, "it could not be taken back, is off, and no line tells which host has it")
        left = (
            f"{named(course.source)} may have its own copy, set aside, and {named(course.destination)} another: "
            "either may be the only whole one, so remove none"
        )
        return replace(found, copies=(left,), doctor=("copy-kept", "guest-elsewhere", "guest-missing"))
    if course.failed == "post":
        reason = "it was handed over and is its destination's, but may be off there: its source can take it back"
        return Position(course.destination, LIKELY, None, reason, copies=(aside,), doctor=_KEPT)
    return nowhere(course, "it was on its way, and no line tells which host has it")


def _after_confirm(course: Course) -> Position:
    destination, source = course.destination, named(course.source)
    may_keep = (f"{source} may still have what it kept for a revert, or part of it",)
    if course.status == "confirmed":
        return Position(destination, CERTAIN, True, "the move was confirmed")
    if course.status == "finished":
        reason = (
            "its confirmation failed, and it waits again: its source may have nothing of it any more, "
            "so that it can only be confirmed"
        )
        return Position(destination, CERTAIN, True, reason, copies=may_keep)
    if course.status == "error":
        reason = "its confirmation failed; whether it runs there no line tells"
        kept = (f"{source} may have all that is left of it, set aside: remove nothing there",)
        return Position(destination, LIKELY, None, reason, copies=kept, doctor=_KEPT)
    return Position(
        destination, LIKELY, None, "it was being confirmed; no line tells the end of that", copies=may_keep,
        doctor=("migration-left",),
    )  # fmt: skip


def _after_revert(course: Course) -> Position:
    source, destination = course.source, course.destination
    if course.status == "reverted":
        return Position(source, CERTAIN, True, "the move was reverted")
    if course.status == "finished":
        reason = "its revert failed and was undone: it waits to be confirmed or reverted, as before"
        aside = f"{named(source)} keeps its own copy, set aside for a revert"
        return Position(destination, CERTAIN, True, reason, copies=(aside,))
    left = (f"{named(destination)} may still have its copy, set aside and off",)
    if course.status == "error" and not course.was_undone and course.failed == "cleanup":
        reason = "it is back at its source; only what its destination has of it was not cleared away"
        return Position(source, CERTAIN, True, reason, copies=left, doctor=_KEPT)
    if course.status == "error" and not course.was_undone and course.failed == "revert":
        reason = "its source has it again, but it may be off there"
        return Position(source, LIKELY, None, reason, copies=left, doctor=_KEPT)
    if course.status is None and course.has("cleanup"):
        reason = "its source has it again; no line tells the end of the revert"
        return Position(source, LIKELY, None, reason, copies=left, doctor=("migration-left",))
    both = f"{named(source)} and {named(destination)} may each have a copy, set aside or off: remove none"
    return replace(nowhere(course, "it was being reverted, and no line tells which host has it", _KEPT), copies=(both,))
