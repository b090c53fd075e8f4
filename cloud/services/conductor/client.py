"""Asks nova-conductor, under the names of its manager's methods."""

from collections.abc import Sequence
from typing import Any

from cloud.domain.service import Service, ServiceReport
from cloud.rpc.client import RpcClient
from cloud.rpc.topology import Target

PAGE = 500
"""Services in one answer: about 150 kB, where a message has 1 MiB at the most."""

_CONDUCTOR = Target("conductor")


class ConductorClient:
    """Any nova-conductor will do. Raises what the manager's methods raise, and the bus's errors."""

    TIMEOUT_S = 10.0

    def __init__(self, client: RpcClient, *, timeout_s: float = TIMEOUT_S) -> None:
        self._client = client
        self._timeout_s = timeout_s

    def report_service(self, report: ServiceReport) -> None:
        self._call("report_service", report=report.as_dict())

    def list_services(self, *, host: str | None = None, binary: str | None = None) -> Sequence[Service]:
        """Ordered by binary, then host; empty when nothing fits."""
        found: list[Service] = []
        further: dict[str, object] = {}
        while True:
            page = self._call("list_services", host=host, binary=binary, **further)
            found += [Service.from_dict(values) for values in page]
            # Each page has to begin behind the last one, so that this ends, whoever comes or goes meanwhile.
            if len(page) < PAGE or further.get("after") == [found[-1].binary, found[-1].host]:
                return found
            further["after"] = [found[-1].binary, found[-1].host]

    def enable_service(self, host: str, binary: str) -> Service:
        return Service.from_dict(self._call("enable_service", host=host, binary=binary))

    def disable_service(self, host: str, binary: str, reason: str | None) -> Service:
        return Service.from_dict(self._call("disable_service", host=host, binary=binary, reason=reason))

    def _call(self, method: str, **arguments: object) -> Any:
        return self._client.call(_CONDUCTOR, method, arguments, timeout_s=self._timeout_s)
