"""The moves that a nova-conductor has in hand: while they run, it says in their rows that it lives."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from cloud.db.migration_records import MigrationTable
from cloud.services.conductor.moves.move import Move

HEARD_WITHIN = timedelta(hours=1)
"""A mover that has not come by its journal for so long hangs: nobody says that it lives any more."""


class InHand:
    """For steps that write nothing for a while, such as one that waits for the answer of a host.

    Threads share it. Whoever was overtaken is in no row any more, and says nothing.
    """

    def __init__(self, migrations: MigrationTable, now: Callable[[], datetime]) -> None:
        self._migrations = migrations
        self._now = now
        self._lock = threading.Lock()
        self._moves: dict[str, Move] = {}

    @contextmanager
    def holding(self, move: Move) -> Iterator[None]:
        """One that was taken up."""
        owner = move.migration.owner
        if owner is None:
            raise ValueError(f"cannot hold migration {move.migration.id}: it has no owner")
        with self._lock:
            self._moves[owner] = move
        try:
            yield
        finally:
            with self._lock:
                del self._moves[owner]

    def say_alive(self) -> None:
        """To be called far more often than the silence lasts after which a migration is taken for left."""
        with self._lock:
            moves = dict(self._moves)
        heard_since = self._now() - HEARD_WITHIN
        alive = [owner for owner, move in moves.items() if move.migration.updated_at >= heard_since]
        if alive:
            self._migrations.touch(alive)
