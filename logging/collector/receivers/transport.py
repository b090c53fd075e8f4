"""The bytes of one connection, plain or TLS, without ever waiting for them."""

import selectors
import socket
import ssl
from typing import Any, Protocol


class Transport(Protocol):
    """What a connection reads from and answers to."""

    def fileno(self) -> int: ...

    def receive_into(self, room: memoryview) -> int | None:
        """How many bytes came; 0: the peer has ended, or the connection is broken; None: nothing is there."""

    def send(self, data: bytes | bytearray | memoryview) -> int | None:
        """How many bytes went; None: none, for now. `OSError` for a broken connection."""

    @property
    def may_hold_more(self) -> bool:
        """Whether there may be bytes here which the kernel knows nothing of."""

    def close(self) -> None: ...


class PlainTransport:
    """A TCP connection."""

    may_hold_more = False

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self.fileno = connected.fileno

    def receive_into(self, room: memoryview) -> int | None:
        try:
            return self._socket.recv_into(room)
        except BlockingIOError:
            return None
        except OSError:
            return 0

    def send(self, data: bytes | bytearray | memoryview) -> int | None:
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return None

    def close(self) -> None:
        self._socket.close()


class TlsTransport:
    """A TLS connection; nothing but `shake_hands` may be called until that has given None."""

    def __init__(self, connected: socket.socket, context: ssl.SSLContext) -> None:
        self._socket = context.wrap_socket(connected, server_side=True, do_handshake_on_connect=False)
        self.fileno = self._socket.fileno
        self.may_hold_more = False

    def shake_hands(self) -> int | None:
        """The selector's events to wait for before it is called again; None when done. `OSError` if it failed."""
        try:
            self._socket.do_handshake()
        except ssl.SSLWantReadError:
            return selectors.EVENT_READ
        except ssl.SSLWantWriteError:
            return selectors.EVENT_WRITE
        return None

    def client_names(self) -> frozenset[str]:
        """The DNS names that the client's certificate is for, lower case; empty where none was asked for."""
        certificate: dict[str, Any] = self._socket.getpeercert() or {}
        if "subjectAltName" in certificate:
            names = [value for kind, value in certificate["subjectAltName"] if kind == "DNS"]
        else:
            names = [value for parts in certificate.get("subject", ()) for kind, value in parts if kind == "commonName"]
        return frozenset(name.lower() for name in names)

    def receive_into(self, room: memoryview) -> int | None:
        """As much as there is room for, a record (16 KiB) at a time."""
        at = 0
        self.may_hold_more = True
        while at < len(room):
            try:
                received = self._socket.recv_into(room[at:])
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                self.may_hold_more = False
                return at or None
            except OSError:
                received = 0
            if received == 0:
                return at  # where something came before the end, that comes up again
            at += received
        return at

    def send(self, data: bytes | bytearray | memoryview) -> int | None:
        try:
            return self._socket.send(data)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None

    def close(self) -> None:
        self._socket.close()
