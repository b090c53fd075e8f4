"""What mends a finding, and what it is done with: the tables and the RPC that the services themselves use."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from cloud.db.actions import ActionTable
from cloud.db.claims import ClaimTable
from cloud.db.fixed_ips import FixedIpTable
from cloud.db.instances import InstanceTable
from cloud.db.migration_records import MigrationTable
from cloud.domain.instance import PowerState


class Compute(Protocol):
    """What is asked of nova-compute on a host; ComputeClient is one."""

    def list_guests(self, host: str, *, timeout_s: float) -> Mapping[str, PowerState]: ...

    def guest_state(self, host: str, uuid: str) -> PowerState | None: ...

    def give_up_guest(self, host: str, uuid: str) -> None: ...

    def clear_departed(self, host: str, uuid: str, *, keeps_disk: bool) -> None: ...

    def destroy(self, host: str, uuid: str) -> None: ...

    def keep_guest(self, host: str, uuid: str) -> None: ...

    def remove_kept_copy(self, host: str, uuid: str, name: str, *, keeps_disk: bool) -> None: ...

    def reboot_instance(self, host: str, uuid: str, reboot_type: str) -> None: ...

    def stop_instance(self, host: str, uuid: str) -> None: ...

    def start_instance(self, host: str, uuid: str) -> None: ...

    def delete_instance(self, host: str, uuid: str) -> None: ...


class Conductor(Protocol):
    """What is asked of nova-conductor; ConductorClient is one."""

    def end_overdue_build(self, uuid: str) -> None: ...

    def move_instance(self, migration_id: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Means:
    """What remedies work with."""

    instances: InstanceTable
    claims: ClaimTable
    fixed_ips: FixedIpTable
    migrations: MigrationTable
    actions: ActionTable
    compute: Compute
    conductor: Conductor


class Destroys(StrEnum):
    """What whoever wants it has to say in particular, since nobody can undo it."""

    RUNNING_GUEST = "running guest"
    COPY = "copy"
    """A disk with what no other has, as far as is known."""


class Remedy(Protocol):
    """It looks again before it changes anything, and changes nothing where things are not as they were found."""

    @property
    def says(self) -> str:
        """What it does, as an order: `release the claim`."""

    @property
    def destroys(self) -> Destroys | None:
        """None where a yes will do."""

    def apply(self, means: Means) -> None:
        """A CloudError says why it was not done, or not wholly."""
