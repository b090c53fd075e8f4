"""What nova-compute asks of a hypervisor whose instances can go to another host: beside Driver, each a Protocol.

A driver has those that its hypervisor can do; `isinstance` tells. tests/virt says the same as tests. Where disks are on
storage that both hosts share, they stay where they are, and only whoever has the instance may remove them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Protocol, Self, runtime_checkable

from cloud.domain.fixed_ip import FixedIp
from cloud.domain.instance import Instance, PowerState
from cloud.virt.driver import Progress


class TransferPhase(StrEnum):
    """How far an instance that runs has come on its way to another host."""

    NONE = "none"
    """The source knows of no transfer: none was begun, or it was lost with the source's process."""
    RUNNING = "running"
    COMPLETED = "completed"
    """The destination has the instance, the source not any more."""
    FAILED = "failed"
    """Nearly always the instance goes on at the source; who has it, only both hypervisors can tell."""
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transfer at one moment; it travels. What was dirtied meanwhile is sent again, so processed may exceed total."""

    phase: TransferPhase
    progress: int = 0
    """In per cent of memory and disks; it may fall while memory is dirtied."""
    memory_total_bytes: int = 0
    memory_processed_bytes: int = 0
    memory_remaining_bytes: int = 0
    disk_total_bytes: int = 0
    """0 where disks stay where they are."""
    disk_processed_bytes: int = 0
    disk_remaining_bytes: int = 0
    downtime_ms: int | None = None
    """How long it did not run; None while that is not known."""
    is_paused: bool = False
    """Whether the instance does not run while this lasts."""
    error: str | None = None
    """Why it failed or was cancelled."""

    def as_dict(self) -> dict[str, Any]:
        """As values that JSON has; `from_dict` gives an equal one."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `as_dict` gave; TypeError for a missing or an unknown key, ValueError for an unknown phase."""
        return replace(cls(**values), phase=TransferPhase(values["phase"]))


class Moving(Protocol):
    """What every way to another host needs."""

    def storage_id(self) -> str:
        """Of where disks are: equal on two hosts that share it."""

    def cancel_arrival(self, uuid: str) -> None:
        """Destination, after a failure: remove what came or was made ready for it; no error when nothing is there.

        VirtError for an instance that is here: it is never removed. What `adopt` made goes by `clear_departed`.
        """

    def clear_departed(self, uuid: str, *, keeps_disk: bool) -> None:
        """Remove what is left here of an instance that another host has; no error when nothing is.

        That is what a transfer or a fenced host leaves behind, and on a revert what `adopt` made: an instance that is
        off goes, one that runs is a VirtError, and so is one that its destination has not looked for yet. `keeps_disk`
        where the other host uses the same storage; what only this host has goes in any case.
        """


@runtime_checkable
class LiveMigrating(Moving, Protocol):
    """Instances that run go to another host, in this order; each may be called again after a crash of whoever asks."""

    def check_can_leave(self, uuid: str, *, block: bool) -> Mapping[str, Any]:
        """Source; VirtError says why not. What the destination's check needs to know of the source, as its CPU."""

    def check_can_come(
        self,
        instance: Instance,
        *,
        block: bool,
        disk_over_commit: bool,
        source: Mapping[str, Any] | None = None,
    ) -> None:
        """Destination; VirtError says why not: the CPU, the instance or its disk being there, no room for its disk.

        `disk_over_commit` asks for room for what its disk holds rather than for what it may hold. `source` is what
        `check_can_leave` said.
        """

    def prepare_arrival(self, instance: Instance, fixed_ips: Sequence[FixedIp], *, block: bool) -> Mapping[str, Any]:
        """Destination: be ready to receive it; what the source needs to reach it, as JSON has it.

        A second time is no change. `cancel_arrival` takes it back.
        """

    def start_transfer(self, uuid: str, destination: Mapping[str, Any], *, block: bool, is_live: bool) -> None:
        """Source: begin, and return at once; `transfer` tells the rest.

        While one runs or when it has completed, a second time is no change; after a failure it begins anew. With
        `is_live` False the instance is paused meanwhile. VirtError when it cannot even begin.
        """

    def transfer(self, uuid: str) -> Transfer:
        """Source: as it stands. InstanceMissingError when nothing is known of such an instance."""

    def abort_transfer(self, uuid: str) -> None:
        """Source: end it soon, the instance goes on running here; `transfer` tells when, or that it was too late.

        No error when none runs.
        """

    def force_transfer(self, uuid: str) -> None:
        """Source: pause it until it runs at the destination: its memory is dirtied no more, and the transfer ends.

        No error when none runs.
        """

    def complete_arrival(self, instance: Instance, fixed_ips: Sequence[FixedIp]) -> PowerState:
        """Destination, after the transfer: it stays here, also after a restart of the host; a second time is no change.

        InstanceMissingError when it has not come.
        """


@runtime_checkable
class ColdMigrating(Moving, Protocol):
    """Instances that are off go to another host, or to another flavor.

    The source keeps its own, set aside, until it is known which of the two hosts is to have the instance.
    """

    def prepare_disk(self, instance: Instance) -> Mapping[str, Any]:
        """Destination: be ready to receive its disk; what the source needs to reach it, as JSON has it.

        A second time is no change. `cancel_arrival` takes it back. VirtError when the instance is here.
        """

    def send_disk(self, uuid: str, destination: Mapping[str, Any], progress: Progress) -> None:
        """Source: the disk is there afterwards, whole; the source keeps its own. May be repeated.

        Where both share their storage nothing is sent. VirtError when the instance is not off. Not for long-held locks:
        it takes as long as the disk is large.
        """

    def adopt(self, instance: Instance, fixed_ips: Sequence[FixedIp], *, is_running: bool) -> PowerState:
        """Destination: make an instance of the disk that came or that shared storage has, as its flavor says.

        When it is here already nothing changes. VirtError without such a disk, or with one too large for the flavor;
        after a failure the disk is as it was. `clear_departed` takes it back.
        """

    def set_aside(self, uuid: str) -> None:
        """Source: it stays, but is none of `instances` and cannot be started until `take_back`; may be repeated.

        VirtError when it is not off.
        """

    def is_set_aside(self, uuid: str) -> bool: ...

    def take_back(self, uuid: str) -> None:
        """Source: undo `set_aside`; it is off, and its disk is this host's again. May be repeated."""

    def drop_aside(self, uuid: str, *, keeps_disk: bool) -> None:
        """Source: remove what was set aside; no error when nothing was. `keeps_disk` as with `clear_departed`."""

    def resize(self, instance: Instance) -> None:
        """Make it, here, what its flavor says; may be repeated.

        VirtError, and no change, when it is not off or when the disk holds more than the flavor's would.
        """


@runtime_checkable
class Regenerating(Protocol):
    """Instances are made anew from nothing but what is known of them and their disk on shared storage."""

    def has_disk(self, uuid: str) -> bool:
        """Whether the storage has a disk of it, also where it is another host's."""

    def define_again(self, instance: Instance, fixed_ips: Sequence[FixedIp], settings: Mapping[str, str]) -> None:
        """It is here as the flavor and the addresses say, its disk is this host's, and it is off unless it ran here.

        `settings` are `dhcp_server` and `vnc_address`; what is missing is as the host has it. VirtError, and no change,
        when the storage has no disk of it.
        """

    def definition(self, uuid: str) -> Mapping[str, Any]:
        """What it is made of, as JSON has it: uuid, name, memory_mb, vcpus, disk_gb, disk, interfaces, and settings."""
