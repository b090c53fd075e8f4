"""An address that an instance has; it travels."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
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
