"""Hosts with more memory left are better."""

from dataclasses import dataclass
from typing import ClassVar

from cloud.domain.host import HostState


@dataclass(frozen=True, slots=True)
class RamWeigher:
    name: ClassVar[str] = "RAMWeigher"

    def weigh(self, host: HostState) -> float:
        """MiB, negative where more is claimed than there is."""
        return float(host.node.total.memory_mb - host.node.used.memory_mb)
