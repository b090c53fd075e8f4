"""A listening socket of a stream: takes connections while there is room, and leaves the others to the backlog."""

import contextlib
import errno
import socket
import time
from collections import deque

from cloud.logs.collector.receivers.bind import bind, unbind
from cloud.logs.collector.receivers.connection import Connection, Shared
from cloud.logs.collector.receivers.settings import ListenerSettings
from cloud.logs.collector.receivers.tls import TlsContext
from cloud.logs.collector.receivers.transport import PlainTransport, TlsTransport, Transport
from cloud.logs.collector.receivers.watch import READ

AT_ONCE = 64
MAX_HANDSHAKES = 64
OUT_OF_FILES_S = 1.0
KEEPALIVE_IDLE_S = 60
KEEPALIVE_INTERVAL_S = 15
KEEPALIVE_PROBES = 4
NOT_TAKEN_S = 120  # how long a peer may leave lie what it is sent
_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Acceptor:
    """One listener and its connections."""

    def __init__(self, settings: ListenerSettings, shared: Shared) -> None:
        """Bind at once; `ListenError`."""
        self.settings = settings
        self.connections: dict[Connection, None] = {}
        self._shared = shared
        self._shaking_hands: deque[Connection] = deque()  # the oldest first
        self._pause_ends_s: float | None = None
        self._is_closed = False
        self._tls = TlsContext(settings.tls, shared.complaints) if settings.tls else None
        self._socket = bind(settings)
        self.fileno = self._socket.fileno
        self.url = settings.url(self._socket.getsockname()[1])

    @property
    def next_due_s(self) -> float | None:
        """When `on_time` has something to do; monotonic seconds."""
        deadline_s = self._shaking_hands[0].deadline_s if self._shaking_hands else None
        return min((each for each in (deadline_s, self._pause_ends_s) if each is not None), default=None)

    def start(self) -> None:
        self._shared.watch.set(self, READ)

    def on_ready(self, events: int) -> None:  # noqa: ARG002 - there is only one
        for _ in range(AT_ONCE):
            if not self._has_room or not self.accept():
                break
        self._arm()

    def on_time(self, now_s: float) -> None:
        """End handshakes that take too long and pauses that are over."""
        while self._shaking_hands and self._shaking_hands[0].deadline_s <= now_s:
            self._shaking_hands[0].refuse("handshake_timeout", "TLS handshake took too long", "no answer")
        if self._pause_ends_s is not None and self._pause_ends_s <= now_s:
            self._pause_ends_s = None
            self._arm()

    def accept(self) -> bool:
        """Take one connection; whether there may be another."""
        metrics = self._shared.intake.metrics
        try:
            accepted, address = self._socket.accept()
        except BlockingIOError:
            return False
        except OSError as exc:
            if exc.errno not in _OUT_OF_FILES:  # gone before it was taken
                return True
            metrics.accept_pauses.labels("descriptors").inc()
            self._shared.complaints.warn("cannot accept connections", listener=self.url, cause=str(exc))
            self._pause_ends_s = time.monotonic() + OUT_OF_FILES_S
            return False
        peer = str(address[0])
        if not self.settings.allows(peer):
            accepted.close()
            metrics.refused.labels("peer").inc()
            self._shared.complaints.warn("peer is not allowed", peer=peer, listener=self.url)
            return True
        try:
            _prepare(accepted)
            transport: Transport = PlainTransport(accepted)
            if self._tls is not None:
                transport = TlsTransport(accepted, self._tls.current())
        except OSError:  # gone already
            accepted.close()
            return True
        connection = Connection(transport, peer, self, self._shared)
        self.connections[connection] = None
        if connection.is_shaking_hands:
            self._shaking_hands.append(connection)
        metrics.accepted.inc()
        metrics.connections.inc()
        connection.start()
        if not self._has_room:
            reason = "connections" if len(self.connections) >= self.settings.max_connections else "handshakes"
            metrics.accept_pauses.labels(reason).inc()
        return True

    def has_shaken_hands(self, connection: Connection) -> None:
        with contextlib.suppress(ValueError):
            self._shaking_hands.remove(connection)
        self._arm()

    def has_closed(self, connection: Connection) -> None:
        if connection in self.connections:
            del self.connections[connection]
            self._shared.intake.metrics.connections.dec()
            self.has_shaken_hands(connection)

    def close(self) -> None:
        """Take no more connections; those that there are stay."""
        self._shared.watch.forget(self)
        self._is_closed = True
        unbind(self._socket, self.settings)

    @property
    def _has_room(self) -> bool:
        return len(self.connections) < self.settings.max_connections and len(self._shaking_hands) < MAX_HANDSHAKES

    def _arm(self) -> None:
        if not self._is_closed:
            self._shared.watch.set(self, READ if self._has_room and self._pause_ends_s is None else 0)


def _prepare(accepted: socket.socket) -> None:
    """Never wait for it, and notice in two minutes when its host is gone."""
    accepted.setblocking(False)
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S)
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, NOT_TAKEN_S * 1000)
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
