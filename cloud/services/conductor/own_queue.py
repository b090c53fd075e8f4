"""What a conductor does from a queue of its own, beside what it is asked: builds, and moves.

What those have others do comes back to nova-conductor as calls, which have to find somebody who serves them, however
many builds and moves wait and run.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from cloud.rpc.methods import Methods
from cloud.rpc.publisher import Publisher
from cloud.rpc.server import RpcServer
from cloud.rpc.topology import Target, queue_of


class OwnQueueServer(RpcServer):
    """Every nova-conductor has one for each such queue; they take turns."""

    def __init__(self, publisher: Publisher, queue: Target, host: str, methods: Methods, *, workers: int) -> None:
        """Of what waits for `queue`, `workers` at a time. It closes `publisher` when it stops."""
        super().__init__(publisher, Target(queue.role, host), methods, workers=workers, queues=[queue_of(queue)])
        self._closes = publisher

    def stop(self, timeout_s: float) -> bool:
        try:
            return super().stop(timeout_s)
        finally:
            self._closes.close()


class Server(Protocol):
    """An OwnQueueServer is one."""

    def start(self) -> None: ...

    def stop(self, timeout_s: float) -> bool: ...


Work = TypeVar("Work")
"""What a piece of work is named by."""


@dataclass(frozen=True, slots=True)
class OwnWork(Generic[Work]):
    """What a conductor does from one such queue, and what it sees to beside."""

    server: Server
    left: Callable[[], Iterable[Work]]
    """What nobody goes on with; each is told right before it is taken up."""
    take_up: Callable[[Work], None]
    """Have somebody go on with it, or end it; it may take long, so it is not done here."""
    stop_timeout_s: float
    """What is not done within that is done by whoever gets the request next."""
    say_alive: Callable[[], None] = lambda: None
    """Say of what is under way here that it is, where others would take it for left."""
