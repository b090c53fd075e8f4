"""uvicorn's connections with bounds: their number, and how long one waits for a request or for room for an answer."""

import asyncio
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from cloud.logs.query.access.throttle import network_of

MAX_CONNECTIONS = 500
MAX_PEER_CONNECTIONS = 100
"""Of one address, or of one IPv6 network."""
TAKEN_S = 30.0
"""So long a client may take nothing of an answer that waits for it, where its route says no other `standing_s`."""
UNSENT_BYTES = 64 << 10
"""Of an answer the system holds back so much beside what is on its way: a slow client of a tail is seen soon."""
HEAD_S = 10.0
"""So long a connection is kept without the complete head of a request, the first or the next."""


class Connection(H11Protocol):
    """One beyond the bounds is closed at once, and so is one that keeps us waiting."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.network = ""
        self._waiting_for_head: asyncio.TimerHandle | None = None
        self._waiting_for_room: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        self.network = network_of(self.client[0]) if self.client else "-"
        # Those that are closing are not in the set any more as soon as the event loop has turned.
        of_peer = sum(isinstance(each, Connection) and each.network == self.network for each in self.connections)
        if len(self.connections) > MAX_CONNECTIONS or of_peer > MAX_PEER_CONNECTIONS:
            transport.abort()
        else:
            with suppress(AttributeError):  # a system without it
                connected: socket.socket = transport.get_extra_info("socket")
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._room_came()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._waiting_for_room is None:
            self._wait_for_room()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._room_came()

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

    def _wait_for_room(self, stood_s: float = 0.0) -> None:
        waiting = self.transport.get_write_buffer_size()
        next_s = stood_s + TAKEN_S

        def look() -> None:
            if self.transport.get_write_buffer_size() < waiting:  # slow, as over a long answer, and there
                self._wait_for_room()
            elif next_s < self._standing_s():
                self._wait_for_room(next_s)
            else:
                self.transport.abort()

        self._waiting_for_room = self.loop.call_later(TAKEN_S, look)

    def _standing_s(self) -> float:
        """How long whoever gets the present answer may stand still."""
        scope: Mapping[str, Any] = getattr(self.cycle, "scope", {})  # there is no cycle before the first request
        return float(scope.get("state", {}).get("standing_s", TAKEN_S))

    def _room_came(self) -> None:
        if self._waiting_for_room is not None:
            self._waiting_for_room.cancel()
            self._waiting_for_room = None
