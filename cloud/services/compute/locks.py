"""One at a time for each key, as for each instance; others wait their turn, so long and no longer."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from cloud.errors import ComputeError


class KeyLocks:
    """Keeps a lock only of keys that somebody holds or waits for: no more than there are threads."""

    def __init__(self, *, wait_s: float) -> None:
        self._wait_s = wait_s
        self._guard = threading.Lock()
        self._locks: dict[str, tuple[threading.Lock, int]] = {}
        """Each with how many hold it or wait for it."""

    @contextmanager
    def hold(self, key: str) -> Iterator[None]:
        """Have it alone; ComputeError when others have had it for `wait_s`."""
        lock = self._join(key)
        try:
            if not lock.acquire(timeout=self._wait_s):
                raise ComputeError(f"cannot work on {key}: others have been at it for {self._wait_s:g} s")
            try:
                yield
            finally:
                lock.release()
        finally:
            self._leave(key)

    def is_held(self, key: str) -> bool:
        """Whether somebody has it, or waits for it, at this moment."""
        with self._guard:
            return key in self._locks

    def _join(self, key: str) -> threading.Lock:
        with self._guard:
            lock, users = self._locks.get(key, (threading.Lock(), 0))
            self._locks[key] = (lock, users + 1)
            return lock

    def _leave(self, key: str) -> None:
        with self._guard:
            lock, users = self._locks[key]
            if users == 1:
                del self._locks[key]
            else:
                self._locks[key] = (lock, users - 1)
