"""Which rows have left the store: who reads page by page learns by them that there is less than when it began."""

import threading
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime

MAX_KEPT = 1000


@dataclass(frozen=True, slots=True)
class Removal:
    """Rows of one file that can be read no more."""

    last: datetime
    """None of them arrived later."""
    last_row_id: int
    is_damage: bool = False
    """Whether nobody wanted them to go."""


ANY = Removal(datetime.max.replace(tzinfo=UTC), 0)
"""Stands for removals that are not known any more."""


class Removals:
    """Since the store was opened. Any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: deque[Removal] = deque(maxlen=MAX_KEPT)
        self.count = 0
        """How many there were."""

    def add(self, removal: Removal) -> None:
        """To be called before the rows go: who has read without them must find it."""
        with self._lock:
            self._newest.append(removal)
            self.count += 1

    def since(self, count: int) -> list[Removal]:
        """Those behind the first `count`."""
        with self._lock:
            number = self.count - count
            return [ANY] if number > len(self._newest) else list(self._newest)[len(self._newest) - number :]
