"""An instance and the states it may be in, in nova's words."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any, Self

from cloud.domain.flavor import Flavor


class VmState(StrEnum):
    """What an instance is, when nothing is being done to it."""

    BUILDING = "building"
    ACTIVE = "active"
    STOPPED = "stopped"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    RESIZED = "resized"
    RESCUED = "rescued"
    ERROR = "error"
    DELETED = "deleted"


class TaskState(StrEnum):
    """What is being done to it; None when nothing is."""

    SCHEDULING = "scheduling"
    NETWORKING = "networking"
    SPAWNING = "spawning"
    REBOOTING = "rebooting"
    REBOOTING_HARD = "rebooting_hard"
    POWERING_OFF = "powering-off"
    POWERING_ON = "powering-on"
    IMAGE_SNAPSHOT = "image_snapshot"
    IMAGE_UPLOADING = "image_uploading"
    REBUILDING = "rebuilding"
    MIGRATING = "migrating"
    RESIZE_PREP = "resize_prep"
    RESIZE_MIGRATING = "resize_migrating"
    RESIZE_MIGRATED = "resize_migrated"
    RESIZE_FINISH = "resize_finish"
    RESIZE_CONFIRMING = "resize_confirming"
    RESIZE_REVERTING = "resize_reverting"
    DELETING = "deleting"


class PowerState(IntEnum):
    """What the hypervisor says of it; nova's numbers."""

    NOSTATE = 0
    RUNNING = 1
    PAUSED = 3
    SHUTDOWN = 4
    CRASHED = 6
    SUSPENDED = 7


_TIMES = ("created_at", "updated_at", "launched_at", "terminated_at", "deleted_at")


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance as the database has it. Times are aware and UTC."""

    id: int
    uuid: str
    project_id: str
    user_id: str
    display_name: str
    flavor: Flavor
    """As it was when the instance was made: later changes of a flavor are not its."""
    vm_state: VmState
    task_state: TaskState | None
    power_state: PowerState
    created_at: datetime
    updated_at: datetime
    image_id: str | None = None
    host: str | None = None
    node: str | None = None
    availability_zone: str | None = None
    """As it was asked for; None where nobody asked."""
    progress: int = 0
    key_name: str | None = None
    key_data: str | None = None
    user_data: str | None = None
    """Base64, as it came."""
    has_config_drive: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)
    system_metadata: Mapping[str, str] = field(default_factory=dict)
    """Of the image it was made from, and what its driver keeps."""
    access_ip_v4: str | None = None
    access_ip_v6: str | None = None
    reservation_id: str = ""
    launch_index: int = 0
    locked_by: str | None = None
    """`owner` or `admin`."""
    launched_at: datetime | None = None
    terminated_at: datetime | None = None
    deleted_at: datetime | None = None
    hostname: str = ""
    """What its own system calls itself: its first display name, made fit for DNS."""
    addresses: tuple[str, ...] = ()
    """Fixed IPv4 addresses."""

    def as_dict(self) -> dict[str, Any]:
        """As values that JSON has, times in ISO 8601; `from_dict` gives an equal instance."""
        values = asdict(self)
        times = {name: None if values[name] is None else values[name].isoformat() for name in _TIMES}
        return values | times | {"addresses": list(self.addresses)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `as_dict` gave; TypeError for a missing or an unknown key, ValueError for an unknown state or time."""
        instance = cls(**values)
        times: dict[str, Any] = {
            name: None if values[name] is None else datetime.fromisoformat(values[name]) for name in _TIMES
        }
        return replace(
            instance,
            flavor=Flavor.from_dict(values["flavor"]),
            vm_state=VmState(values["vm_state"]),
            task_state=None if values["task_state"] is None else TaskState(values["task_state"]),
            power_state=PowerState(values["power_state"]),
            addresses=tuple(values["addresses"]),
            **times,
        )


@dataclass(frozen=True, slots=True)
class InstanceFault:
    """Why an instance came to be in error, for whoever owns it; `details` are for admins."""

    code: int
    message: str
    details: str | None
    host: str | None
    created_at: datetime
