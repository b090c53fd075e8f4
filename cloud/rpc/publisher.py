"""Messages to the broker: over a few connections that threads share, made again when they break, until a deadline."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from kombu import Connection, Exchange, Producer

from cloud.rpc.brokers import Broker, one_line
from cloud.rpc.errors import BusUnavailableError, NoSuchTargetError

MAX_CONNECTIONS = 4
RETRY_S = (0.05, 0.2, 0.5, 1.0)
"""Between two attempts; the last one goes on."""


@dataclass(frozen=True, slots=True)
class Message:
    """A body and where it goes."""

    body: bytes
    exchange: Exchange
    routing_key: str
    must_arrive: bool = True
    """Whether a queue has to be there for it; otherwise nobody may listen."""
    is_kept: bool = True
    """Whether it survives a restart of the broker."""
    expiration_s: float | None = None


class Publisher:
    """Sends from any thread. What it has sent, the broker has (RabbitMQ confirms it, Redis answers)."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self._idle: deque[_Link] = deque()
        self._free = threading.Semaphore(MAX_CONNECTIONS)
        self._closed = threading.Event()

    def send(self, message: Message, *, deadline_s: float) -> None:
        """Send `message` before `deadline_s` (monotonic seconds).

        BusUnavailableError: the broker does not answer or refuses; it may have the message all the same.
        NoSuchTargetError: nobody listens there; nothing was sent.
        """
        self._until(deadline_s, lambda link: link.send(message, self.broker, deadline_s))

    def send_reply(self, queue: str, body: bytes, *, deadline_s: float) -> None:
        """Send to a queue that may be gone with its process: then the reply goes too."""
        self.send(Message(body, Exchange(""), queue, must_arrive=False, is_kept=False), deadline_s=deadline_s)

    def close(self) -> None:
        """End all connections; whoever is trying to send gets a BusUnavailableError."""
        self._closed.set()
        self._close_idle()

    def _close_idle(self) -> None:
        with suppress(IndexError):  # another thread may close them too
            while True:
                self._idle.popleft().close(self.broker)

    def _until(self, deadline_s: float, send: Callable[["_Link"], None]) -> None:
        attempt = 0
        while True:
            try:
                with self._link(deadline_s) as link:
                    send(link)
                return
            except _BrokenError as exc:
                pause_s = RETRY_S[min(attempt, len(RETRY_S) - 1)]
                attempt += 1
                if time.monotonic() + pause_s >= deadline_s or self._closed.wait(pause_s):
                    raise BusUnavailableError(f"cannot reach {self.broker}: {exc}") from exc.__cause__

    @contextmanager
    def _link(self, deadline_s: float) -> Iterator["_Link"]:
        if not self._free.acquire(timeout=max(0.0, deadline_s - time.monotonic())):
            raise BusUnavailableError(f"cannot send to {self.broker}: all {MAX_CONNECTIONS} connections are in use")
        try:
            if self._closed.is_set():
                raise BusUnavailableError(f"cannot send to {self.broker}: closed")
            try:
                link = self._idle.pop()
            except IndexError:
                link = _Link.open(self.broker, deadline_s)
            try:
                yield link
            finally:
                if link.is_broken:
                    link.close(self.broker)
                    self._close_idle()  # the others are as old, and no better
                else:
                    self._idle.append(link)
                if self._closed.is_set():
                    self._close_idle()
        finally:
            self._free.release()


class _BrokenError(Exception):
    """A connection that is of no more use."""


@dataclass(slots=True)
class _Link:
    connection: Connection
    producer: Producer
    returned: list[str] = field(default_factory=list)
    is_broken: bool = False

    @classmethod
    def open(cls, broker: Broker, deadline_s: float) -> "_Link":
        try:
            connection = broker.connect(timeout_s=max(0.05, deadline_s - time.monotonic()), is_consumed=False)
            try:
                channel = connection.channel()
            except BaseException:
                broker.drop(connection)
                raise
        except broker.failures as exc:
            raise _BrokenError(one_line(exc)) from exc
        link = cls(connection, Producer(channel, auto_declare=False))
        events = getattr(channel, "events", None)
        if events is not None:  # AMQP's basic.return comes before the confirmation
            events["basic_return"].add(lambda *_returned: link.returned.append("returned"))
        return link

    def send(self, message: Message, broker: Broker, deadline_s: float) -> None:
        with self.in_use(broker):
            if message.exchange.name:
                self.producer.maybe_declare(message.exchange)  # on Redis it would reach nobody otherwise
            channel, exchange, key = self.producer.channel, message.exchange.name, message.routing_key
            leads_nowhere = message.must_arrive and not broker.leads_somewhere(channel, exchange, key)
            if not leads_nowhere:
                self.producer.publish(
                    message.body,
                    exchange=exchange,
                    routing_key=key,
                    mandatory=message.must_arrive,
                    delivery_mode=2 if message.is_kept else 1,
                    expiration=message.expiration_s,
                    content_type="application/json",
                    content_encoding="utf-8",
                    confirm_timeout=max(0.05, deadline_s - time.monotonic()),
                )
        if leads_nowhere or self.returned:
            self.returned.clear()
            raise NoSuchTargetError(f"cannot send to {message.routing_key}: nobody has ever listened there")

    @contextmanager
    def in_use(self, broker: Broker) -> Iterator[None]:
        """The connection is broken unless the block comes to its end, or the broker only refused."""
        self.is_broken = True
        try:
            yield
        except broker.refusals as exc:
            self.is_broken = False
            raise BusUnavailableError(f"cannot send to {broker}: it has no more room") from exc
        except broker.failures as exc:
            raise _BrokenError(one_line(exc)) from exc
        self.is_broken = False

    def close(self, broker: Broker) -> None:
        if not self.is_broken:
            with suppress(Exception):  # it may be all the same
                self.connection.release()
        broker.drop(self.connection)
