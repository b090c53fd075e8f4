"""Remedies that have services do something: nova-compute on a host, or nova-conductor."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from cloud.db.actions import FAILED
from cloud.doctor.remedy import Compute, Destroys, Means
from cloud.doctor.row_remedies import change_unmoved
from cloud.doctor.survey import SeenInstance
from cloud.domain.expected import Expected
from cloud.domain.instance import PowerState, TaskState
from cloud.errors import CloudError, InstanceStateError


@dataclass(frozen=True, slots=True)
class RemoveDuplicate:
    """A guest whose instance runs on the host that the database says, which is asked once more before."""

    seen: SeenInstance
    host: str
    is_off: bool
    shares_disk: bool
    """Whether both hosts use the same storage; otherwise its disk may be the only one with what is on it."""

    @property
    def destroys(self) -> Destroys | None:
        return None if self.is_off else Destroys.RUNNING_GUEST

    @property
    def says(self) -> str:
        off = "" if self.is_off else "power off and "
        since = f"since it runs on {self.seen.host} as the database says"
        if self.shares_disk:
            return f"{off}remove the guest on {self.host}, {since}; the disk, which both hosts see, stays"
        return f"{off}set aside the guest on {self.host}, whose disk is kept there as a copy, {since}"

    def apply(self, means: Means) -> None:
        seen, compute = self.seen, means.compute
        now = means.instances.get(seen.uuid)
        newest = means.migrations.newest(seen.uuid)
        is_moving = newest is not None and newest.is_in_progress
        if seen.host is None or now.host != seen.host or is_moving:
            raise InstanceStateError(f"cannot mend instance {seen.uuid}: it is moved, or on host {now.host} by now")
        if compute.guest_state(seen.host, seen.uuid) is not PowerState.RUNNING:
            raise InstanceStateError(f"cannot mend instance {seen.uuid}: it does not run on host {seen.host} any more")
        if not self.is_off:
            compute.give_up_guest(self.host, seen.uuid)
        if self.shares_disk:
            compute.clear_departed(self.host, seen.uuid, keeps_disk=True)
        else:
            compute.keep_guest(self.host, seen.uuid)


@dataclass(frozen=True, slots=True)
class RebootHard:
    """As a user may ask for it: that makes a guest anew where there is none, of the disk that is there."""

    destroys: ClassVar[Destroys | None] = None

    seen: SeenInstance
    host: str

    @property
    def says(self) -> str:
        return "reboot it hard, which makes its guest anew of its disk, or ends in error where there is none"

    def apply(self, means: Means) -> None:
        uuid = self.seen.uuid
        change_unmoved(means.instances, self.seen, {"task_state": TaskState.REBOOTING_HARD})
        means.actions.start(uuid, "reboot")
        try:
            means.compute.reboot_instance(self.host, uuid, "HARD")
        except CloudError:
            rebooting = Expected(task_states=(TaskState.REBOOTING_HARD,), host=self.host)
            means.instances.update(uuid, {"task_state": None}, expected=rebooting, verb="mend")
            means.actions.finish(uuid, message=FAILED)
            raise


_ASK: Mapping[TaskState, Callable[[Compute, str, str], None]] = MappingProxyType(
    {
        TaskState.REBOOTING: lambda compute, host, uuid: compute.reboot_instance(host, uuid, "SOFT"),
        TaskState.REBOOTING_HARD: lambda compute, host, uuid: compute.reboot_instance(host, uuid, "HARD"),
        TaskState.POWERING_OFF: lambda compute, host, uuid: compute.stop_instance(host, uuid),
        TaskState.POWERING_ON: lambda compute, host, uuid: compute.start_instance(host, uuid),
        TaskState.DELETING: lambda compute, host, uuid: compute.delete_instance(host, uuid),
    }
)
ASKED_AGAIN = frozenset(_ASK)
"""Tasks that a host lets go where they are done already."""


@dataclass(frozen=True, slots=True)
class AskAgain:
    """For what the host was asked before, and has not done."""

    destroys: ClassVar[Destroys | None] = None

    uuid: str
    host: str
    task_state: TaskState

    @property
    def says(self) -> str:
        return f"ask {self.host} for it again"

    def apply(self, means: Means) -> None:
        _ASK[self.task_state](means.compute, self.host, self.uuid)


@dataclass(frozen=True, slots=True)
class EndBuild:
    """nova-conductor looks whether it is overdue."""

    destroys: ClassVar[Destroys | None] = None
    says: ClassVar[str] = "have nova-conductor give the build up, and undo what there is of it"

    uuid: str

    def apply(self, means: Means) -> None:
        means.conductor.end_overdue_build(self.uuid)


@dataclass(frozen=True, slots=True)
class TakeUpMigration:
    """Where it stands; several at it do no harm."""

    destroys: ClassVar[Destroys | None] = None
    says: ClassVar[str] = "have nova-conductor take it up where it stands"

    migration_id: int

    def apply(self, means: Means) -> None:
        means.conductor.move_instance(self.migration_id)
