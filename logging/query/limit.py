"""What ends a question before its answer is complete: its deadline, or whoever asked has gone."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Self

POLL_S = 0.02
"""So often a query that should end is interrupted: one that has not begun yet hears nothing of it."""
IDLE_S = 1.0
"""The thread that watches ends when it had nothing to watch for so long."""


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
        number = _WATCH.add(self, interrupt)
        try:
            yield
        finally:
            _WATCH.remove(number)


class _Watch:
    """Interrupts what is over. One thread for all: to begin one for each query takes as long as a short query."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: dict[int, tuple[Limit, Callable[[], None]]] = {}
        self._last_number = 0
        self._thread: threading.Thread | None = None

    def add(self, limit: Limit, interrupt: Callable[[], None]) -> int:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():  # it is not in a process that was forked
                self._thread = threading.Thread(target=self._run, name="query limit", daemon=True)
                self._thread.start()  # before the entry: where it fails, nobody would take that out again
            self._last_number += 1
            self._watched[self._last_number] = limit, interrupt
            return self._last_number

    def remove(self, number: int) -> None:
        with self._lock:  # nothing is interrupted meanwhile
            del self._watched[number]

    def _run(self) -> None:
        busy_s = time.monotonic()
        while True:
            time.sleep(POLL_S)
            with self._lock:
                if self._watched:
                    busy_s = time.monotonic()
                elif time.monotonic() - busy_s > IDLE_S:
                    self._thread = None
                    return
                for limit, interrupt in self._watched.values():
                    if limit.is_over:
                        with suppress(Exception):  # what cannot be interrupted is nothing to the others
                            interrupt()


_WATCH = _Watch()
