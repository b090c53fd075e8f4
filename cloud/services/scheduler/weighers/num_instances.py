"""Hosts with more instances are better, so that a negative multiplier spreads them."""

from dataclasses import dataclass
from typing import ClassVar

from cloud.domain.host import HostState


@dataclass(frozen=True, slots=True)
class NumInstancesWeigher:
    name: ClassVar[str] = "NumInstancesWeigher"

    def weigh(self, host: HostState) -> float:
        """Those that ran at the host's last report: a burst of builds is not in it."""
        return float(host.node.running_vms)
