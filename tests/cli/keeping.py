"""A data directory with a few lines, and a collector that has it open."""

import asyncio
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.http import Parts, make_app
from cloud.logs.collector.inbox import Inbox
from cloud.logs.collector.lines import LineAccounts
from cloud.logs.collector.metrics import Metrics
from cloud.logs.collector.storage.policy import Policy
from cloud.logs.collector.upkeep import Upkeep
from tests.collector.rows import DAY_US, HOUR_US, NOON_US, counted, mark
from tests.waiting import wait_until

NOON_S = NOON_US / 1e6


class Running:
    """A store that a collector has open, with its HTTP."""

    def __init__(self, data: Path) -> None:
        self.store = DuckDbStore(data, now_s=lambda: NOON_S)
        self._upkeep = Upkeep(self.store, Policy.parse("rest 12h"))
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server: uvicorn.Server | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _serve(self) -> None:
        app = make_app(Parts(self.store, self._upkeep, LineAccounts(()), Inbox(2, 1 << 20), Metrics()))
        self._server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
        await self._server.serve(sockets=[self._socket])

    def __enter__(self) -> Self:
        self._thread.start()
        wait_until(lambda: self._server is not None and self._server.started, what="the server")
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        assert self._server is not None
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
        self._upkeep.stop()
        self.store.close()


def fill(data: Path) -> None:
    store = DuckDbStore(data, now_s=lambda: NOON_S)
    store.append(counted(1, 3, observed_us=NOON_US - DAY_US), [mark(1, 3)])
    store.append(counted(4, 1, observed_us=NOON_US), [mark(4, 4)])
    store.append(counted(5, 1, observed_us=NOON_US + HOUR_US, host="compute-02"), [mark(5, 5, host="compute-02")])
    store.close()
