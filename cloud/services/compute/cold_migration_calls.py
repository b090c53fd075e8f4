"""Asks nova-compute of one host for what resizes and cold migrations need, under the names of its manager's methods."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from cloud.domain.fixed_ip import FixedIp
from cloud.domain.flavor import Flavor
from cloud.domain.instance import PowerState
from cloud.virt.moving import Transfer

ASK_S = 10.0
"""For what a host knows at once."""
WORK_S = 120.0
"""For what it has to do first: a guest is powered off, a disk grows, what is left of one is removed."""


class ColdMigrationCalls(ABC):
    """The part of ComputeClient that those use: either host may be asked again.

    ComputeError also when the host does not answer, or with a defect; InstanceStateError and InstanceNotFoundError
    where the instance is not in the state for it.
    """

    @abstractmethod
    def _build(self, host: str, method: str, arguments: Mapping[str, Any], timeout_s: float) -> Any:
        """Call it; see ComputeClient."""

    def prepare_disk(self, host: str, uuid: str, flavor: Flavor) -> Mapping[str, Any]:
        """Wait until the destination is ready for its disk: `storage_id`, and `target` for `send_disk`."""
        arguments = {"uuid": uuid, "flavor": flavor.as_dict()}
        prepared: Mapping[str, Any] = self._build(host, "prepare_disk", arguments, WORK_S)
        return prepared

    def power_off_for_resize(self, host: str, uuid: str, flavor: Flavor) -> str:
        """Wait until it is off at the source; its storage_id. BadRequestError for a flavor with a smaller disk."""
        arguments = {"uuid": uuid, "flavor": flavor.as_dict()}
        return str(self._build(host, "power_off_for_resize", arguments, WORK_S))

    def send_disk(self, host: str, uuid: str, target: Mapping[str, Any]) -> None:
        """At the source: begin; `disk_transfer` tells the rest."""
        self._build(host, "send_disk", {"uuid": uuid, "target": dict(target)}, ASK_S)

    def disk_transfer(self, host: str, uuid: str) -> Transfer:
        """At the source: as it stands; NONE where it knows of none."""
        return Transfer.from_dict(self._build(host, "disk_transfer", {"uuid": uuid}, ASK_S))

    def adopt(self, host: str, uuid: str, flavor: Flavor, fixed_ips: Sequence[FixedIp]) -> None:
        """Wait until it is at the destination, off, as large as `flavor` says."""
        addresses = [fixed_ip.as_dict() for fixed_ip in fixed_ips]
        self._build(host, "adopt", {"uuid": uuid, "flavor": flavor.as_dict(), "fixed_ips": addresses}, WORK_S)

    def resize_here(self, host: str, uuid: str, flavor: Flavor) -> None:
        """Wait until it is off, and as large as `flavor` says, on the host where it stays."""
        self._build(host, "resize_here", {"uuid": uuid, "flavor": flavor.as_dict()}, WORK_S)

    def set_aside(self, host: str, uuid: str) -> None:
        """Wait until it is off, and nothing starts it there until `take_back`."""
        self._build(host, "set_aside", {"uuid": uuid}, WORK_S)

    def start_resized(self, host: str, uuid: str, *, is_running: bool) -> PowerState:
        """Wait until it runs, or leave it off, where it is by now."""
        arguments = {"uuid": uuid, "is_running": is_running}
        return PowerState(self._build(host, "start_resized", arguments, WORK_S))

    def take_back(self, host: str, uuid: str, *, is_running: bool) -> PowerState:
        """Wait until it is not set aside any more, nor is its disk being sent; let it run only where it is by now."""
        return PowerState(self._build(host, "take_back", {"uuid": uuid, "is_running": is_running}, WORK_S))

    def drop_aside(self, host: str, uuid: str, *, keeps_disk: bool) -> None:
        """Wait until nothing is left there of an instance that another host has, or that is deleted."""
        self._build(host, "drop_aside", {"uuid": uuid, "keeps_disk": keeps_disk}, WORK_S)
