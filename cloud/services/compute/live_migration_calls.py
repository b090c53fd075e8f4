"""Asks nova-compute of one host for what a live migration needs, under the names of its manager's methods."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from cloud.domain.fixed_ip import FixedIp
from cloud.domain.instance import PowerState
from cloud.virt.moving import Transfer

ASK_S = 10.0
"""For what a host knows at once."""
WORK_S = 120.0
"""For what it has to do first: room for a disk is made, what is left of one removed."""


class LiveMigrationCalls(ABC):
    """The part of ComputeClient that a live migration uses: either host may be asked again.

    ComputeError also when the host does not answer, or with a defect; InstanceStateError and InstanceNotFoundError
    where the instance is not in the state for it.
    """

    @abstractmethod
    def _build(self, host: str, method: str, arguments: Mapping[str, Any], timeout_s: float) -> Any:
        """Call it; see ComputeClient."""

    def check_live_source(self, host: str, uuid: str, *, block: bool | None) -> Mapping[str, Any]:
        """What check_live_destination needs to know of the source."""
        found: Mapping[str, Any] = self._build(host, "check_live_source", {"uuid": uuid, "block": block}, ASK_S)
        return found

    def check_live_destination(
        self, host: str, uuid: str, *, block: bool | None, disk_over_commit: bool, source: Mapping[str, Any]
    ) -> bool:
        """Whether its disk goes too; None as `block` leaves that to whether both share their storage."""
        arguments = {"uuid": uuid, "block": block, "disk_over_commit": disk_over_commit, "source": dict(source)}
        return bool(self._build(host, "check_live_destination", arguments, ASK_S))

    def prepare_live_arrival(
        self, host: str, uuid: str, fixed_ips: Sequence[FixedIp], *, block: bool
    ) -> Mapping[str, Any]:
        """Wait until the destination is ready; what the source's hypervisor needs to reach it."""
        arguments = {"uuid": uuid, "fixed_ips": _plain(fixed_ips), "block": block}
        reach: Mapping[str, Any] = self._build(host, "prepare_live_arrival", arguments, WORK_S)
        return reach

    def start_live_transfer(self, host: str, uuid: str, destination: Mapping[str, Any], *, block: bool) -> bool:
        """At the source: begin; whether the instance runs meanwhile, as nova.conf there says."""
        arguments = {"uuid": uuid, "destination": dict(destination), "block": block}
        return bool(self._build(host, "start_live_transfer", arguments, ASK_S))

    def live_transfer(self, host: str, uuid: str) -> Transfer:
        """How it stands at the source; InstanceStateError when that knows of no such instance."""
        return Transfer.from_dict(self._build(host, "live_transfer", {"uuid": uuid}, ASK_S))

    def abort_live_transfer(self, host: str, uuid: str) -> None:
        """Have it end soon; `live_transfer` tells when, or that it was too late."""
        self._build(host, "abort_live_transfer", {"uuid": uuid}, ASK_S)

    def force_live_transfer(self, host: str, uuid: str) -> None:
        """Have the instance be paused, so that the transfer comes to its end."""
        self._build(host, "force_live_transfer", {"uuid": uuid}, ASK_S)

    def complete_live_arrival(self, host: str, uuid: str, fixed_ips: Sequence[FixedIp]) -> PowerState:
        """The instance is at the destination to stay, whose it is in the database already."""
        arguments = {"uuid": uuid, "fixed_ips": _plain(fixed_ips)}
        return PowerState(self._build(host, "complete_live_arrival", arguments, WORK_S))

    def cancel_live_arrival(self, host: str, uuid: str) -> None:
        """Wait until nothing is left at the destination of what came; ComputeError where the instance is there."""
        self._build(host, "cancel_live_arrival", {"uuid": uuid}, WORK_S)

    def clear_departed(self, host: str, uuid: str, *, keeps_disk: bool) -> None:
        """Wait until nothing is left of an instance that another host has; not its disk where that uses the same."""
        self._build(host, "clear_departed", {"uuid": uuid, "keeps_disk": keeps_disk}, WORK_S)

    def guest_state(self, host: str, uuid: str) -> PowerState | None:
        """What the hypervisor says of it; None when it has no such instance."""
        state = self._build(host, "guest_state", {"uuid": uuid}, ASK_S)
        return None if state is None else PowerState(state)


def _plain(fixed_ips: Sequence[FixedIp]) -> list[dict[str, str]]:
    return [fixed_ip.as_dict() for fixed_ip in fixed_ips]
