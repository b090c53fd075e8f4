"""Listening sockets: bound at once, or a clear word on why not."""

import contextlib
import os
import socket
import stat
from pathlib import Path

from cloud.logs.collector.receivers.settings import ListenerSettings

BACKLOG = 512
DATAGRAM_BUFFER_BYTES = 8 << 20  # what arrives while the receiver is elsewhere; the kernel may grant less

_SO_RCVBUFFORCE = 33  # Linux


class ListenError(Exception):
    """An address that cannot be listened on, or a certificate that cannot be used."""


def bind(settings: ListenerSettings) -> socket.socket:
    """The listener's socket, non-blocking; `ListenError`."""
    try:
        bound = _unix(Path(settings.path), settings.socket_mode) if settings.scheme == "unix" else _inet(settings)
    except OSError as exc:
        raise ListenError(f"cannot listen on {settings.url()}: {exc}") from exc
    bound.setblocking(False)
    return bound


def unbind(bound: socket.socket, settings: ListenerSettings) -> None:
    """Close it, and leave no unix socket behind that nobody reads."""
    bound.close()
    if settings.scheme == "unix":
        with contextlib.suppress(OSError):
            Path(settings.path).unlink()


def _inet(settings: ListenerSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    address = (settings.host, settings.port)
    if settings.scheme != "udp":
        return socket.create_server(address, family=family, backlog=BACKLOG)
    made = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        _widen(made)
        made.bind(address)
    except BaseException:
        made.close()
        raise
    return made


def _unix(path: Path, mode: int) -> socket.socket:
    _remove_stale(path)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        _widen(made)
        os.fchmod(made.fileno(), 0o600)  # the file is made with this mode: at no time may more write than in the end
        made.bind(str(path))
        path.chmod(mode)
    except BaseException:
        made.close()
        raise
    return made


def _widen(made: socket.socket) -> None:
    """A large buffer: beyond the system's limit where we may (CAP_NET_ADMIN), else up to it."""
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, DATAGRAM_BUFFER_BYTES)
    with contextlib.suppress(OSError):
        made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, DATAGRAM_BUFFER_BYTES)


def _remove_stale(path: Path) -> None:
    """Remove the socket of a collector that died; not one that is read, nor what is no socket."""
    if not path.exists() or not stat.S_ISSOCK(path.stat().st_mode):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
