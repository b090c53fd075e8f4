"""What became of the lines of one service: how many left, and how many were dropped and why."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Protocol


class Outcome(IntEnum):
    """Where a line may end."""

    SENT = 0
    QUEUE_FULL = 1
    """Too many waited before it."""
    TOO_LONG = 2
    """No socket takes it."""
    NOT_SENT = 3
    """It waited for its peer until the process ended."""


class Cells(Protocol):
    """A list is one, and a view of memory."""

    def __getitem__(self, index: int, /) -> int: ...

    def __setitem__(self, index: int, value: int, /) -> None: ...


class LineCounts:
    """Whoever adds sees to it that only one thread does at a time."""

    def __init__(self, cells: Cells | None = None) -> None:
        """Count in `cells`, one for each outcome, which may be memory that outlives the process; else in our own."""
        self._cells: Cells = [0] * len(Outcome) if cells is None else cells

    def add(self, outcome: Outcome, lines: int = 1) -> None:
        self._cells[outcome] += lines

    @property
    def sent(self) -> int:
        return self._cells[Outcome.SENT]

    @property
    def dropped(self) -> Mapping[str, int]:
        """By reason, those that there were."""
        reasons = [outcome for outcome in Outcome if outcome is not Outcome.SENT and self._cells[outcome]]
        return {reason.name.lower(): self._cells[reason] for reason in reasons}
