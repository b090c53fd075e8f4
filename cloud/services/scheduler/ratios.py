"""How much of each resource may be claimed of a host, as a multiple of what it has."""

from dataclasses import dataclass

from cloud.domain.flavor import Resources


@dataclass(frozen=True, slots=True)
class Ratios:
    """nova's defaults: an idle vCPU costs nothing, idle memory a little, and a disk fills up."""

    memory: float = 1.5
    vcpus: float = 16.0
    disk: float = 1.0

    def limits(self, total: Resources) -> Resources:
        """What may be claimed of a host in all, rounded down."""
        return Resources(
            memory_mb=int(total.memory_mb * self.memory),
            vcpus=int(total.vcpus * self.vcpus),
            disk_gb=int(total.disk_gb * self.disk),
        )
