"""Between the listener and the writer: what has been received and waits, bounded in bytes."""

import threading
from collections import deque
from collections.abc import Sequence

from cloud.logs.collector.parsing import Received

MESSAGE_OVERHEAD_BYTES = 200  # what Python keeps for a message beside its payload


class Inbox:
    """A queue whose full state is the back-pressure: `put` waits, the listener reads no more, the senders block."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._waiting: deque[Received] = deque()
        self._bytes = 0
        self._is_closed = False
        self._changed = threading.Condition()

    @property
    def size_bytes(self) -> int:
        return self._bytes

    def put(self, batch: Sequence[Received]) -> None:
        """Add `batch` when there is room; one batch may go over the bound. After `close` there always is."""
        if not batch:
            return
        with self._changed:
            self._changed.wait_for(lambda: self._bytes < self._max_bytes or self._is_closed)
            self._waiting.extend(batch)
            self._bytes += sum(map(_size, batch))
            self._changed.notify_all()

    def take(self, max_messages: int, timeout_s: float | None = None) -> list[Received]:
        """Up to `max_messages` in order of arrival; waits for the first one, and is empty after `timeout_s`.

        Once the inbox is closed it gives what is left and then is empty at once.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed, timeout_s)
            taken = [self._waiting.popleft() for _ in range(min(max_messages, len(self._waiting)))]
            self._bytes -= sum(map(_size, taken))
            self._changed.notify_all()
            return taken

    def close(self) -> None:
        """No more is coming."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    @property
    def is_drained(self) -> bool:
        with self._changed:
            return self._is_closed and not self._waiting


def _size(received: Received) -> int:
    return len(received.message.payload) + MESSAGE_OVERHEAD_BYTES
