"""Only hosts with disk left."""

from dataclasses import dataclass
from typing import ClassVar

from cloud.domain.host import BuildRequest, HostState
from cloud.services.scheduler.ratios import Ratios


@dataclass(frozen=True, slots=True)
class DiskFilter:
    """What others than instances have filled counts as used: images grow into space that must really be there."""

    ratios: Ratios
    name: ClassVar[str] = "DiskFilter"

    def passes(self, host: HostState, request: BuildRequest) -> bool:
        node = host.node
        used_gb = max(node.used.disk_gb, node.total.disk_gb - node.free_disk_gb)
        return request.flavor.resources.disk_gb <= self.ratios.limits(node.total).disk_gb - used_gb
