"""Only hosts with memory left."""

from dataclasses import dataclass
from typing import ClassVar

from cloud.domain.host import BuildRequest, HostState
from cloud.services.scheduler.ratios import Ratios


@dataclass(frozen=True, slots=True)
class RamFilter:
    """An instance shares a host's memory with others, and never with itself: it is no larger than the host."""

    ratios: Ratios
    name: ClassVar[str] = "RamFilter"

    def passes(self, host: HostState, request: BuildRequest) -> bool:
        wanted_mb, total = request.flavor.memory_mb, host.node.total
        left_mb = self.ratios.limits(total).memory_mb - host.node.used.memory_mb
        return wanted_mb <= min(total.memory_mb, left_mb)
