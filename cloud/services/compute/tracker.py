"""What this host has, told to nova-conductor, for the scheduler to choose by."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from cloud.domain.flavor import Resources
from cloud.domain.host import ComputeNode
from cloud.domain.instance import PowerState
from cloud.errors import ComputeError
from cloud.services.compute.work import Host
from cloud.virt.driver import VirtError
from cloud.virt.moving import ColdMigrating, LiveMigrating

NOTHING = Resources(memory_mb=0, vcpus=0, disk_gb=0)


@dataclass(frozen=True, slots=True)
class Reserved:
    """Kept back of the host for what is not an instance."""

    memory_mb: int = 0
    disk_mb: int = 0


class ResourceTracker:
    """Asks the hypervisor each time."""

    def __init__(self, host: Host, host_ip: str, reserved: Reserved, now: Callable[[], datetime]) -> None:
        self._host = host
        self._host_ip = host_ip
        self._reserved = reserved
        self._now = now

    def report(self) -> None:
        """Tell the conductor; ComputeError when the hypervisor does not say."""
        self._host.records.report_compute_node(self._node())

    def info(self) -> Mapping[str, Any]:
        """What is told, as values that JSON has."""
        node = self._node()
        return {
            "host": node.host,
            "node": node.node,
            **asdict(node.total),
            "free_disk_gb": node.free_disk_gb,
            "running_vms": node.running_vms,
            "hypervisor_type": node.hypervisor_type,
            "hypervisor_version": node.hypervisor_version,
            "cpu_info": dict(node.cpu_info),
            "host_ip": node.host_ip,
        }

    def _node(self) -> ComputeNode:
        driver = self._host.driver
        try:
            has = driver.resources()
            states = driver.instances().values()
            storage_id = driver.storage_id() if isinstance(driver, LiveMigrating | ColdMigrating) else None
        except VirtError as exc:
            raise ComputeError(str(exc)) from exc
        reserved_gb = -(-self._reserved.disk_mb // 1024)  # rounded up
        return ComputeNode(
            host=self._host.name,
            node=self._host.name,
            total=Resources(
                memory_mb=max(0, has.total.memory_mb - self._reserved.memory_mb),
                vcpus=has.total.vcpus,
                disk_gb=max(0, has.total.disk_gb - reserved_gb),
            ),
            used=NOTHING,  # the sum of the claims, which the conductor's table knows
            hypervisor_type=has.type,
            hypervisor_version=has.version,
            cpu_info=has.cpu_info,
            host_ip=self._host_ip,
            running_vms=sum(state is PowerState.RUNNING for state in states),
            free_disk_gb=has.free_disk_gb,
            updated_at=self._now(),
            storage_id=storage_id,
        )
