"""Builds, from a queue of their own: a request comes off the bus, and is built to its end."""

from collections.abc import Mapping
from typing import Any

from cloud.rpc.errors import BadMessageError
from cloud.rpc.methods import methods_of, rpc_method
from cloud.rpc.publisher import Publisher
from cloud.services.conductor.builder import Builder
from cloud.services.conductor.client import BUILDS
from cloud.services.conductor.own_queue import OwnQueueServer
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


class BuildServer(OwnQueueServer):
    """Every nova-conductor has one; they take turns."""

    def __init__(self, publisher: Publisher, host: str, methods: BuildMethods, *, workers: int) -> None:
        """It closes `publisher` when it stops."""
        super().__init__(publisher, BUILDS, host, methods_of(methods), workers=workers)
