"""What resizes and cold migrations ask of nova-compute, and what their journals say: the journal's `destination` has,
from the step `pre` on, whether both hosts share their storage, and what the source needs to send a disk there.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from cloud.db.hosts import COMPUTE_BINARY
from cloud.domain.fixed_ip import FixedIp
from cloud.domain.flavor import Flavor
from cloud.domain.instance import PowerState, VmState
from cloud.domain.migration import MigrationType
from cloud.errors import ComputeError
from cloud.services.conductor.moves.disk_transfer import DiskCompute
from cloud.services.conductor.moves.move import Move
from cloud.services.conductor.tables import Tables
from cloud.services.conductor.whereabouts import IS_SHARED

TYPES = (MigrationType.COLD, MigrationType.RESIZE)
MAY_BE_DROPPED = "may_be_dropped"
"""In the journal's `destination`: a confirmation has begun to remove what the old host keeps."""


class ResizeCompute(DiskCompute, Protocol):
    """Either host. A second time changes nothing; one that comes too late is an InstanceStateError."""

    def prepare_disk(self, host: str, uuid: str, flavor: Flavor) -> Mapping[str, Any]:
        """At the destination: `storage_id`, and `target` for `send_disk`."""

    def power_off_for_resize(self, host: str, uuid: str, flavor: Flavor) -> str:
        """At the source: its storage_id. BadRequestError for a flavor with a smaller disk."""

    def adopt(self, host: str, uuid: str, flavor: Flavor, fixed_ips: Sequence[FixedIp]) -> None:
        """At the destination, where it is then, off."""

    def resize_here(self, host: str, uuid: str, flavor: Flavor) -> None:
        """Where it stays; off."""

    def set_aside(self, host: str, uuid: str) -> None:
        """Off, and nothing starts it until `take_back`."""

    def start_resized(self, host: str, uuid: str, *, is_running: bool) -> PowerState: ...

    def take_back(self, host: str, uuid: str, *, is_running: bool) -> PowerState: ...

    def drop_aside(self, host: str, uuid: str, *, keeps_disk: bool) -> None:
        """Nothing is left there of an instance that another host has, or that is deleted."""

    def guest_state(self, host: str, uuid: str) -> PowerState | None:
        """None where its hypervisor has no such guest."""


def stays(move: Move) -> bool:
    """Whether it goes to no other host."""
    return move.destination == move.source


def shares_storage(move: Move) -> bool:
    """Whether both hosts use the same disk. Nothing has come to the destination yet where that is not known."""
    return bool((move.migration.destination or {}).get(IS_SHARED, True))


def refuse_down(tables: Tables, move: Move, host: str) -> None:
    """ComputeError where its nova-compute is down: whoever asks it would wait in vain, and long."""
    if not any(service.is_up for service in tables.services.all(host=host, binary=COMPUTE_BINARY)):
        raise ComputeError(f"cannot move instance {move.uuid}: nova-compute on host {host} is down")


def ran_before(move: Move) -> bool:
    """Whether it was to run when the move began."""
    return move.migration.old_vm_state is VmState.ACTIVE


def is_unfinished(move: Move) -> bool:
    """Of one that is being confirmed or reverted: whether it ended in error before, and has never waited for that."""
    return move.instance.vm_state is not VmState.RESIZED
