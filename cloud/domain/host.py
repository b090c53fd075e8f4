"""A compute host as the scheduler sees it, and what is asked of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Self

from cloud.domain.flavor import Flavor, Resources


@dataclass(frozen=True, slots=True)
class ComputeNode:
    """What a compute host reports of itself; `used` is what is claimed of it, whether it runs already or not."""

    host: str
    node: str
    """Its name as the hypervisor has it."""
    total: Resources
    used: Resources
    hypervisor_type: str
    hypervisor_version: int
    cpu_info: Mapping[str, Any]
    host_ip: str
    running_vms: int
    free_disk_gb: int
    """What its file system has left at the moment, whoever uses it."""
    updated_at: datetime
    storage_id: str | None = None
    """Of where its instances' disks are, equal for hosts that share it; None where the host does not say."""
    id: int = 0


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Hosts that an admin has put together; one with an availability zone puts them into it."""

    id: int
    name: str
    availability_zone: str | None
    hosts: tuple[str, ...]
    metadata: Mapping[str, str]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class HostState:
    """A compute host at the moment of a choice. Nothing here can be changed."""

    node: ComputeNode
    is_up: bool
    is_enabled: bool
    availability_zone: str
    aggregates: tuple[Aggregate, ...] = ()
    instances: frozenset[str] = frozenset()
    """Those that are asked about (`same_host`, `different_host`), as far as they are here."""


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What is wanted of a host; it travels."""

    instance_uuid: str
    project_id: str
    flavor: Flavor
    image_id: str | None
    image_properties: Mapping[str, str] = field(default_factory=dict)
    min_disk_gb: int = 0
    min_ram_mb: int = 0
    availability_zone: str | None = None
    forced_host: str | None = None
    """By an admin's `zone:host`: filters are not asked then, but for whether the host is up."""
    requested_host: str | None = None
    """The only one that is chosen from, if it passes the filters."""
    hints: Mapping[str, Any] = field(default_factory=dict)
    """os:scheduler_hints: same_host, different_host (uuids), group and others."""
    ignored_hosts: tuple[str, ...] = ()
    """Where it was tried already."""
    storage_id: str | None = None
    """Only hosts with that storage will do, also of those that an admin has named; None: any."""

    def as_dict(self) -> dict[str, Any]:
        """As values that JSON has; `from_dict` gives an equal request.

        `storage_id` only where one is asked for: a scheduler of an earlier version reads all others.
        """
        values = asdict(self) | {"ignored_hosts": list(self.ignored_hosts)}
        if self.storage_id is None:
            del values["storage_id"]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `as_dict` gave; TypeError for a missing or an unknown key."""
        request = cls(**values)
        return replace(request, flavor=Flavor.from_dict(values["flavor"]), ignored_hosts=tuple(values["ignored_hosts"]))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A host that may take it, and how much of each resource may be claimed there in all; it travels."""

    host: str
    node: str
    limits: Resources
    weight: float

    def as_dict(self) -> dict[str, Any]:
        """As values that JSON has; `from_dict` gives an equal candidate."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `as_dict` gave; TypeError for a missing or an unknown key."""
        return replace(cls(**values), limits=Resources.from_dict(values["limits"]))
