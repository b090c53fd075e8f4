"""The bytes of one connection, plain or TLS, without ever waiting for them."""

import selectors
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from cloud.logs.collector.receivers.bind import ListenError
from cloud.logs.collector.receivers.settings import TlsSettings


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


def tls_context(settings: TlsSettings) -> ssl.SSLContext:
    """A server's context, TLS 1.2 at least; `ListenError` names the file that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION

    def no_password() -> str:
        raise ListenError(f"cannot use key {settings.key}: it has a passphrase")

    _load(f"certificate {settings.certificate}", lambda: _probe(settings.certificate))
    _load(
        f"key {settings.key} for certificate {settings.certificate}",
        lambda: context.load_cert_chain(settings.certificate, settings.key, no_password),
    )
    if (client_ca := settings.client_ca) is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        _load(f"client_ca {client_ca}", lambda: context.load_verify_locations(client_ca))
    return context


def _load(what: str, load: Callable[[], None]) -> None:
    try:
        load()
    except OSError as exc:  # ssl.SSLError is one
        raise ListenError(f"cannot use {what}: {exc}") from exc


def _probe(certificate: Path) -> None:
    """Read the certificate alone, so that an error there is not put on the key."""
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(certificate)
