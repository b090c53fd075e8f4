"""Remedies for what hosts have of instances that are gone, elsewhere or nobody's: guests, and copies that are kept."""

from dataclasses import dataclass
from typing import ClassVar

from cloud.doctor.remedy import Destroys, Means
from cloud.doctor.survey import OFF, SeenInstance
from cloud.domain.instance import PowerState
from cloud.errors import InstanceNotFoundError, InstanceStateError
from cloud.virt.keeping import KeptCopy


@dataclass(frozen=True, slots=True)
class RemoveLeftover:
    """A guest of an instance that is deleted, or one that is off of an instance that was never built."""

    uuid: str
    host: str
    is_off: bool = True

    @property
    def destroys(self) -> Destroys | None:
        return None if self.is_off else Destroys.RUNNING_GUEST

    @property
    def says(self) -> str:
        if self.is_off:
            return f"remove the guest, which is off, and its disk from {self.host}"
        return f"power off the guest, whose instance is deleted, and remove it and its disk from {self.host}"

    def apply(self, means: Means) -> None:
        state = means.compute.guest_state(self.host, self.uuid)
        if self.is_off and state is not None and state not in OFF:
            raise InstanceStateError(f"cannot remove guest {self.uuid}: it is {state.name} on host {self.host} by now")
        now = _instance(means, self.uuid)
        if now is not None and (not self.is_off or now.host is not None or now.task_state is not None):
            raise InstanceStateError(f"cannot remove guest {self.uuid}: its instance is on host {now.host} by now")
        means.compute.destroy(self.host, self.uuid)


@dataclass(frozen=True, slots=True)
class KeepGuest:
    """A guest that the database does not know, or one that is off beside that of its host: nothing of it is lost."""

    uuid: str
    host: str
    is_off: bool
    seen: SeenInstance | None = None
    """None where the database has no such instance."""
    shares_disk: bool = False
    """Whether the host of the instance uses the same storage."""

    @property
    def destroys(self) -> Destroys | None:
        return None if self.is_off else Destroys.RUNNING_GUEST

    @property
    def says(self) -> str:
        if self.shares_disk:
            return f"remove the guest, which is off, from {self.host}; the disk, which both hosts see, stays"
        off = "" if self.is_off else "power off and "
        return f"{off}set aside the guest on {self.host}, whose disk is kept there as a copy"

    def apply(self, means: Means) -> None:
        now = _instance(means, self.uuid)
        if (now is None) is not (self.seen is None) or (now is not None and now.host == self.host):
            raise InstanceStateError(f"cannot set aside guest {self.uuid}: its instance is known, or elsewhere, by now")
        state = means.compute.guest_state(self.host, self.uuid)
        if self.is_off and state is not None and state not in OFF:
            raise InstanceStateError(f"cannot set aside guest {self.uuid}: it is {state.name} on {self.host} by now")
        if self.shares_disk:
            means.compute.clear_departed(self.host, self.uuid, keeps_disk=True)
        else:
            means.compute.keep_guest(self.host, self.uuid)


@dataclass(frozen=True, slots=True)
class RemoveCopy:
    """A copy of an instance that is deleted; or any other, by a wish of its own."""

    host: str
    copy: KeptCopy
    destroys: Destroys | None = None
    seen: SeenInstance | None = None
    """None where the database has no such instance."""
    state: PowerState | None = None
    """Of its guest on its host, as it was seen; None where none was."""

    @property
    def says(self) -> str:
        return f"remove {self.copy.name} and its disk from {self.host}"

    def apply(self, means: Means) -> None:
        seen, now = self.seen, _instance(means, self.copy.uuid)
        if seen is None and now is not None:
            raise InstanceStateError(f"cannot remove copy {self.copy.name}: its instance is not deleted")
        if seen is not None and (now is None or now.host != seen.host):
            raise InstanceStateError(f"cannot remove copy {self.copy.name}: its instance is moved, or gone, by now")
        if seen is not None and seen.host is not None:
            state = means.compute.guest_state(seen.host, seen.uuid)
            if state is not self.state:
                found = "has no guest" if state is None else f"is {state.name}"
                raise InstanceStateError(
                    f"cannot remove copy {self.copy.name}: its instance {found} on {seen.host} by now"
                )
        means.compute.remove_kept_copy(self.host, self.copy.uuid, self.copy.name, keeps_disk=False)


@dataclass(frozen=True, slots=True)
class RemoveOutdated:
    """What a resize has left of an instance that runs elsewhere with its disk, which is asked for once more before."""

    destroys: ClassVar[Destroys | None] = None

    host: str
    copy: KeptCopy
    seen: SeenInstance
    keeps_disk: bool
    """Whether the host of the instance may use the same storage."""

    @property
    def says(self) -> str:
        kept = "but for a disk that other hosts see" if self.keeps_disk else "and its disk"
        return f"remove what a resize has set aside on {self.host} {kept}, since it runs on {self.seen.host}"

    def apply(self, means: Means) -> None:
        seen, now = self.seen, _instance(means, self.copy.uuid)
        newest = means.migrations.newest(seen.uuid)
        is_moving = newest is not None and not newest.has_ended
        if now is None or seen.host is None or now.host != seen.host or is_moving:
            raise InstanceStateError(f"cannot remove copy {self.copy.name}: its instance is moved, or gone, by now")
        if means.compute.guest_state(seen.host, seen.uuid) is not PowerState.RUNNING:
            raise InstanceStateError(f"cannot remove copy {self.copy.name}: it does not run on {seen.host} any more")
        means.compute.remove_kept_copy(self.host, self.copy.uuid, self.copy.name, keeps_disk=self.keeps_disk)


def _instance(means: Means, uuid: str) -> SeenInstance | None:
    """None for one that is deleted, or never was."""
    try:
        return SeenInstance.of(means.instances.get(uuid))
    except InstanceNotFoundError:
        return None
