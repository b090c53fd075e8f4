"""What the process of a statement gives up for good before it runs what somebody typed: walls, each whole by itself."""

import ctypes
import signal
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress

from cloud.logs.query.sql.walls import landlock, limits, system_calls
from cloud.logs.query.sql.walls.errors import WallError

LIMITS, LANDLOCK, SYSTEM_CALLS = "limits", "landlock", "system_calls"
WALLS = (LIMITS, LANDLOCK, SYSTEM_CALLS)
"""No namespaces: they would keep out what these do, and the collector's unit forbids to make any."""
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38


def end_with_parent() -> None:
    """Be killed when the process that started this one dies; nobody else may look into this one."""
    with suppress(AttributeError, OSError):  # another system
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


class Confinement:
    """In the order of its methods; a wall that this system has not is `missing`, and the others are put up."""

    def __init__(self, walls: Collection[str] = WALLS) -> None:
        self._walls = walls
        self.missing: dict[str, str] = {}
        """Why, by wall."""

    def begin(self) -> None:
        """While there is one thread: for it and all others, no file is written or run, and no TCP spoken."""
        self._put_up(LANDLOCK, lambda: landlock.put_up(may_read=True))

    def finish(self, memory_bytes: int, cpu_s: int, start_last_thread: Callable[[], None] = lambda: None) -> None:
        """Nothing is opened any more, and no thread starts after `start_last_thread`.

        Memory beyond `memory_bytes` more than now is refused, and `cpu_s` more of CPU end the process.
        """
        filters: list[system_calls.Filter] = []
        self._put_up(SYSTEM_CALLS, lambda: filters.append(system_calls.Filter()))
        self._put_up(LANDLOCK, lambda: landlock.put_up(may_read=False))
        start_last_thread()
        if LIMITS in self._walls:
            limits.put_up(memory_bytes, cpu_s)
        for each in filters:  # the last: it refuses to change limits, too
            self._put_up(SYSTEM_CALLS, each.put_up)

    def _put_up(self, wall: str, put_up: Callable[[], None]) -> None:
        if wall in self._walls and wall not in self.missing:
            try:
                put_up()
            except WallError as exc:
                self.missing[wall] = str(exc)


def missing_here() -> Mapping[str, str]:
    """Which walls this system has not, and why; nothing is changed."""
    missing = {}
    for wall, look in ((LANDLOCK, landlock.version), (SYSTEM_CALLS, system_calls.look)):
        try:
            look()
        except WallError as exc:
            missing[wall] = str(exc)
    return missing
