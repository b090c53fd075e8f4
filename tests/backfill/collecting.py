"""A collector of numbered lines, in memory: the real inbox, accounts and HTTP, and a list where the store would be."""

import socket
import threading
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import numpy as np
import uvicorn
from fastapi import FastAPI

from cloud.logs.collector.inbox import Inbox
from cloud.logs.collector.lines import LineAccounts, Mark, Run, identity_of
from cloud.logs.query.access.access import ANYBODY
from cloud.logs.query.access.principal import principal
from cloud.logs.query.gaps_api import router
from tests.waiting import wait_until


class LineCollector:
    """Stores what comes by HTTP or `receive`, as the writer does: what is new, and the marks with it."""

    def __init__(self) -> None:
        self.accounts = LineAccounts([], settle_s=0)
        self.inbox = Inbox(2, 2 << 20)
        self.lines: list[bytes] = []
        self.truncated = 0
        self.marks: list[Mark] = []
        self.may_write = threading.Event()
        self.may_write.set()
        self._socket = socket.create_server(("127.0.0.1", 0))
        app = FastAPI()
        app.include_router(router)
        app.dependency_overrides[principal] = lambda: ANYBODY  # there is no gate here
        app.state.accounts, app.state.inbox, app.state.mark_store = self.accounts, self.inbox, self
        self._server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1))
        self._threads = [
            threading.Thread(target=self._write, daemon=True),
            threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True),
        ]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def record(self, marks: Sequence[Mark]) -> None:
        self.marks += marks

    def receive(self, *lines: bytes) -> None:
        """Store lines as if they had come over the wire."""
        self._store(lines)

    def numbers(self, run: Run) -> Counter[int]:
        """How often each number of `run` is stored."""
        identities = filter(None, map(identity_of, self.lines))
        return Counter(number for found, number in identities if found == run)

    def _write(self) -> None:
        while not self.inbox.is_drained:
            batch = self.inbox.take()
            self.may_write.wait()
            if batch is not None:
                self.truncated += len(batch.truncated)
                self._store([batch.payload(number) for number in range(batch.count)])
                for tell in batch.on_commit:
                    tell()
                self.inbox.give_back(batch)

    def _store(self, lines: Sequence[bytes]) -> None:
        identities = [identity_of(line) for line in lines]
        runs = list({identity[0]: None for identity in identities if identity})
        rows = [(runs.index(identity[0]), identity[1]) if identity else (-1, 0) for identity in identities]
        run_of_row, numbers = zip(*rows, strict=True)
        fresh = self.accounts.fresh(runs, np.array(run_of_row, np.int32), np.array(numbers, np.uint64))
        keep = [True] * len(lines) if fresh.keep is None else fresh.keep.tolist()
        self.lines += [line for line, is_new in zip(lines, keep, strict=True) if is_new]
        self.marks += fresh.marks
        self.accounts.committed(fresh.marks)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        wait_until(lambda: self._server.started, what="the HTTP server")
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.may_write.set()
        self._server.should_exit = True
        self.inbox.close()
        for thread in self._threads:
            thread.join(10)
        self._socket.close()


def line(run: Run, number: int, text: bytes = b"") -> bytes:
    """A line as rsyslogd forwards it and writes it to nova.log."""
    identity = f'[line@32473 host="{run.host}" start="{run.start}" n="{number}"]'.encode()
    return b"<142>1 2026-01-31T12:00:00.5Z %s nova-api 81 - %s %s" % (
        run.host.encode(), identity, text or b"line %d" % number,
    )  # fmt: skip


def lines(run: Run, first: int, last: int) -> list[bytes]:
    return [line(run, number) for number in range(first, last + 1)]
