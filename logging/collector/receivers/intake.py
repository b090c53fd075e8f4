"""The receiver's end of the inbox: room to read into, and what all connections share while they are read."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cloud.logs.collector.batch import MAX_MESSAGES, Batch
from cloud.logs.collector.compiled import Bytes
from cloud.logs.collector.inbox import Inbox
from cloud.logs.collector.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Views:
    """A batch's buffer, as sockets and scans take it."""

    memory: memoryview
    data: Bytes


class Intake:
    """Used by the receiver's thread alone, mostly with the inbox's lock held."""

    def __init__(self, inbox: Inbox, metrics: Metrics, clock_us: Callable[[], int]) -> None:
        self.inbox = inbox
        self.lock = inbox.lock
        self.metrics = metrics
        self.clock_us = clock_us
        self.starts = np.empty(MAX_MESSAGES, np.int32)
        self.ends = np.empty(MAX_MESSAGES, np.int32)
        self.numbers = np.empty(MAX_MESSAGES, np.int64)
        self.is_stalled = False
        """Whether there was no room since whoever was turned away has been told to try again."""
        self.received_bytes = 0
        self.messages = 0
        """Received and framed since `report`."""
        self._views: dict[Batch, Views] = {}  # as many as the pool has batches

    def room(self, free_bytes: int) -> Batch | None:
        """As `Inbox.current`."""
        batch = self.inbox.current(free_bytes)
        if batch is None:
            self.is_stalled = True  # under the lock: whoever gives a batch back next sees it
        return batch

    def views(self, batch: Batch) -> Views:
        if (views := self._views.get(batch)) is None:
            views = self._views[batch] = Views(memoryview(batch.data), np.frombuffer(batch.data, np.uint8))
        return views

    def report(self) -> None:
        """Once for all that was read in a pass: let the writer know, and the metrics."""
        if self.messages:
            with self.lock:
                self.inbox.filled()
            self.metrics.messages.inc(self.messages)
        if self.received_bytes:
            self.metrics.received_bytes.inc(self.received_bytes)
        self.messages = self.received_bytes = 0
