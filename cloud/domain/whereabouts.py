"""Where the database has an instance of which a host's hypervisor has a guest; it travels."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Self


class Departure(StrEnum):
    """What the records say of how an instance has left the host that asks, while that was not heard.

    By an evacuation, or by the revert of the resize with which it had come.
    """

    NONE = "none"
    UNDER_WAY = "under way"
    """It may run elsewhere at any moment, if it does not already."""
    COMPLETED = "completed"
    IN_ERROR = "in error"
    """Another host has the instance; whether it runs there, somebody must look."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Of one instance, as far as the asking host needs to know to let its guest run or not."""

    uuid: str
    host: str | None
    """Where it is, or was when it was deleted; None for one that is on no host, or that the database does not know."""
    is_deleted: bool = False
    is_moving: bool = False
    """Whether a migration that has to do with the asking host has not come to its end, or waits to be confirmed."""
    departure: Departure = Departure.NONE
    keeps_disk: bool = True
    """Of a departure: whether the other host uses the disk that is here, or nobody knows."""

    def as_dict(self) -> dict[str, Any]:
        """As values that JSON has; `from_dict` gives an equal one."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `as_dict` gave; TypeError for a missing or an unknown key, ValueError for an unknown departure."""
        return replace(cls(**values), departure=Departure(values["departure"]))


@dataclass(frozen=True, slots=True)
class FormerHost:
    """A host of which an instance has claimed something, though it is on another one by now; it travels."""

    host: str
    is_up: bool
    is_forced_down: bool = False
    """By an admin, whatever its nova-compute reports."""

    def as_dict(self) -> dict[str, Any]:
        """As values that JSON has; `from_dict` gives an equal one."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `as_dict` gave; TypeError for a missing or an unknown key."""
        return cls(**values)
