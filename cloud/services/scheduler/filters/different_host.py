"""Only hosts that have none of the instances of the hint `different_host`."""

from dataclasses import dataclass
from typing import ClassVar

from cloud.domain.host import BuildRequest, HostState
from cloud.services.scheduler.hints import DIFFERENT_HOST, hinted_instances


@dataclass(frozen=True, slots=True)
class DifferentHostFilter:
    name: ClassVar[str] = "DifferentHostFilter"

    def passes(self, host: HostState, request: BuildRequest) -> bool:
        return hinted_instances(request, DIFFERENT_HOST).isdisjoint(host.instances)
