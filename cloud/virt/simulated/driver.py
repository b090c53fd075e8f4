"""A hypervisor that runs nothing: it keeps what it has in memory and below one directory, where it finds it again.

Of each instance there is a directory `instances/UUID` with `guest.json` and `disk`, a file of the flavor's size that is
one hole but for the beginning of its image; or the disk is in a directory that several hosts share. Instances outlive
nova-compute, unless the file `power_lost` lies in the host's directory: then the host had no power meanwhile.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from cloud.domain.flavor import Resources
from cloud.domain.instance import PowerState
from cloud.virt.driver import HypervisorResources
from cloud.virt.machine import HostResources
from cloud.virt.simulated.cold_migrations import ColdMigrations
from cloud.virt.simulated.definitions import Definitions
from cloud.virt.simulated.host import HostSettings, HostSize, SimulatedHost, doing
from cloud.virt.simulated.kept_copies import KeptCopies
from cloud.virt.simulated.knobs import Knobs
from cloud.virt.simulated.lifecycle import Lifecycle
from cloud.virt.simulated.live_destination import LiveDestination
from cloud.virt.simulated.live_source import LiveSource

TYPE = "simulated"
VERSION = 1


class SimulatedDriver(Lifecycle, LiveSource, LiveDestination, ColdMigrations, Definitions, KeptCopies):
    """Implements Driver, LiveMigrating, ColdMigrating, Regenerating and Keeping.

    Two processes on one directory would not see each other's instances. Hosts of one machine reach one another.
    """

    def __init__(
        self,
        directory: Path,
        knobs: Knobs,
        *,
        size: HostSize,
        read_machine: Callable[[], HostResources],
        now: Callable[[], datetime],
        settings: HostSettings | None = None,
    ) -> None:
        """`directory` need not exist until there is something to keep. VirtError when it cannot be read."""
        with doing("open", TYPE, kind="hypervisor"):
            super().__init__(
                SimulatedHost.open(
                    directory, knobs, size=size, settings=settings or HostSettings(), read_machine=read_machine, now=now
                )
            )

    def resources(self) -> HypervisorResources:
        host = self._host
        with doing("read", TYPE, kind="resources of"):
            host.knobs.turn("resources")
            machine = host.read_machine()
            size = host.size
            total = Resources(
                size.memory_mb or machine.memory_mb, size.vcpus or machine.vcpus, size.disk_gb or machine.disk_gb
            )
            return HypervisorResources(TYPE, VERSION, host.cpu_info(total.vcpus), total, host.free_disk_gb(machine))

    def instances(self) -> Mapping[str, PowerState]:
        host = self._host
        with doing("list", TYPE, kind="instances of"):
            host.knobs.turn("instances")
            host.arrivals.take_in_all()
            shut_down = host.knobs.shut_down()
            guests = [host.after_shutdown(guest, shut_down) for guest in host.guests.all()]
            return {guest.uuid: host.guests.power_state(guest) for guest in guests}

    def power_state(self, uuid: str) -> PowerState:
        with doing("look at", uuid):
            return self._host.guests.power_state(self._host.guest_now(uuid))
