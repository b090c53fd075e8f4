"""Where a build or a move can stand, and how each place is tried from the same beginning."""

from collections.abc import Callable, Sequence

from tests.conductor.site import Point

STEP_BEGINS = ("migrations.update", "before")


def try_at(points: Sequence[Point], go_back: Callable[[], None], trial: Callable[[Point], None]) -> None:
    """`go_back` makes all as it was; where a trial fails, the error says at which point."""
    for point in points:
        go_back()
        try:
            trial(point)
        except BaseException as exc:
            exc.add_note(f"at {point}")
            raise


def from_step_of(call: str, points: Sequence[Point]) -> Sequence[Point]:
    """From the beginning of the step on that first makes such a call."""
    made = next(place for place, point in enumerate(points) if point[1] == call)
    return points[max(place for place in range(made) if points[place][1:] == STEP_BEGINS) :]


def between(points: Sequence[Point]) -> Sequence[Point]:
    """Before each call, and behind the last one: behind one all is as it is before the next one."""
    return [*(point for point in points if point[2] == "before"), points[-1]]
