"""A connection that one thread consumes from, and that is made again whenever it breaks, until it is closed."""

import os
import select
import threading
import time
from collections.abc import Sequence
from typing import Protocol

from kombu import Connection, Consumer

from cloud.logs.emit import logger
from cloud.logs.emit.speaker import in_same_voice
from cloud.rpc.brokers import Broker, GarbageError, one_line

RETRY_S = (0.1, 0.3, 1.0, 2.0)
"""Between two attempts to connect; the last one goes on."""
CHECK_S = 5.0
TURN_S = 5.0
"""While nothing arrives: a host has several of these, and a cloud hundreds of hosts on one broker."""
MAX_TAKEN = 100
"""Messages in one turn: then the handler has its own."""


class Handler(Protocol):
    """What is done with a connection; all of it is called in the subscription's own thread."""

    def subscribe(self, connection: Connection) -> Sequence[Consumer]:
        """Declare and bind what is to be consumed, on a connection that is new."""

    def disconnected(self) -> None:
        """The connection is gone; what it brought and is not acknowledged comes again over another."""

    def refuse(self, cause: str) -> None:
        """Count and log what was in a queue and is no message; it is gone."""

    def tick(self) -> None:
        """Do what must be done on the connection: after each turn, a `wake`, and at least every TURN_S.

        Also at least every `hold_interval_s` of the broker.
        """

    def is_done(self) -> bool:
        """Whether the end has come; asked after each tick."""

    def went_away(self, cause: str) -> None:
        """The broker cannot be reached; said once until it is back."""

    def came_back(self, away_s: float) -> None:
        """What was away is back."""


class Subscription:
    """Runs a Handler. Neither the broker's errors nor a defect of ours ends it: it connects again."""

    def __init__(self, name: str, broker: Broker, handler: Handler) -> None:
        self._broker = broker
        self._handler = handler
        self._closed = threading.Event()
        self._is_up = threading.Event()
        self._away_since_s: float | None = None
        self._wakes: int | None = None  # while the thread lives
        self._wake_lock = threading.Lock()
        self._thread = threading.Thread(target=in_same_voice(self._run), name=name, daemon=True)

    def start(self) -> None:
        self._wakes = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread.start()

    def wait_until_up(self, timeout_s: float) -> bool:
        """Whether messages can come in, within `timeout_s`; at once when it is closed."""
        return self._is_up.wait(max(0.0, timeout_s)) and self.is_up

    @property
    def is_up(self) -> bool:
        """Whether messages can come in now."""
        return self._is_up.is_set() and not self._closed.is_set()

    def wake(self) -> None:
        """Have the handler tick now."""
        with self._wake_lock:
            if self._wakes is not None:
                os.eventfd_write(self._wakes, 1)

    def close(self, timeout_s: float) -> None:
        """End at the next turn; when this returns the thread has ended, or `timeout_s` has passed."""
        self._closed.set()
        self._is_up.set()  # for whoever waits
        self.wake()
        self.join(timeout_s)

    def join(self, timeout_s: float) -> None:
        """Wait for the end, to which the handler has come by itself."""
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        attempt = 0
        while not self._closed.is_set() and not self._handler.is_done():
            try:
                self._connect_and_consume()
            except self._broker.failures as exc:
                self._went_away(exc)
            except Exception as exc:  # noqa: BLE001 - a service that no longer hears anything helps nobody
                logger.opt(exception=exc).error("cannot handle what the bus delivered")
                self._went_away(exc)
            attempt = 0 if self._is_up.is_set() else attempt + 1
            self._is_up.clear()
            if not self._handler.is_done():
                self._closed.wait(RETRY_S[min(attempt, len(RETRY_S) - 1)])
        self._is_up.set()  # for whoever began to wait just now
        with self._wake_lock:
            if self._wakes is not None:
                os.close(self._wakes)
            self._wakes = None

    def _connect_and_consume(self) -> None:
        connection = self._broker.connect(is_consumed=True)
        try:
            self._consume(connection)
            connection.release()  # says goodbye: what is not acknowledged goes back at once
        finally:
            self._broker.drop(connection)
            self._handler.disconnected()

    def _consume(self, connection: Connection) -> None:
        for consumer in self._handler.subscribe(connection):
            consumer.consume()
        self._take(connection)  # on Redis it is only now that a fanout finds us
        self._came_back()
        self._is_up.set()
        next_check_s = time.monotonic() + CHECK_S
        while not self._closed.is_set():
            self._handler.tick()
            if self._handler.is_done():
                return
            if self._take(connection) < MAX_TAKEN:
                self._wait(connection)
            if time.monotonic() >= next_check_s:
                next_check_s = time.monotonic() + CHECK_S
                self._broker.check(connection)

    def _take(self, connection: Connection) -> int:
        """Hand on what has arrived; how many messages, or parts of them, that was."""
        for taken in range(MAX_TAKEN):
            try:
                if not self._broker.take(connection):
                    return taken
            except GarbageError as exc:
                self._handler.refuse(str(exc))
        return MAX_TAKEN

    def _wait(self, connection: Connection) -> None:
        """Until something arrives, or somebody wakes us, or it is time for the next turn."""
        assert self._wakes is not None  # noqa: S101 - it is our own thread that closes it
        poll = select.poll()
        for descriptor in (self._wakes, *self._broker.descriptors(connection)):
            poll.register(descriptor, select.POLLIN)
        turn_s = min(TURN_S, self._broker.hold_interval_s)
        if (self._wakes, select.POLLIN) in poll.poll(turn_s * 1000):
            os.eventfd_read(self._wakes)

    def _went_away(self, exc: Exception) -> None:
        if self._away_since_s is None:
            self._away_since_s = time.monotonic()
            self._handler.went_away(one_line(exc))

    def _came_back(self) -> None:
        if self._away_since_s is not None:
            away_s, self._away_since_s = time.monotonic() - self._away_since_s, None
            self._handler.came_back(away_s)
