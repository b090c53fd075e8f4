"""uvicorn, as the collector runs it: with its own order of stopping, and with bounds on who connects."""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from cloud.logs.collector.http_acceptor import Acceptor
from cloud.logs.collector.http_connections import Connection

STOP_S = 2


class HttpServer(uvicorn.Server):
    """Serves `app` on sockets that are bound already."""

    def __init__(self, app: FastAPI, tls: ssl.SSLContext | None, stop_s: int = STOP_S) -> None:
        """Who has not got an answer `stop_s` after the stop gets none."""
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                proxy_headers=False,  # a header must not say who is calling
                server_header=False,
                http=Connection,
                ws="none",  # nothing here speaks it, and its connections would have no bounds
                log_level="error",  # what a client does wrong is no line each time
                timeout_graceful_shutdown=stop_s,
            )
        )
        self._tls = tls

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """uvicorn's own, without its listeners: asyncio's would wait a minute for each of any number of handshakes."""
        await super().startup(sockets=[])
        self.servers = [Acceptor(each, self._protocol, self._tls) for each in sockets or ()]  # type: ignore[misc] # its part

    def _protocol(self) -> asyncio.Protocol:
        return Connection(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
