"""A migration: one move of one instance from host to host, or to another flavor, with the journal by which whoever
takes it up goes on. It travels.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from cloud.domain.flavor import Flavor
from cloud.domain.instance import VmState


class MigrationType(StrEnum):
    """In nova's words."""

    LIVE = "live-migration"
    COLD = "migration"
    RESIZE = "resize"
    EVACUATION = "evacuation"


class MigrationStatus(StrEnum):
    """How far it is, in nova's words."""

    ACCEPTED = "accepted"
    PREPARING = "preparing"
    RUNNING = "running"
    POST_MIGRATING = "post-migrating"
    COMPLETED = "completed"
    FAILED = "failed"
    """And what it had done is undone."""
    ERROR = "error"
    """And not undone: somebody must look."""
    CANCELLED = "cancelled"
    FINISHED = "finished"
    """A resize or a cold migration that waits to be confirmed or reverted."""
    CONFIRMING = "confirming"
    CONFIRMED = "confirmed"
    REVERTING = "reverting"
    REVERTED = "reverted"


ENDED = frozenset(
    {
        MigrationStatus.COMPLETED,
        MigrationStatus.FAILED,
        MigrationStatus.ERROR,
        MigrationStatus.CANCELLED,
        MigrationStatus.CONFIRMED,
        MigrationStatus.REVERTED,
    }
)
"""Nothing more becomes of those."""
IN_PROGRESS = frozenset(MigrationStatus) - ENDED - {MigrationStatus.FINISHED}
"""Somebody works on those, or has died over them."""

_TIMES = ("created_at", "updated_at", "transfer_began_at", "uncertain_since", "due_at")


@dataclass(frozen=True, slots=True)
class Migration:
    """As the database has it. Times are aware and UTC; what is None is not known yet."""

    id: int
    uuid: str
    instance_uuid: str
    type: MigrationType
    status: MigrationStatus
    request_id: str | None
    source_compute: str
    dest_compute: str | None
    old_flavor: Flavor
    new_flavor: Flavor
    """The same as the old one where it is not a resize."""
    old_vm_state: VmState
    """What the instance was when this began."""
    created_at: datetime
    updated_at: datetime
    source_node: str | None = None
    dest_node: str | None = None
    dest_host: str | None = None
    """The address of the destination."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What was asked for: block_migration, disk_over_commit, host, is_forced, on_shared_storage and the like."""
    step: str | None = None
    """The step that runs, or ran last; with `is_undoing` the one that all is undone from."""
    is_undoing: bool = False
    """What was done is being taken back."""
    is_handed_over: bool = False
    """The instance is the destination's; nothing is undone any more."""
    is_abort_wanted: bool = False
    is_force_complete_wanted: bool = False
    """The transfer is to come to its end, whatever that takes."""
    destination: Mapping[str, Any] | None = None
    """What the destination's hypervisor has said that the source's needs."""
    progress: int = 0
    """Per cent."""
    memory_total_bytes: int | None = None
    memory_processed_bytes: int | None = None
    memory_remaining_bytes: int | None = None
    disk_total_bytes: int | None = None
    disk_processed_bytes: int | None = None
    disk_remaining_bytes: int | None = None
    downtime_ms: int | None = None
    error: str | None = None
    """Why it failed, what is left of it, or what is waited for."""
    owner: str | None = None
    """Set anew by whoever takes it up; None where nobody has, or none does any more."""
    transfer_began_at: datetime | None = None
    uncertain_since: datetime | None = None
    """Neither hypervisor can say since then which of them has the instance."""
    due_at: datetime | None = None
    """When they are asked again."""

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    @property
    def is_in_progress(self) -> bool:
        return self.status in IN_PROGRESS

    def as_dict(self) -> dict[str, Any]:
        """As values that JSON has, times in ISO 8601; `from_dict` gives an equal migration."""
        values = asdict(self)
        times = {name: values[name] for name in _TIMES}
        return values | {name: None if time is None else time.isoformat() for name, time in times.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `as_dict` gave; TypeError for a missing or an unknown key, ValueError for an unknown state or time."""
        times: dict[str, Any] = {
            name: None if values[name] is None else datetime.fromisoformat(values[name]) for name in _TIMES
        }
        return replace(
            cls(**values),
            type=MigrationType(values["type"]),
            status=MigrationStatus(values["status"]),
            old_flavor=Flavor.from_dict(values["old_flavor"]),
            new_flavor=Flavor.from_dict(values["new_flavor"]),
            old_vm_state=VmState(values["old_vm_state"]),
            **times,
        )
