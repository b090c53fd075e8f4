"""Takes connections for uvicorn: their TLS handshakes are bounded in number, of one address and in all, and in time."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

from cloud.logs.query.access.throttle import network_of

MAX_HANDSHAKES = 256
MAX_PEER_HANDSHAKES = 100
"""Of one address, or of one IPv6 network."""
HANDSHAKE_S = 5.0
CLOSING_S = 5.0
"""So long a client is waited for that does not say that it has heard of the end."""
KEEPALIVE_S = (60, 15, 4)
"""Without a word from a client, then between probes, and how many of them."""
OUT_OF_FILES_S = 1.0
_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Acceptor:
    """One listening socket, within one event loop; what uvicorn asks of a server, too.

    Who comes while an address has its share of handshakes is closed. When there are as many as may be in all, the
    oldest is: an honest one takes milliseconds.
    """

    def __init__(
        self, listening: socket.socket, make_protocol: Callable[[], asyncio.Protocol], tls: ssl.SSLContext | None
    ) -> None:
        listening.setblocking(False)
        self._socket = listening
        self._make_protocol = make_protocol
        self._tls = tls
        self._shaking_hands: dict[asyncio.Task[None], str] = {}  # and the network of each, the oldest first
        self._accepting = asyncio.create_task(self._accept())

    def close(self) -> None:
        """Take no more; those whose handshake is done stay."""
        for task in (self._accepting, *self._shaking_hands):
            task.cancel()

    async def wait_closed(self) -> None:
        await asyncio.wait([self._accepting, *self._shaking_hands])

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, address = await loop.sock_accept(self._socket)
            except OSError as exc:  # most are gone before they were taken
                if self._socket.fileno() < 0:
                    return
                if exc.errno in _OUT_OF_FILES:
                    await asyncio.sleep(OUT_OF_FILES_S)
                continue
            network = network_of(str(address[0]))
            if self._tls is not None and not self._make_room(network):
                accepted.close()
                continue
            task = asyncio.create_task(self._shake_hands(accepted))
            self._shaking_hands[task] = network
            task.add_done_callback(lambda done: self._shaking_hands.pop(done, None))
            await asyncio.sleep(0)  # for the others: where many wait, none of them is waited for

    def _make_room(self, network: str) -> bool:
        """Whether there may be another handshake of that network."""
        if sum(each == network for each in self._shaking_hands.values()) >= MAX_PEER_HANDSHAKES:
            return False
        if len(self._shaking_hands) >= MAX_HANDSHAKES:
            oldest = next(iter(self._shaking_hands))
            oldest.cancel()
            self._shaking_hands.pop(oldest)
        return True

    async def _shake_hands(self, accepted: socket.socket) -> None:
        """Up to where the protocol has the connection; without TLS that is at once."""
        loop = asyncio.get_running_loop()
        bounds = {} if self._tls is None else {"ssl_handshake_timeout": HANDSHAKE_S, "ssl_shutdown_timeout": CLOSING_S}
        with suppress(OSError):  # what a client does wrong is no line each time
            try:
                _prepare(accepted)
                await loop.connect_accepted_socket(self._make_protocol, accepted, ssl=self._tls, **bounds)
            except BaseException:
                accepted.close()
                raise


def _prepare(accepted: socket.socket) -> None:
    accepted.setblocking(False)
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # the end of an answer would wait 40 ms for an ACK
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in zip((socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT), KEEPALIVE_S, strict=True):
        accepted.setsockopt(socket.IPPROTO_TCP, option, value)
