"""How other threads wake the receiver's."""

import contextlib
import os
import select
import threading


class Waker:
    """A file descriptor to be selected on, which `wake` makes readable from any thread until `clear`."""

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        self._lock = threading.Lock()
        self._is_closed = False

    def fileno(self) -> int:
        return self._fd

    def wake(self) -> None:
        with self._lock:  # the number of a closed file may be somebody else's by now
            if not self._is_closed:
                os.eventfd_write(self._fd, 1)

    def wait(self, timeout_s: float) -> None:
        """Return when woken, or after `timeout_s`."""
        self._poll.poll(timeout_s * 1000)

    def clear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._fd)

    def close(self) -> None:
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                os.close(self._fd)
