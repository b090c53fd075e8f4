"""A bus for one test: servers and clients on a real broker, which are all closed at its end."""

import os
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from cloud.rpc.client import RpcClient
from cloud.rpc.methods import methods_of
from cloud.rpc.publisher import Publisher
from cloud.rpc.server import RpcServer
from cloud.rpc.topology import Target
from tests.brokers import Broker
from tests.rpc.endpoint import Endpoint, Running, ServerProcess, connect_to

Line = tuple[str, dict[str, Any]]
"""A log line: its message and its fields."""


@dataclass(frozen=True)
class Bus:
    """Whatever it starts, it stops."""

    broker: Broker
    stack: ExitStack
    lines: list[Line] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.broker.url

    def host(self) -> str:
        """A name that no other test has."""
        return f"host-{uuid.uuid4().hex[:8]}"

    def publisher(self) -> Publisher:
        publisher = Publisher(connect_to(self.url))
        self.stack.callback(publisher.close)
        return publisher

    def client(self, *, timeout_s: float = 10.0) -> RpcClient:
        client = RpcClient(self.publisher(), "test", timeout_s=timeout_s)
        self.stack.callback(client.close)
        return client

    def server(self, target: Target, endpoint: object, *, workers: int = 4) -> RpcServer:
        """One that serves already, in this process."""
        server = RpcServer(self.publisher(), target, methods_of(endpoint), workers=workers)

        def stop() -> None:
            if isinstance(endpoint, Endpoint):
                endpoint.gate.set()
            server.stop(5)

        self.stack.callback(stop)
        server.start()
        assert server.wait_until_up(10)
        return server

    def process(self, target: Target, *, workers: int = 4) -> Running:
        """A server as a process, which is just starting."""
        assert target.host is not None
        return self.stack.enter_context(ServerProcess(self.url, target.role, target.host, workers).start())

    def said(self, message: str) -> list[dict[str, Any]]:
        """The fields of the lines with that message."""
        return [fields for said, fields in self.lines if said == message]


def descriptors() -> list[str]:
    """What this process has open."""
    found = []
    for number in os.listdir("/proc/self/fd"):  # noqa: PTH208 - no pathlib object is to hold another one
        try:
            found.append(os.readlink(f"/proc/self/fd/{number}"))  # noqa: PTH115
        except OSError:  # that of listdir itself
            continue
    return sorted(found)
