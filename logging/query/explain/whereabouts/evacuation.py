"""Where an instance is after an evacuation: its old host was down then, and may come back with a guest of it."""

from cloud.logs.query.explain.explanation import Position
from cloud.logs.query.explain.ladder import ROLLBACK, Outcome
from cloud.logs.query.explain.whereabouts.course import CERTAIN, LIKELY, Course, ended, named, nowhere


def after_evacuation(course: Course) -> Position:
    """By the line that ends it, else by how far it has come."""
    source, destination = course.source, course.destination
    old = f"{named(source)} was down, and may still have a guest and a disk of it: back again, it lets that guest go"
    if course.status == "failed":
        reason = (
            "it was undone: the instance is still its old host's, which was down; whether it runs there no line tells"
        )
        return Position(source, CERTAIN, None, reason)
    if course.status == "completed":
        return Position(destination, CERTAIN, True, "the move was completed", copies=(old,))
    if (position := ended(course)) is not None:
        return position
    if course.status == "error" and course.was_undone:
        reason = "not all was undone: the instance is still its old host's, which was down"
        left = f"what was claimed for it on {named(destination)} may be left"
        return Position(source, CERTAIN, None, reason, copies=(left,), doctor=("claim-elsewhere",))
    if course.status == "error":
        reason = "it was handed over, but may not run there"
        return Position(destination, LIKELY, None, reason, copies=(old,), doctor=("guest-missing",))
    if course.has("spawn", Outcome.COMPLETED):
        reason = "it was spawned; no line tells the end of the evacuation"
        return Position(destination, LIKELY, None, reason, copies=(old,), doctor=("migration-left",))
    if course.has("spawn"):
        return nowhere(course, "it was being spawned, and no line tells what came of that", ("migration-left",))
    if course.has(ROLLBACK, Outcome.COMPLETED):
        return Position(source, LIKELY, None, "it was undone; no line tells the end of the evacuation")
    return Position(source, LIKELY, None, "it had not been handed over")
