"""From TCP connections to the inbox: accept, read, frame."""

import selectors
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from cloud.logs.collector.framing import Framer, Message
from cloud.logs.collector.inbox import Inbox
from cloud.logs.collector.metrics import Metrics
from cloud.logs.collector.parsing import Received
from cloud.logs.collector.worker import start_worker

READ_BYTES = 256 << 10
LAST_READ_S = 1.0
BACKLOG = 512


class ListenError(Exception):
    """An address that cannot be listened on."""


@dataclass(frozen=True, slots=True)
class ListenerSettings:
    """Bounds of one listener."""

    host: str
    port: int
    max_message_bytes: int = 1 << 20
    max_connections: int = 1000


class _Connection:
    __slots__ = ("framer", "peer", "socket")

    def __init__(self, accepted: socket.socket, peer: str, max_message_bytes: int) -> None:
        self.socket = accepted
        self.peer = peer
        self.framer = Framer(max_message_bytes)


class TcpListener:
    """One thread that reads all connections of one address in turn, 256 KiB at a time, so that none starves."""

    def __init__(
        self, settings: ListenerSettings, inbox: Inbox, metrics: Metrics, clock_us: Callable[[], int]
    ) -> None:
        """Bind the address at once; `ListenError` when that fails. `clock_us` is the time of arrival."""
        self._settings = settings
        self._inbox = inbox
        self._metrics = metrics
        self._clock_us = clock_us
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        try:
            self._server = socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
        except OSError as exc:
            raise ListenError(f"cannot listen on tcp://{_bracketed(settings.host)}:{settings.port}: {exc}") from exc
        self._server.setblocking(False)
        self._wake_up, self._woken = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._server, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._connections: dict[int, _Connection] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        host, port = self._server.getsockname()[:2]
        return f"tcp://{_bracketed(host)}:{port}"

    def start(self, on_broken: Callable[[], None]) -> None:
        """`on_broken` is called, from the listener's thread, when that ends early."""
        self._thread = start_worker("listener", self._run, on_broken)

    def stop(self) -> None:
        """Take no more connections, read what has arrived already, and close; all within two seconds.

        Only a full inbox takes longer, whose writer is stopped next: then the thread ends behind it.
        """
        if self._thread is None:
            self._close_sockets()
            return
        if not self._stopping.is_set():
            self._stopping.set()
            self._wake_up.send(b".")
        self._thread.join(2 * LAST_READ_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            for key, _ in self._selector.select():
                if key.fileobj is self._server:
                    self._accept()
                elif key.fileobj is not self._woken:
                    self._read(self._connections[key.fd])
        self._read_the_rest()
        self._close_sockets()

    def _read_the_rest(self) -> None:
        """Plain TCP acknowledges nothing: what the kernel has taken is only safe once it is read."""
        deadline_s = time.monotonic() + LAST_READ_S
        while time.monotonic() < deadline_s and self._accept():
            pass
        self._server.close()
        unread = list(self._connections.values())
        while unread and time.monotonic() < deadline_s:  # in turn: one that goes on sending starves no other
            unread = [connection for connection in unread if self._read(connection)]
        for connection in tuple(self._connections.values()):
            self._close(connection)

    def _close_sockets(self) -> None:
        for each in (self._server, self._selector, self._wake_up, self._woken):
            each.close()

    def _accept(self) -> bool:
        """Take one connection; whether there was one."""
        try:
            accepted, address = self._server.accept()
        except OSError:  # gone before it was taken, or no file descriptor left: the backlog holds it
            return False
        if len(self._connections) >= self._settings.max_connections:
            self._metrics.refused.labels("connections").inc()
            accepted.close()
            return True
        accepted.setblocking(False)
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection = _Connection(accepted, address[0], self._settings.max_message_bytes)
        self._connections[accepted.fileno()] = connection
        self._selector.register(accepted, selectors.EVENT_READ)
        self._metrics.accepted.inc()
        self._metrics.connections.inc()
        return True

    def _read(self, connection: _Connection) -> bool:
        """Read once; whether there may be more."""
        try:
            data = connection.socket.recv(READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._close(connection)
            return False
        self._metrics.received_bytes.inc(len(data))
        self._hand_over(connection, list(connection.framer.feed(data)), cut_off="oversize")
        return True

    def _close(self, connection: _Connection) -> None:
        self._selector.unregister(connection.socket)
        del self._connections[connection.socket.fileno()]
        connection.socket.close()
        self._metrics.connections.dec()
        self._hand_over(connection, list(connection.framer.close()), cut_off="cut_off")

    def _hand_over(self, connection: _Connection, messages: list[Message], cut_off: str) -> None:
        observed_us = self._clock_us()
        self._metrics.messages.inc(len(messages))
        if truncated := sum(message.is_truncated for message in messages):
            self._metrics.frame_failures.labels(cut_off).inc(truncated)
        if bad_counts := connection.framer.take_bad_counts():
            self._metrics.frame_failures.labels("octet_count").inc(bad_counts)
        self._inbox.put([Received(message, observed_us, connection.peer) for message in messages])


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
