"""A flavor: how much of a host an instance gets."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Resources:
    """What is claimed of a host, or what it has; MiB and GiB."""

    memory_mb: int
    vcpus: int
    disk_gb: int

    def or_more(self, other: "Resources") -> "Resources":
        """Of each the larger."""
        return Resources(
            memory_mb=max(self.memory_mb, other.memory_mb),
            vcpus=max(self.vcpus, other.vcpus),
            disk_gb=max(self.disk_gb, other.disk_gb),
        )

    def as_dict(self) -> dict[str, int]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `as_dict` gave; TypeError for a missing or an unknown key."""
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Flavor:
    """`flavorid` is the id that users see; `id` is the row's."""

    id: int
    flavorid: str
    name: str
    memory_mb: int
    vcpus: int
    root_gb: int
    ephemeral_gb: int = 0
    swap_mb: int = 0
    rxtx_factor: float = 1.0
    is_public: bool = True
    extra_specs: Mapping[str, str] = field(default_factory=dict)

    @property
    def resources(self) -> Resources:
        """What an instance of it takes; nova counts no swap."""
        return Resources(self.memory_mb, self.vcpus, self.root_gb + self.ephemeral_gb)

    def as_dict(self) -> dict[str, Any]:
        """As values that JSON has; `from_dict` gives an equal flavor."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `as_dict` gave; TypeError for a missing or an unknown key."""
        return cls(**values)
