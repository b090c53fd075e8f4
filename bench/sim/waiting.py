"""Waiting for what takes long, as long as it moves."""

import time


class Patience:
    """Bounded: by how long nothing has changed."""

    def __init__(self, what: str, still_s: float) -> None:
        self._what = what
        self._still_s = still_s
        self._last: object = None
        self._moved_s = time.monotonic()

    def check(self, state: object) -> None:
        """TimeoutError when `state` has been the same for too long."""
        now_s = time.monotonic()
        if state != self._last:
            self._last, self._moved_s = state, now_s
        elif now_s - self._moved_s > self._still_s:
            raise TimeoutError(f"waited for {self._what}: nothing has moved for {self._still_s:g} s, at {state}")
