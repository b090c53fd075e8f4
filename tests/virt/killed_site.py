"""Two simulated hosts that are processes, of which tests kill one or the other in the middle of something."""

from pathlib import Path
from typing import Any

from cloud.domain.instance import PowerState
from cloud.virt.moving import TransferPhase
from tests.virt.host_process import HostProcess, HostProcesses
from tests.virt.instances import UUID, instance
from tests.virt.pair import FIXED_IP
from tests.waiting import wait_until

RUNNING = PowerState.RUNNING
SOURCE, DESTINATION = "compute-01", "compute-02"
OF_HOSTS = {"id", ".id", "knobs.toml"}
FILES = {"guest.json", "disk", "disk.json"}


class KilledSite:
    """Its hosts are started when they are first called, and again after they were killed."""

    def __init__(self, processes: HostProcesses, directory: Path, *, has_shared_disks: bool) -> None:
        self.directory = directory
        self.has_shared_disks = has_shared_disks
        self.shared = directory / "shared" if has_shared_disks else None
        self._start = processes.start
        self._processes: dict[str, HostProcess] = {}

    @property
    def block(self) -> bool:
        return not self.has_shared_disks

    def process(self, host: str) -> HostProcess:
        if host not in self._processes:
            (self.directory / host).mkdir(exist_ok=True)
            self._processes[host] = self._start(self.directory / host, self.shared)
        return self._processes[host]

    def call(self, host: str, method: str, *args: Any, **kwargs: Any) -> Any:
        return self.process(host).call(method, *args, **kwargs)

    def kill(self, *hosts: str) -> None:
        for host in hosts:
            self._processes.pop(host).kill()

    def stop(self) -> None:
        while self._processes:
            self._processes.popitem()[1].end()

    def kill_in(self, host: str, step: str, method: str, *args: Any, **kwargs: Any) -> None:
        """Call it, and kill the host at that step."""
        self.wait_at(step, host)
        self.process(host).send(method, *args, **kwargs)
        self.process(host).wait_for_step(step)
        self.kill(host)
        self.let_go(host)

    def wait_at(self, step: str, host: str) -> None:
        self.process(host)
        (self.directory / host / "knobs.toml").write_text(f'delay = ["{step}:3600"]')

    def let_go(self, host: str) -> None:
        (self.directory / host / "knobs.toml").unlink()

    def spawn(self, *, is_running: bool = True) -> None:
        self.call(SOURCE, "spawn", instance(), None, [FIXED_IP])
        if not is_running:
            self.call(SOURCE, "power_off", UUID)

    def start_transfer(self) -> None:
        prepared = self.call(DESTINATION, "prepare_arrival", instance(), [FIXED_IP], block=self.block)
        self.call(SOURCE, "start_transfer", UUID, prepared, block=self.block, is_live=True)

    def migrate(self) -> None:
        self.start_transfer()
        wait_until(lambda: self.call(SOURCE, "transfer", UUID).phase is TransferPhase.COMPLETED)
        self.finish()

    def finish(self) -> None:
        """What is done after a transfer."""
        assert self.call(DESTINATION, "complete_arrival", instance(), [FIXED_IP]) is RUNNING
        self.call(SOURCE, "clear_departed", UUID, keeps_disk=self.has_shared_disks)

    def states(self) -> tuple[PowerState | None, PowerState | None]:
        """At the source and at the destination."""
        found = [self.call(host, "instances").get(UUID) for host in (SOURCE, DESTINATION)]
        return found[0], found[1]

    def assert_only_at(self, host: str) -> None:
        """After both have started once more, nothing of it is elsewhere, not even half."""
        self.stop()
        assert self.states() == ((RUNNING, None) if host == SOURCE else (None, RUNNING))
        disks = self.directory / host / "instances" / UUID if self.shared is None else self.shared / UUID
        found = [path for path in self.directory.rglob("*") if path.is_file() and path.name not in OF_HOSTS]
        assert {path.parent for path in found} == {self.directory / host / "instances" / UUID, disks}
        assert {path.name for path in found} - FILES == set()
        assert {path.name for path in disks.iterdir()} >= {"disk", "disk.json"}
