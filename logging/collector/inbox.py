"""Between receiving and storing: a fixed pool of batches, which is the bound on memory and the back-pressure."""

import threading
from collections import deque
from collections.abc import Callable, Iterator

from cloud.logs.collector.batch import Batch


class Inbox:
    """Some threads fill batches, one takes them in order; no batch is made after the start.

    Whoever fills works on the current batch under `lock`, so that the other may take it half full.
    """

    def __init__(self, batches: int, batch_bytes: int) -> None:
        self.batches = batches
        self.batch_bytes = batch_bytes
        self.lock = threading.Lock()
        self._changed = threading.Condition(self.lock)
        self._free = [Batch(batch_bytes) for _ in range(batches)]
        self._full: deque[Batch] = deque()
        self._current: Batch | None = None
        self._taken: dict[Batch, None] = {}  # in order
        self._is_closed = False
        self._is_hurried = False
        self._on_room: Callable[[], None] = lambda: None

    @property
    def size_bytes(self) -> int:
        """What has been received and not been given back."""
        with self.lock:
            return sum(batch.used for batch in self._held())

    @property
    def oldest_us(self) -> int | None:
        """When the first message arrived of those that have not been given back; None without any."""
        with self.lock:
            return next((batch.segments[0].observed_us for batch in self._held() if batch.count), None)

    @property
    def is_drained(self) -> bool:
        """Whether nothing waits and nothing is coming."""
        with self.lock:
            return self._is_closed and not self._has_something()

    def on_room(self, tell: Callable[[], None]) -> None:
        """Call `tell`, from the taking thread, when there is room again after `current` has given None."""
        self._on_room = tell

    # With the lock held, by whoever fills:

    def current(self, free_bytes: int) -> Batch | None:
        """A batch with at least `free_bytes` and one message free; None while the pool is used up."""
        batch = self._current
        if batch is not None and (batch.free_bytes < free_bytes or not batch.free_messages):
            self._full.append(batch)
            self._changed.notify_all()
            self._current = batch = None
        if batch is None and self._free:
            self._current = batch = self._free.pop()
        return batch

    def filled(self) -> None:
        """Something was added to the current batch."""
        self._changed.notify_all()

    def hurry(self) -> None:
        """Senders wait for an answer: what is here is not to wait for company."""
        self._is_hurried = True
        self._changed.notify_all()

    # Without it:

    def take(self, timeout_s: float | None = None) -> Batch | None:
        """The oldest batch that holds something, waiting for one; None after `timeout_s`, or when drained."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_something() or self._is_closed, timeout_s)
            batch = None
            if self._full:
                batch = self._full.popleft()
            elif self._has_something():
                batch, self._current = self._current, None
            if batch is not None:
                self._taken[batch] = None
            return batch

    def wait_for_company(self, timeout_s: float) -> bool:
        """Let more come: whether there is a full batch; False after `timeout_s`, or when waiting has to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._full or self._is_hurried or self._is_closed, timeout_s)
            return bool(self._full) and not self._is_hurried

    def take_hurry(self) -> bool:
        """Whether somebody has hurried since the last time; whoever asks takes what is here afterwards."""
        with self.lock:
            is_hurried, self._is_hurried = self._is_hurried, False
            return is_hurried

    def hurry_on(self) -> None:
        """Who has hurried still waits."""
        with self.lock:
            self.hurry()

    def give_back(self, batch: Batch) -> None:
        """Return a taken batch to the pool, empty."""
        with self.lock:
            del self._taken[batch]
            batch.clear()
            self._free.append(batch)
        self._on_room()

    def close(self) -> None:
        """No more is coming."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _has_something(self) -> bool:
        return bool(self._full) or bool(self._current and self._current.count)

    def _held(self) -> Iterator[Batch]:
        """The batches that are not free, the oldest first."""
        yield from self._taken
        yield from self._full
        if self._current is not None:
            yield self._current
