"""Waiting for what another process or thread does: bounded, and without sleeping longer than needed."""

import threading
import time
from collections.abc import Callable


def wait_until(predicate: Callable[[], object], timeout_s: float = 10.0, what: str = "the condition") -> None:
    """Return as soon as `predicate` holds; TimeoutError, which names `what`, when it does not within `timeout_s`."""
    never = threading.Event()
    deadline_s = time.monotonic() + timeout_s
    while not predicate():
        if time.monotonic() >= deadline_s:
            raise TimeoutError(f"waited {timeout_s:g} s for {what}")
        never.wait(0.01)
