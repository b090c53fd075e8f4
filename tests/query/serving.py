"""The collector's HTTP application over a store, served in a thread as the collector serves it."""

import asyncio
import socket
import ssl
import threading
from types import TracebackType
from typing import Self

from fastapi import FastAPI

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.http import LOOPBACK_DOOR, Door, Parts, make_app
from cloud.logs.collector.http_server import HttpServer
from cloud.logs.collector.inbox import Inbox
from cloud.logs.collector.lines import LineAccounts
from cloud.logs.collector.metrics import Metrics
from cloud.logs.collector.upkeep import Upkeep
from tests.waiting import wait_until


def parts_of(store: DuckDbStore) -> Parts:
    """A collector without a writer."""
    return Parts(store, Upkeep(store), LineAccounts(store.marks()), Inbox(2, 1 << 20), Metrics())


class Served:
    """A server on `port` (0: a free one) from `with` to its end, or to `stop`."""

    def __init__(
        self, store: DuckDbStore, port: int = 0, *, door: Door = LOOPBACK_DOOR, tls: ssl.SSLContext | None = None
    ) -> None:
        self._store = store
        self._door = door
        self._tls = tls
        self._socket = socket.create_server(("127.0.0.1", port))
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}" if tls is None else f"https://localhost:{self.port}"
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._stop = threading.Event()
        self._server: HttpServer | None = None
        self.app: FastAPI

    async def _serve(self) -> None:
        self.app = make_app(parts_of(self._store), self._door)
        self._server = HttpServer(self.app, self._tls, stop_s=1)
        serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        await asyncio.to_thread(self._stop.wait)
        self.app.state.commits.close()
        self._server.should_exit = True
        await serving

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()

    def __enter__(self) -> Self:
        self._thread.start()
        wait_until(lambda: self._server is not None and self._server.started, what="the server")
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()
