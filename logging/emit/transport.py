"""Where a message leaves the service: rsyslog's unix socket, or the collector's TCP port."""

import os
import select
import socket
from typing import Protocol
from urllib.parse import urlsplit

MAX_DATAGRAM_BYTES = 120 * 1024  # rsyslog's maxMessageSize is rendered as 128k and cuts without a word above it
MAX_PATH_BYTES = 107  # of a unix socket: sun_path without its NUL


class AddressError(ValueError):
    """A syslog address that no transport understands."""


class Transport(Protocol):
    """Sends whole messages in order, over a connection that it makes again when it is gone."""

    def send(self, message: bytes) -> None:
        """Hand over one message, at once. `OSError`: it has not been taken, send it again before any other;
        `BlockingIOError`: `wait` tells when.
        """

    def wait(self, timeout_s: float) -> None:
        """Return when a message may be taken, or after `timeout_s`; `OSError` when there is no peer."""

    def close(self) -> None: ...


def transport_for(address: str) -> Transport:
    """The transport for `unix:/run/nova/log.sock` or `tcp://127.0.0.1:1024`; it connects at its first message."""
    try:
        if address.startswith("unix:"):
            return UnixDatagram(socket_path(address))
        parts = urlsplit(address)
        is_bare = not (parts.path or parts.query or parts.fragment or parts.username is not None)
        if parts.scheme == "tcp" and parts.hostname and parts.port and is_bare:
            return OctetCountedTcp(parts.hostname, parts.port)
    except ValueError as exc:
        raise AddressError(f"cannot use syslog address {address!r}: {exc}") from exc
    raise AddressError(f"cannot use syslog address {address!r}: expected unix:/PATH or tcp://HOST:PORT")


def socket_path(address: str) -> str:
    """The path in `unix:/PATH` or `unix:///PATH`; ValueError where there is none that a socket can have."""
    path = address.removeprefix("unix:")
    if path.startswith("//"):  # unix:///run/nova/log.sock, with an empty authority
        path = path.removeprefix("//")
        if not path.startswith("/"):
            raise ValueError("expected unix:/PATH")
    if not path or "\0" in path:
        raise ValueError("expected unix:/PATH")
    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        raise ValueError(f"a socket's path has at most {MAX_PATH_BYTES} bytes")
    return path


class UnixDatagram:
    """One datagram a message. The socket's own limit is short (10 datagrams by default), so a burst waits often."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket: socket.socket | None = None

    def send(self, message: bytes) -> None:
        was_connected = self._socket is not None
        try:
            self._send(message)
        except BlockingIOError:
            raise
        except OSError:
            self.close()
            if not was_connected:
                raise
            self._send(message)  # rsyslog restarted: a new socket stands at the same path

    def wait(self, timeout_s: float) -> None:
        if self._socket is not None:
            _is_ready(self._socket, select.POLLOUT, timeout_s)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, message: bytes) -> None:
        if self._socket is None:
            self._socket = self._connect()
        self._socket.send(message)

    def _connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:
            client.setblocking(False)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * MAX_DATAGRAM_BYTES)
            client.connect(self._path)
        except OSError:
            client.close()
            raise
        return client


class OctetCountedTcp:
    """Octet counting (RFC 6587 section 3.4.1) over one connection, which only `wait` makes, since that takes time.

    A frame of which a part is out has not been taken: it is finished when the same message comes again.
    """

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._socket: socket.socket | None = None
        self._message: bytes | None = None
        self._rest = b""
        self._is_cut = False

    def send(self, message: bytes) -> None:
        if self._socket is None:
            raise BlockingIOError("not connected")
        try:
            if message is not self._message:
                if self._is_cut:
                    raise ConnectionResetError("nobody finishes the frame that is partly out")
                self._message, self._rest = message, b"%d %s" % (len(message), message)
            if _is_ready(self._socket, select.POLLIN, 0):
                raise ConnectionResetError("the collector closed the connection")  # it never speaks first
            while self._rest:
                self._rest = self._rest[self._socket.send(self._rest) :]
                self._is_cut = True
        except BlockingIOError:
            raise
        except OSError:
            self.close()  # the next connection starts with a whole frame
            raise
        self._message, self._is_cut = None, False

    def wait(self, timeout_s: float) -> None:
        if self._socket is None:
            connection = socket.create_connection(self._address, timeout=timeout_s)
            connection.setblocking(False)
            self._socket = connection
        else:
            _is_ready(self._socket, select.POLLOUT, timeout_s)

    def close(self) -> None:
        self._message, self._is_cut = None, False
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _is_ready(sock: socket.socket, event: int, timeout_s: float) -> bool:
    """Whether `event`, an error or the end comes within `timeout_s`; true for a socket that is closed meanwhile."""
    poll = select.poll()
    try:
        poll.register(sock, event)
    except ValueError:
        return True
    return bool(poll.poll(timeout_s * 1000))
