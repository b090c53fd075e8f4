"""One compute host with all its parts: a simulated hypervisor, real tables, images in memory."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from cloud.db.engine import Database
from cloud.db.instances import NewInstance, QuotaLimits
from cloud.domain.fixed_ip import FixedIp
from cloud.domain.flavor import Flavor
from cloud.domain.instance import Instance, PowerState, TaskState, VmState
from cloud.services.compute.builds import Builds
from cloud.services.compute.evacuations import Evacuations
from cloud.services.compute.fence import Fence
from cloud.services.compute.images import ImageCache
from cloud.services.compute.lifecycle import Lifecycle
from cloud.services.compute.locks import KeyLocks
from cloud.services.compute.manual_recovery import ManualRecovery
from cloud.services.compute.power_sync import PowerSync
from cloud.services.compute.recovery import Recovery
from cloud.services.compute.snapshots import Snapshots
from cloud.services.compute.work import Host
from cloud.virt.driver import Driver
from cloud.virt.machine import HostResources
from cloud.virt.simulated.driver import SimulatedDriver
from cloud.virt.simulated.host import HostSettings, HostSize
from cloud.virt.simulated.knobs import Knobs, KnobSettings
from tests.compute.image_store import IMAGE, ImageStore
from tests.compute.records import TableRecords
from tests.db.conftest import Clock

HOST = "compute-01"
UUID = "7b0c9c54-31f7-4a8e-a5a6-8c3a80b4a1d2"
OTHER = "0e61a1de-2a3c-4b0b-9a52-3b1a5a1d7c11"
REQUEST = "req-0f0e0d0c-0b0a-4908-8706-050403020100"
TINY = Flavor(id=1, flavorid="1", name="m1.tiny", memory_mb=512, vcpus=1, root_gb=1)
ADDRESS = FixedIp("10.0.0.2", "fa:16:3e:00:00:02", "private")
MACHINE = HostResources(vcpus=4, memory_mb=16000, free_memory_mb=8000, disk_gb=100, free_disk_gb=40)


class Networks:
    """Gives everybody the same address."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def allocate_for_instance(self, host: str, uuid: str) -> FixedIp:
        self.asked.append((host, uuid))
        return ADDRESS

    def dhcp_server(self, host: str) -> str:
        return f"dhcp.{host}"


class Peers:
    """The nova-compute of each host; `away` has what asking one of them raises."""

    def __init__(self) -> None:
        self.sites: dict[str, Site] = {}
        self.away: dict[str, Exception] = {}
        self.asked: list[tuple[str, str]] = []

    def running_instances(self, host: str, uuids: Collection[str]) -> Collection[str]:
        self._ask(host, "running_instances")
        states = self.sites[host].driver.instances()
        return [uuid for uuid in uuids if states.get(uuid) is PowerState.RUNNING]

    def give_up_guest(self, host: str, uuid: str) -> None:
        self._ask(host, "give_up_guest")
        self.sites[host].fence.give_up(uuid)

    def _ask(self, host: str, what: str) -> None:
        self.asked.append((host, what))
        if host in self.away:
            raise self.away[host]


class Site:
    """`waited_s` has what the knobs let the hypervisor wait; `on_wait` is called then. `now_s` is the fence's clock."""

    def __init__(
        self,
        directory: Path,
        database: Database,
        clock: Clock,
        *,
        name: str = HOST,
        peers: Peers | None = None,
        shared_disks: Path | None = None,
    ) -> None:
        self.name = name
        self.directory = directory
        self.shared_disks = shared_disks
        self.clock = clock
        self.now_s = 1000.0
        self.records = TableRecords(database, clock, name)
        self.peers = peers or Peers()
        self.peers.sites[name] = self
        self.images = ImageStore()
        self.images.put(IMAGE, b"boot sector")
        self.networks = Networks()
        self.waited_s: list[float] = []
        self.on_wait: Callable[[], object] = lambda: None
        self.host = Host(name, self.open_driver(), self.records, KeyLocks(wait_s=10.0))
        self.cache = ImageCache(self.images, directory / "image-cache", max_bytes=1 << 20)
        self.builds = Builds(self.host, self.cache, self.networks)
        self.evacuations = Evacuations(self.host, self.cache)
        self.fence = self.open_fence()
        recovered = ManualRecovery(self.host, self.networks, self.peers, vnc_address=f"vnc.{name}")
        self.lifecycle = Lifecycle(self.host, self.cache, self.networks, recovered, clock)
        self.snapshots = Snapshots(self.host, self.images, directory / "snapshots")
        self.sync = PowerSync(self.host, self.lifecycle)

    @property
    def driver(self) -> Driver:
        return self.host.driver

    def open_driver(self) -> SimulatedDriver:
        def wait(seconds: float) -> None:
            self.waited_s.append(seconds)
            self.on_wait()

        knobs = Knobs(KnobSettings(), self._knobs, wait_s=wait, chance=lambda: 0.5)
        return SimulatedDriver(
            self.directory / "simulated",
            knobs,
            size=HostSize(),
            read_machine=lambda: MACHINE,
            now=self.clock,
            settings=HostSettings(shared_disks=self.shared_disks),
        )

    def open_fence(self) -> Fence:
        """As a process has it that was just started."""
        return Fence(self.host, self.peers, down_after_s=60.0, clock_s=lambda: self.now_s)

    def recovery(self, give_up_after_s: float = 1800.0) -> Recovery:
        """As a process has it that was just started."""
        return Recovery(self.host, self.lifecycle, self.snapshots, self.clock, give_up_after_s=give_up_after_s)

    def turn(self, **knobs: list[str]) -> None:
        """Turn the knobs of the simulated hypervisor; without any, turn all back."""
        self._knobs.parent.mkdir(parents=True, exist_ok=True)
        self._knobs.write_text("".join(f"{name} = {texts!r}\n" for name, texts in knobs.items()))

    def enter(self, uuid: str = UUID, **changes: Any) -> Instance:
        """An instance in the database, being built here unless `changes` say otherwise."""
        new = NewInstance(
            uuid=uuid,
            project_id="p",
            user_id="u",
            display_name="web",
            flavor=TINY,
            reservation_id="r-1",
            image_id=IMAGE,
        )
        self.records.instances.create([new], QuotaLimits(-1, -1, -1))
        building = {"host": self.name, "node": self.name, "task_state": TaskState.SPAWNING}
        return self.records.instances.update(uuid, building | changes)

    def run(self, uuid: str = UUID, **changes: Any) -> Instance:
        """An instance that was built here and runs, and then was changed as `changes` say."""
        instance = self.enter(uuid)
        self.driver.spawn(instance, None, [ADDRESS], lambda _percent: None)
        active = {
            "vm_state": VmState.ACTIVE,
            "task_state": None,
            "power_state": PowerState.RUNNING,
            "launched_at": self.clock(),
        }
        return self.records.instances.update(uuid, active | changes)

    def state(self, uuid: str = UUID) -> tuple[VmState, TaskState | None, PowerState]:
        found = self.records.instances.get(uuid, deleted=True)
        return found.vm_state, found.task_state, found.power_state

    def fault(self, uuid: str = UUID) -> str | None:
        """The message of its newest fault."""
        fault = self.records.instances.faults([uuid]).get(uuid)
        return None if fault is None else fault.message

    def steps(self, uuid: str = UUID) -> list[tuple[str, str | None, str | None]]:
        """Of what REQUEST has asked of it: each step, where, and how it ended."""
        action = self.records.actions.get(uuid, REQUEST)
        return [(event.event, event.host, event.result) for event in action.events]

    @property
    def _knobs(self) -> Path:
        return self.directory / "simulated" / "knobs.toml"
