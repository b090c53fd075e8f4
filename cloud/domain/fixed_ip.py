"""An address that an instance has; it travels."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class FixedIp:
    """An IPv4 address and the MAC address that goes with it, in the network of that label."""

    address: str
    mac: str
    network: str

    def as_dict(self) -> dict[str, str]:
        """As values that JSON has; `from_dict` gives an equal one."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `as_dict` gave; TypeError for a missing or an unknown key."""
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Allocation:
    """That an instance, which may be gone, has an address. The time is aware and UTC."""

    id: int
    instance_uuid: str
    fixed_ip: FixedIp
    created_at: datetime
