"""Hosts with more disk left are better."""

from dataclasses import dataclass
from typing import ClassVar

from cloud.domain.host import HostState


@dataclass(frozen=True, slots=True)
class DiskWeigher:
    name: ClassVar[str] = "DiskWeigher"

    def weigh(self, host: HostState) -> float:
        """GiB that are neither claimed nor full; negative where more is claimed than there is."""
        node = host.node
        return float(min(node.total.disk_gb - node.used.disk_gb, node.free_disk_gb))
