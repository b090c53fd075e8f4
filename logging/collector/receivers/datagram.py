"""Datagrams, over UDP or a unix socket: each is one message (RFC 5426)."""

import contextlib
import socket
import struct

from cloud.logs.collector.batch import Source
from cloud.logs.collector.framing import PADDING, Body
from cloud.logs.collector.receivers.bind import bind, unbind
from cloud.logs.collector.receivers.complaints import Complaints
from cloud.logs.collector.receivers.intake import Intake
from cloud.logs.collector.receivers.settings import ListenerSettings
from cloud.logs.collector.receivers.watch import READ, Watch

AT_ONCE = 256
MAX_DATAGRAM_BYTES = 256 << 10  # more than Linux lets anybody send unless told to
MAX_SOURCES = 4096
_SO_RXQ_OVFL = 40  # Linux: with each datagram, how many were dropped since the socket was made
_ANCILLARY_BYTES = socket.CMSG_SPACE(4)


class DatagramSocket:
    """One socket. Nothing holds its senders: without room they are read all the same, dropped and counted."""

    def __init__(self, settings: ListenerSettings, intake: Intake, watch: Watch, complaints: Complaints) -> None:
        """Bind at once; `ListenError`."""
        self._settings = settings
        self._watch = watch
        self._is_closed = False
        self._intake = intake
        self._complaints = complaints
        self._socket = bind(settings)
        self.fileno = self._socket.fileno
        self.url = settings.url(self._socket.getsockname()[1] if settings.scheme == "udp" else None)
        self._buffer = bytearray(MAX_DATAGRAM_BYTES)
        self._sources: dict[str, Source | None] = {}
        self._dropped_by_kernel = 0
        if settings.scheme == "udp":
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)

    def start(self) -> None:
        self._watch.set(self, READ)

    def on_ready(self, events: int) -> None:  # noqa: ARG002 - there is only one
        self.read()

    def read(self) -> bool:
        """Read some; whether there may be more."""
        with self._intake.lock:
            return all(self._read_one() for _ in range(AT_ONCE))

    def close(self) -> None:
        if not self._is_closed:  # a second time the path may be somebody else's
            self._is_closed = True
            self._watch.forget(self)
            unbind(self._socket, self._settings)

    def _read_one(self) -> bool:
        try:
            size, ancillary, flags, address = self._socket.recvmsg_into([self._buffer], _ANCILLARY_BYTES)
        except OSError:  # nothing there, or an error that came back for what was never sent
            return False
        self._intake.received_bytes += size
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, _SO_RXQ_OVFL):
                self._count_dropped_by_kernel(struct.unpack("I", data)[0])
        source = self._source(address[0] if self._settings.scheme == "udp" else self._settings.path)
        if source is None:
            self._drop("peer")
            return True
        body = Body(self._settings.max_message_bytes, length=None)
        body.add(bytes(memoryview(self._buffer)[:size]).lstrip(PADDING))
        message = body.finish()
        if message is None:
            return True
        batch = self._intake.room(len(message.payload))
        if batch is None:
            self._drop("no_room")
            return True
        is_truncated = message.is_truncated or bool(flags & socket.MSG_TRUNC)
        if is_truncated:
            self._intake.metrics.frame_failures.labels("oversize").inc()
        batch.add_payload(message.payload, source, self._intake.clock_us(), is_truncated=is_truncated)
        self._intake.messages += 1
        return True

    def _source(self, peer: str) -> Source | None:
        """The peer, the same object each time; None for one who may not send."""
        if peer not in self._sources:
            if len(self._sources) >= MAX_SOURCES:
                self._sources.clear()
            is_allowed = self._settings.scheme == "unix" or self._settings.allows(peer)
            self._sources[peer] = Source(peer) if is_allowed else None
        return self._sources[peer]

    def _drop(self, reason: str) -> None:
        self._intake.metrics.dropped.labels(reason).inc()
        self._complaints.warn("datagrams dropped", listener=self.url, reason=reason)

    def _count_dropped_by_kernel(self, total: int) -> None:
        more = (total - self._dropped_by_kernel) % (1 << 32)
        self._dropped_by_kernel = total
        if more:
            self._intake.metrics.dropped.labels("kernel").inc(more)
