"""What nova-compute asks of a hypervisor about copies: instances that are not its own any more, or nobody's, whose disk
may be the only one with what was written to it. A Protocol beside Driver, as those of moving.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Protocol, Self, runtime_checkable


@dataclass(frozen=True, slots=True)
class KeptCopy:
    """A guest and its disk, which nothing starts and no move takes for the instance's; it travels."""

    uuid: str
    name: str
    """By which its host finds it, and an admin at its hypervisor."""
    disk_bytes: int
    """The size of its disk."""
    since: datetime
    """Aware."""
    is_for_revert: bool
    """Whether a resize has set it aside, so that `take_back` makes it the instance again."""

    def as_dict(self) -> dict[str, Any]:
        """As values that JSON has; `from_dict` gives an equal one."""
        return asdict(self) | {"since": self.since.isoformat()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `as_dict` gave; TypeError for a missing or an unknown key, ValueError for a time that is none."""
        return replace(cls(**values), since=datetime.fromisoformat(values["since"]))


@runtime_checkable
class Keeping(Protocol):
    """Copies outlive nova-compute. VirtError where something fails; each may be asked for again then."""

    def has_own_disk(self, uuid: str) -> bool:
        """Whether the guest's disk is where no other host sees it; InstanceMissingError without a guest."""

    def keep(self, uuid: str) -> str | None:
        """Let a guest that is off be a copy, whose name is returned; its disk is on shared storage under that name too.

        None where there is no such guest, or its disk is another host's by now, which nothing changes. VirtError for
        one that runs.
        """

    def kept_copies(self) -> Sequence[KeptCopy]:
        """All that there are, those of `set_aside` too, ordered by uuid and then by age."""

    def remove_kept(self, uuid: str, name: str, *, keeps_disk: bool) -> None:
        """Remove the copy of that name with its disk; no error when there is none.

        `keeps_disk`, for one that is for a revert, where the host that has the instance uses the same storage.
        """
