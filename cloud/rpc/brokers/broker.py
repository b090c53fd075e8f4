"""What every broker can do; the rest of the bus knows no other difference between them."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable
from typing import Any, ClassVar

from kombu import Connection

CONNECT_TIMEOUT_S = 3.0
SEND_TIMEOUT_S = 10.0
"""For one write, or one answer of the broker."""


class BusUrlError(ValueError):
    """A transport_url that cannot be used; the message never has its password."""


class GarbageError(Exception):
    """Something was in a queue that is not even a message; it is gone, and the connection is as good as before."""


def plain_headers(headers: object) -> dict[str, Any]:
    """Without the one by which a message has kombu decompress it, to a thousand times its size or not at all.

    Ours never have it; what does is then no JSON, and refused.
    """
    return {key: value for key, value in headers.items() if key != "compression"} if isinstance(headers, dict) else {}


def one_line(exc: BaseException) -> str:
    """What `exc` says."""
    return " ".join(str(exc).split()) or type(exc).__name__


class Broker(ABC):
    """Where a transport_url leads."""

    failures: ClassVar[tuple[type[Exception], ...]]
    """What a connection raises that is of no more use."""

    refusals: ClassVar[tuple[type[Exception], ...]]
    """What publishing raises where the broker has no room; the connection is as good as before."""

    hold_interval_s: float
    """inf where the broker itself sees that a consumer lives."""

    def __init__(self, url: str, shown: str) -> None:
        self._url = url
        self.shown = shown
        """The URL without its password."""

    def __str__(self) -> str:
        return self.shown

    __repr__ = __str__

    def connect(self, *, timeout_s: float = CONNECT_TIMEOUT_S, is_consumed: bool) -> Connection:
        """A connection for one thread; whoever consumes from it calls `take` and `check` all the time.

        One of `failures` when it cannot be had; each step on the way to it has `timeout_s`, at most CONNECT_TIMEOUT_S.
        """
        connection = self._connection(min(timeout_s, CONNECT_TIMEOUT_S), is_consumed=is_consumed)
        try:
            # kombu's own would come after a pause of 2 s, whatever our deadline.
            connection.ensure_connection(max_retries=0, reraise_as_library_errors=False)
        except BaseException:
            self.drop(connection)
            raise
        return connection

    @abstractmethod
    def drop(self, connection: Connection) -> None:
        """Free what a connection holds here, without a word to the broker, who may not answer."""

    @abstractmethod
    def descriptors(self, connection: Connection) -> Iterable[int]:
        """What becomes readable when something arrives on `connection`; asked for each time before waiting for it."""

    @abstractmethod
    def take(self, connection: Connection) -> bool:
        """Hand one message, or a part of one, to its consumer; False when nothing has arrived. GarbageError."""

    @abstractmethod
    def check(self, connection: Connection) -> None:
        """Show the broker that we live, and fail when it does not; called every few seconds."""

    @abstractmethod
    def leads_somewhere(self, channel: Any, exchange: str, routing_key: str) -> bool:
        """Whether a queue is bound there, as far as can be told beforehand; one of `refusals` where it is full."""

    @abstractmethod
    def fanout_instance(self, host: str) -> str:
        """What tells the fanout queue of the service on `host` from its like, at each connection."""

    @abstractmethod
    def hold(self, channel: Any, delivery_tags: Collection[str | int]) -> None:
        """Keep what is being worked on from being delivered again, and have delivered again what nobody holds.

        Called at least every `hold_interval_s`.
        """

    @abstractmethod
    def _connection(self, timeout_s: float, *, is_consumed: bool) -> Connection:
        """Not yet connected."""
