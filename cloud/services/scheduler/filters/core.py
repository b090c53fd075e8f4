"""Only hosts with vCPUs left."""

from dataclasses import dataclass
from typing import ClassVar

from cloud.domain.host import BuildRequest, HostState
from cloud.services.scheduler.ratios import Ratios


@dataclass(frozen=True, slots=True)
class CoreFilter:
    """An instance shares a host's processors with others, and never with itself: it has no more than the host."""

    ratios: Ratios
    name: ClassVar[str] = "CoreFilter"

    def passes(self, host: HostState, request: BuildRequest) -> bool:
        wanted, total = request.flavor.vcpus, host.node.total
        left = self.ratios.limits(total).vcpus - host.node.used.vcpus
        return wanted <= min(total.vcpus, left)
