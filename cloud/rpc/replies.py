"""The queue on which one process gets its replies, and the calls that wait for them."""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager

import kombu
from kombu import Connection, Consumer

from cloud.logs.emit import logger
from cloud.rpc.brokers import Broker
from cloud.rpc.envelope import Reply
from cloud.rpc.errors import BadMessageError, BusUnavailableError
from cloud.rpc.subscription import Subscription
from cloud.rpc.topology import new_reply_queue_name, reply_queue

CLOSE_TIMEOUT_S = 3.0


class Replies:
    """Starts to listen with the first call. Implements the subscription's Handler."""

    def __init__(self, broker: Broker) -> None:
        self.queue = new_reply_queue_name()
        self._broker = broker
        self._waiting: dict[str, Future[Reply]] = {}
        self._lock = threading.Lock()
        self._subscription: Subscription | None = None
        self._is_closed = False
        self._cause = "no connection yet"

    @contextmanager
    def expect(self, request_id: str, *, deadline_s: float) -> Iterator["Future[Reply]"]:
        """The reply to `request_id` to come, from now to the end of the block.

        BusUnavailableError when none could reach us before `deadline_s` (monotonic seconds).
        """
        is_up = self._listening().wait_until_up(deadline_s - time.monotonic())
        future: Future[Reply] = Future()
        with self._lock:
            self._check_open()
            if not is_up:
                raise BusUnavailableError(f"cannot reach {self._broker}: {self._cause}")
            self._waiting[request_id] = future
        try:
            yield future
        finally:
            with self._lock:
                self._waiting.pop(request_id, None)

    def close(self) -> None:
        """Whoever still waits gets a BusUnavailableError."""
        with self._lock:
            self._is_closed = True
            waiting, self._waiting = self._waiting, {}  # whoever takes one out of it answers it
        for future in waiting.values():
            future.set_exception(BusUnavailableError(f"cannot wait for a reply over {self._broker}: closed"))
        if self._subscription is not None:
            self._subscription.close(CLOSE_TIMEOUT_S)

    def subscribe(self, connection: Connection) -> Sequence[Consumer]:
        return [Consumer(connection.channel(), [reply_queue(self.queue)], no_ack=True, on_message=self._take)]

    def refuse(self, cause: str) -> None:
        logger.bind(error=cause).warning("reply refused")

    def tick(self) -> None:
        """Nothing: replies are not acknowledged."""

    def disconnected(self) -> None:
        """Nothing: as above."""

    def is_done(self) -> bool:
        return False

    def went_away(self, cause: str) -> None:
        """Calls say so; the service's own consumer logs it."""
        self._cause = cause

    def came_back(self, away_s: float) -> None:
        """As above."""

    def _listening(self) -> Subscription:
        with self._lock:
            self._check_open()
            if self._subscription is None:
                self._subscription = Subscription("rpc-replies", self._broker, self)
                self._subscription.start()
            return self._subscription

    def _check_open(self) -> None:
        if self._is_closed:
            raise BusUnavailableError(f"cannot call over {self._broker}: closed")

    def _take(self, message: kombu.Message) -> None:
        try:
            reply = Reply.decode(message.body)
        except BadMessageError as exc:
            self.refuse(str(exc))
            return
        with self._lock:
            future = self._waiting.pop(reply.id, None)
        if future is not None:  # else it is late, or came twice
            future.set_result(reply)
