"""What nova-compute asks of a hypervisor, whichever it is. tests/virt/test_driver_contract.py says the same as tests.

What only some hypervisors do, as moving an instance that runs, is a Protocol of its own beside this one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cloud.domain.fixed_ip import FixedIp
from cloud.domain.flavor import Resources
from cloud.domain.instance import Instance, PowerState

Progress = Callable[[int], None]
"""Is told how much of a longer piece of work is done, in per cent."""


class VirtError(Exception):
    """The hypervisor could not do it; the method's docstring says in which state that leaves the instance."""


class InstanceMissingError(VirtError):
    """The hypervisor has no such instance."""


class InstanceExistsError(VirtError):
    """The hypervisor has an instance of that uuid already; it was left as it is."""


@dataclass(frozen=True, slots=True)
class HypervisorResources:
    """A hypervisor, and what its host has in all, whoever uses it."""

    type: str
    version: int
    cpu_info: Mapping[str, Any]
    """arch, vendor, model, topology and features, as nova has them."""
    total: Resources
    free_disk_gb: int
    """What is left at the moment."""


class Driver(Protocol):
    """A hypervisor of one host.

    Any thread may call; whoever does sees to it that of one instance only one thing is done at a time. Instances
    outlive nova-compute: a driver made anew finds them as they are. Whatever fails raises a VirtError.
    """

    def resources(self) -> HypervisorResources: ...

    def instances(self) -> Mapping[str, PowerState]:
        """By uuid, all that there are, also those that nova-compute has not made."""

    def power_state(self, uuid: str) -> PowerState:
        """InstanceMissingError when there is none."""

    def spawn(self, instance: Instance, image: Path | None, fixed_ips: Sequence[FixedIp], progress: Progress) -> None:
        """Make it and let it run, with an interface for each address.

        Its disk is `image` grown to the flavor's size, or empty. After a failure nothing of it is left.
        InstanceExistsError when it is there already.
        """

    def destroy(self, uuid: str) -> None:
        """End it with its disk; one that is not there is no error. After a failure it may be called again."""

    def reboot(self, uuid: str, *, hard: bool) -> None:
        """Let it begin anew, also where it did not run: by its own shutdown, or `hard` by a reset.

        After a failure `power_state` tells whether it runs.
        """

    def power_off(self, uuid: str) -> None:
        """Let it not run; no error when it does not. After a failure it is as it was."""

    def power_on(self, uuid: str) -> None:
        """Let it run; no error when it does. After a failure it is as it was."""

    def console_output(self, uuid: str, max_bytes: int) -> bytes:
        """The end of what it wrote to its serial console."""

    def snapshot(self, uuid: str, path: Path) -> None:
        """Write its disk as it is into the new file `path`, raw; after a failure there is no such file."""
