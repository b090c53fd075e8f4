"""What the database and the hypervisors have, at nearly one moment: all that an examination goes by."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from cloud.domain.claim import Claim
from cloud.domain.expected import Expected
from cloud.domain.fixed_ip import Allocation
from cloud.domain.flavor import Resources
from cloud.domain.instance import Instance, PowerState, TaskState, VmState
from cloud.domain.migration import Migration
from cloud.virt.keeping import KeptCopy

OFF = (PowerState.SHUTDOWN, PowerState.CRASHED)
"""Such a guest does nothing to its disk; of any other it is taken that it may."""


@dataclass(frozen=True, slots=True)
class SeenInstance:
    """What matters of an instance: a cloud's worth of them is held."""

    uuid: str
    host: str | None
    node: str | None
    vm_state: VmState
    task_state: TaskState | None
    resources: Resources
    updated_at: datetime
    was_launched: bool

    @classmethod
    def of(cls, instance: Instance) -> Self:
        return cls(
            uuid=instance.uuid,
            host=instance.host,
            node=instance.node,
            vm_state=instance.vm_state,
            task_state=instance.task_state,
            resources=instance.flavor.resources,
            updated_at=instance.updated_at,
            was_launched=instance.launched_at is not None,
        )

    @property
    def expected(self) -> Expected:
        """That it is as it was seen."""
        return Expected((self.vm_state,), (self.task_state,), self.host)


@dataclass(frozen=True, slots=True)
class Survey:
    """Nothing here is changed. Of a host that is not among `guests` nothing is known."""

    taken_at: datetime
    instances: Mapping[str, SeenInstance]
    """By uuid, without those that are deleted."""
    deleted: Mapping[str, datetime]
    """When instances were deleted of which there are guests, by uuid."""
    claims: Sequence[Claim]
    allocations: Sequence[Allocation]
    migrations: Sequence[Migration]
    """Those that have not ended."""
    nodes: Mapping[str, str]
    """What the hypervisor of a compute host calls it, by host."""
    guests: Mapping[str, Mapping[str, PowerState]]
    """By host that has answered, and uuid."""
    silent: Mapping[str, str]
    """Compute hosts that have not, and why."""
    unanswered: frozenset[str]
    """Those of them that are taken to be up."""
    copies: Mapping[str, Sequence[KeptCopy]] = field(default_factory=dict)
    """What is set aside, by host that has said so: one of an earlier version does not."""
    histories: Mapping[str, Sequence[Migration]] = field(default_factory=dict)
    """The last migrations, newest first, of instances of which there are copies, by uuid."""
    storages: Mapping[str, str | None] = field(default_factory=dict)
    """Of compute hosts, as far as they say."""
    places: Mapping[str, tuple[str, ...]] = field(init=False)
    """On which hosts there are guests, by uuid."""
    moves: Mapping[str, tuple[Migration, ...]] = field(init=False)
    """`migrations` by uuid of their instances."""

    def __post_init__(self) -> None:
        places, moves = defaultdict[str, list[str]](list), defaultdict[str, list[Migration]](list)
        for host in sorted(self.guests):
            for uuid in self.guests[host]:
                places[uuid].append(host)
        for migration in self.migrations:
            moves[migration.instance_uuid].append(migration)
        object.__setattr__(self, "places", {uuid: tuple(hosts) for uuid, hosts in places.items()})
        object.__setattr__(self, "moves", {uuid: tuple(found) for uuid, found in moves.items()})

    def is_moving(self, uuid: str) -> bool:
        """Whether a migration is in progress: both hosts may have the instance then."""
        return any(migration.is_in_progress for migration in self.moves.get(uuid, ()))

    def is_settled(self, instance: SeenInstance) -> bool:
        """Whether nothing is done to it, so that all that belongs to it should be in its place."""
        is_idle = instance.task_state is None and instance.vm_state is not VmState.BUILDING
        return is_idle and not self.is_moving(instance.uuid)

    def is_compute_host(self, host: str) -> bool:
        return host in self.guests or host in self.silent

    def is_certainly_not_on(self, host: str, uuid: str) -> bool:
        """Whether that host has no guest of it: it says so, or is none that could."""
        return host not in self.silent and uuid not in self.guests.get(host, {})

    def is_elsewhere(self, instance: SeenInstance) -> bool:
        """Whether its only guest is on another host than the database says."""
        places = self.places.get(instance.uuid, ())
        return len(places) == 1 and instance.host not in places
