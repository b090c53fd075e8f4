"""Where an instance is after its build."""

from cloud.logs.query.explain.explanation import Position
from cloud.logs.query.explain.ladder import ROLLBACK, Outcome
from cloud.logs.query.explain.whereabouts.course import CERTAIN, UNKNOWN, Course, named


def after_build(course: Course) -> Position:
    """By the event that ends it."""
    destination = course.destination
    if "instance.create" in course.events:
        return Position(destination, CERTAIN, True, "it was built there")
    if course.has(ROLLBACK, Outcome.FAILED):
        reason = f"not all was taken back: {named(destination)} may have a guest"
        return Position(destination, UNKNOWN, None, reason, doctor=("guest-elsewhere", "claim-elsewhere"))
    if "instance.error" in course.events:
        return Position(None, CERTAIN, True, "it was not built, and what was begun is taken back")
    return Position(destination, UNKNOWN, None, "no line tells the end of the build", doctor=("task-left",))
