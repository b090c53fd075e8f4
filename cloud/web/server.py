"""An HTTP server in a thread of its own: bound when it is made, serving from start to stop."""

import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import uvicorn

from cloud.logs.emit.speaker import in_same_voice
from cloud.logs.loopback import is_loopback
from cloud.web.protocol import BoundedProtocol

App = Callable[
    [
        MutableMapping[str, Any],
        Callable[[], Awaitable[MutableMapping[str, Any]]],
        Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ],
    Awaitable[None],
]
"""An application of ASGI 3."""

BACKLOG = 1024
KEEP_ALIVE_S = 30
MAX_CONNECTIONS = 1000
"""More at a time are answered with 503."""
STOP_TIMEOUT_S = 1.0


class HttpServerError(Exception):
    """The server cannot be had as it was asked for; the message names the address and the cause."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen, and with which certificate."""

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None

    @property
    def scheme(self) -> str:
        return "https" if self.certificate else "http"

    def __str__(self) -> str:
        return f"{self.scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


class HttpServer:
    """Connections wait from the beginning, and are answered from `start` on."""

    def __init__(self, app: App, listen: Listen) -> None:
        """HttpServerError when the address is taken, the certificate cannot be used, or plaintext would leave this
        machine: tokens and passwords travel here.
        """
        if listen.certificate is None and not is_loopback(listen.host):
            raise HttpServerError(f"cannot listen on {listen}: beyond loopback it takes a certificate")
        family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
        try:
            context = _tls(listen)
            self._socket = socket.create_server((listen.host, listen.port), family=family, backlog=BACKLOG)
        except (OSError, ssl.SSLError) as exc:
            raise HttpServerError(f"cannot listen on {listen}: {exc}") from exc
        # Connections take it over; without it, each answer waits some 40 ms for an acknowledgement of its head.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = uvicorn.Config(
            app,
            http=BoundedProtocol,
            log_config=None,
            access_log=False,
            lifespan="auto",
            server_header=False,
            proxy_headers=False,  # or whoever asks could choose the address that sign-ins are counted by
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=round(STOP_TIMEOUT_S),
            limit_concurrency=MAX_CONNECTIONS,
        )
        if context is not None:
            config.load()
            config.ssl = context
        self._server = _Server(config)
        self._thread = threading.Thread(
            target=in_same_voice(self._server.run), args=([self._socket],), name="http", daemon=True
        )
        self.url = str(replace(listen, port=self._socket.getsockname()[1]))

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Take no more requests; those that run have a second."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(2 * STOP_TIMEOUT_S)
        self._socket.close()


class _Server(uvicorn.Server):
    """uvicorn without signal handlers: the daemon has its own order of stopping."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _tls(listen: Listen) -> ssl.SSLContext | None:
    if listen.certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(listen.certificate, listen.key)
    return context
