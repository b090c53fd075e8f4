"""How many may have an answer without end at once."""

from collections.abc import Iterator
from contextlib import contextmanager

from cloud.logs.query.routes.readers import MEMBERS_PART, BusyError


class Seats:
    """Of one event loop. All members together have one of MEMBERS_PART parts, so that they cannot keep others out."""

    def __init__(self, what: str, seats: int) -> None:
        """`what` is the verb for what they do here."""
        self._what = what
        self._seats = seats
        self._taken = {True: 0, False: 0}
        """By whether they are members."""

    @property
    def taken(self) -> int:
        return sum(self._taken.values())

    @contextmanager
    def seated(self, *, is_member: bool) -> Iterator[None]:
        """A seat until the context is left; `BusyError` when there is none."""
        if self.taken >= self._seats or (is_member and self._taken[True] >= self._seats // MEMBERS_PART):
            raise BusyError(f"cannot {self._what} now: {self._taken[True] if is_member else self.taken} others do")
        self._taken[is_member] += 1
        try:
            yield
        finally:
            self._taken[is_member] -= 1
