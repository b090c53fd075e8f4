"""Builds, from a queue of their own: what a build has others do comes back to nova-conductor as calls.

Those have to find somebody who serves them, however many builds wait and run.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from kombu import Connection, Consumer

from cloud.rpc.errors import BadMessageError
from cloud.rpc.methods import methods_of, rpc_method
from cloud.rpc.publisher import Publisher
from cloud.rpc.server import RpcServer
from cloud.rpc.topology import Target, queues_of
from cloud.services.conductor.builder import Builder
from cloud.services.conductor.client import BUILDS
from cloud.services.conductor.reading import check_texts
from cloud.services.scheduler.reading import read_request


class BuildMethods:
    """What comes from that queue."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder

    @rpc_method
    def build_instance(self, request: Mapping[str, Any]) -> None:
        """Build it, or leave it in error; see Builder.build."""
        try:
            wanted = read_request(request)
        except ValueError as exc:
            raise BadMessageError(f"cannot read request: {exc}") from exc
        check_texts(instance_uuid=wanted.instance_uuid)
        self._builder.build(wanted)

    @rpc_method
    def end_overdue_build(self, uuid: str) -> None:
        """Give a build up that nobody goes on with; see Builder.end_overdue."""
        check_texts(uuid=uuid)
        self._builder.end_overdue(uuid)


class BuildServer(RpcServer):
    """Every nova-conductor has one; they take turns."""

    def __init__(self, publisher: Publisher, host: str, methods: BuildMethods, *, workers: int) -> None:
        """It closes `publisher` when it stops."""
        super().__init__(publisher, Target("conductor", host), methods_of(methods), workers=workers)

    def stop(self, timeout_s: float) -> bool:
        try:
            return super().stop(timeout_s)
        finally:
            self._publisher.close()

    def subscribe(self, connection: Connection) -> Sequence[Consumer]:
        """To builds alone: the rest is for the server that every service has."""
        channel = self._channel = connection.channel()
        if self._drain_until_s is not None:
            return ()
        channel.basic_qos(0, self._workers, False)
        assert BUILDS.host is not None  # noqa: S101 - for the type
        _, builds = queues_of(BUILDS.role, BUILDS.host)
        self._consumer = Consumer(channel, [builds], on_message=self._take)
        return (self._consumer,)
