"""Remedies that change rows of the database, each by compare-and-set."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from cloud.db.instances import InstanceTable
from cloud.doctor.remedy import Destroys, Means
from cloud.doctor.survey import SeenInstance
from cloud.domain.expected import ANY
from cloud.domain.flavor import Resources
from cloud.domain.instance import Instance, PowerState, TaskState, VmState
from cloud.errors import InstanceStateError


@dataclass(frozen=True, slots=True)
class _OfRows:
    destroys: ClassVar[Destroys | None] = None


@dataclass(frozen=True, slots=True)
class ReleaseClaim(_OfRows):
    """`seen` is None where there is no such instance: none will be, for uuids are not used twice."""

    uuid: str
    host: str
    seen: SeenInstance | None = None

    @property
    def says(self) -> str:
        return f"release what is claimed of {self.host}"

    def apply(self, means: Means) -> None:
        means.claims.release(self.uuid, self.host, expected=ANY if self.seen is None else self.seen.expected)


@dataclass(frozen=True, slots=True)
class TakeClaim(_OfRows):
    """Whatever room there is: the instance is there already."""

    seen: SeenInstance
    host: str

    @property
    def says(self) -> str:
        return f"claim {in_words(self.seen.resources)} of {self.host}, whatever room there is"

    def apply(self, means: Means) -> None:
        seen = self.seen
        means.claims.resize(seen.uuid, self.host, seen.resources, None, expected=seen.expected)


@dataclass(frozen=True, slots=True)
class ReleaseAddress(_OfRows):
    """All that the instance has: it is gone."""

    uuid: str
    address: str

    @property
    def says(self) -> str:
        return f"release {self.address}"

    def apply(self, means: Means) -> None:
        means.fixed_ips.release(self.uuid)


@dataclass(frozen=True, slots=True)
class SetNode(_OfRows):
    """As the host calls itself."""

    seen: SeenInstance
    node: str

    @property
    def says(self) -> str:
        return f"set its node to {self.node}"

    def apply(self, means: Means) -> None:
        means.instances.update(self.seen.uuid, {"node": self.node}, expected=self.seen.expected, verb="mend")


@dataclass(frozen=True, slots=True)
class PutOnHost(_OfRows):
    """Where its guest runs, while the host that the database has is known to have none."""

    seen: SeenInstance
    host: str
    node: str
    was_asked: bool
    """Whether `seen.host` is a host that can be asked."""

    @property
    def says(self) -> str:
        return f"put it on {self.host} in the database, with its claim"

    def apply(self, means: Means) -> None:
        seen = self.seen
        if means.compute.guest_state(self.host, seen.uuid) is not PowerState.RUNNING:
            raise InstanceStateError(f"cannot mend instance {seen.uuid}: it does not run on host {self.host} any more")
        if self.was_asked and seen.host is not None and means.compute.guest_state(seen.host, seen.uuid) is not None:
            raise InstanceStateError(f"cannot mend instance {seen.uuid}: host {seen.host} has a guest of it again")
        changes = {"host": self.host, "node": self.node}
        means.instances.update(seen.uuid, changes, expected=seen.expected, verb="mend")
        means.claims.move(seen.uuid, self.host, seen.resources)


@dataclass(frozen=True, slots=True)
class ClearTask(_OfRows):
    """Nobody goes on with it."""

    seen: SeenInstance
    vm_state: VmState | None = None
    """What it becomes beside; None leaves it."""

    @property
    def says(self) -> str:
        also = "" if self.vm_state is None else f", and its vm_state to {self.vm_state}"
        return f"set its task_state to none{also}"

    def apply(self, means: Means) -> None:
        changes: dict[str, Any] = {"task_state": None}
        change_unmoved(
            means.instances, self.seen, changes if self.vm_state is None else changes | {"vm_state": self.vm_state}
        )


@dataclass(frozen=True, slots=True)
class DeleteRow(_OfRows):
    """Of an instance that is to be deleted and is on no host."""

    seen: SeenInstance

    @property
    def says(self) -> str:
        return "delete it, which is on no host"

    def apply(self, means: Means) -> None:
        seen = self.seen
        change_unmoved(means.instances, seen, {"task_state": TaskState.DELETING})
        means.instances.delete(seen.uuid, expected=seen.expected)


def change_unmoved(instances: InstanceTable, seen: SeenInstance, changes: Mapping[str, Any]) -> Instance:
    """Change it, if nobody has changed anything of it since it was seen: a task may have ended and begun anew.

    InstanceStateError otherwise.
    """

    def change(instance: Instance) -> Mapping[str, Any]:
        _check_unmoved(instance, seen.updated_at)
        return changes

    return instances.merge(seen.uuid, change, expected=seen.expected, verb="mend")


def _check_unmoved(instance: Instance, since: datetime) -> None:
    if instance.updated_at != since:
        raise InstanceStateError(
            f"cannot mend instance {instance.uuid}: it was changed at {instance.updated_at.isoformat()}"
        )


def in_words(resources: Resources) -> str:
    return f"{resources.memory_mb} MB, {resources.vcpus} vcpus and {resources.disk_gb} GB"
