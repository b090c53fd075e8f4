"""What ends a question before its answer is complete: its deadline, or whoever asked has gone."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

POLL_S = 0.02
"""So often a query that should end is interrupted: one that has not begun yet hears nothing of it."""


@dataclass(frozen=True, slots=True)
class Limit:
    """When a question is over, whatever has been found by then."""

    until_s: float
    """Monotonic."""
    cancelled: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def after(cls, deadline_s: float, cancelled: threading.Event | None = None) -> Self:
        """`deadline_s` from now, or as soon as `cancelled` is set."""
        return cls(time.monotonic() + deadline_s, threading.Event() if cancelled is None else cancelled)

    @property
    def is_over(self) -> bool:
        return self.cancelled.is_set() or time.monotonic() >= self.until_s

    @property
    def left_s(self) -> float:
        return max(0.0, self.until_s - time.monotonic())

    @contextmanager
    def guard(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Call `interrupt` when it is over, if the context still lasts then; never after it was left."""
        left = threading.Event()

        def watch() -> None:
            while not left.wait(POLL_S):
                if self.is_over:
                    interrupt()

        watching = threading.Thread(target=watch, name="query limit", daemon=True)
        watching.start()
        try:
            yield
        finally:
            left.set()
            watching.join()
