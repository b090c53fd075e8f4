"""uvicorn's connections with bounds: how many there are, and how long one may be without a request."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from cloud.logs.query.access.throttle import network_of

MAX_CONNECTIONS = 500
MAX_PEER_CONNECTIONS = 100
"""Of one address, or of one IPv6 network."""
HEAD_S = 10.0
"""So long a connection is kept without the complete head of a request, the first or the next."""


class Connection(H11Protocol):
    """One beyond the bounds is closed at once, and so is one that keeps us waiting."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.network = ""
        self._waiting_for_head: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        self.network = network_of(self.client[0]) if self.client else "-"
        # Those that are closing are not in the set any more as soon as the event loop has turned.
        of_peer = sum(isinstance(each, Connection) and each.network == self.network for each in self.connections)
        if len(self.connections) > MAX_CONNECTIONS or of_peer > MAX_PEER_CONNECTIONS:
            transport.abort()
        else:
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        before = self.cycle
        super().on_response_complete()
        if self.cycle is before:
            # uvicorn's own timer ends with the next byte, be it of a head or of a body that nobody reads.
            self._wait_for_head()

    def _wait_for_head(self) -> None:
        self._stop_waiting()
        self._waiting_for_head = self.loop.call_later(HEAD_S, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._waiting_for_head is not None:
            self._waiting_for_head.cancel()
            self._waiting_for_head = None
