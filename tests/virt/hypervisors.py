"""Hypervisors as tests make them: hosts of one machine, each with a way to open its driver anew, as a restart does."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from cloud.virt.driver import Driver
from cloud.virt.keeping import Keeping
from cloud.virt.machine import HostResources
from cloud.virt.moving import ColdMigrating, LiveMigrating, Regenerating
from cloud.virt.simulated.driver import SimulatedDriver
from cloud.virt.simulated.guest import Settings
from cloud.virt.simulated.host import HostSettings, HostSize
from cloud.virt.simulated.knobs import Knobs, KnobSettings

MACHINE = HostResources(vcpus=4, memory_mb=16000, free_memory_mb=8000, disk_gb=100, free_disk_gb=40)
AT_ONCE = 1_000_000.0
"""MiB in a second."""


class MovingDriver(Driver, LiveMigrating, ColdMigrating, Regenerating, Keeping, Protocol):
    """One that can do all."""


MakeDriver = Callable[[], MovingDriver]
"""Each call gives a new driver of the same host."""


class Lab(Protocol):
    """Hosts that can reach each other."""

    def host(self, name: str, *, has_shared_disks: bool = False) -> MakeDriver: ...

    def hold_transfers(self, uuid: str) -> None:
        """They take longer than any test, on all hosts that there are."""

    def dirty_memory(self, uuid: str) -> None:
        """Faster than it goes over: its transfer ends when it is paused, not before."""


class SimulatedLab:
    """Each host has a directory below one, and one is for the disks that they share."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def directory(self, name: str) -> Path:
        return self._directory / name

    @property
    def shared_disks(self) -> Path:
        return self._directory / "shared"

    def host(self, name: str, *, has_shared_disks: bool = False) -> Callable[[], SimulatedDriver]:
        self.directory(name).mkdir(parents=True, exist_ok=True)
        settings = HostSettings(
            shared_disks=self.shared_disks if has_shared_disks else None,
            transfer_mb_per_s=AT_ONCE,
            guests=Settings(f"dhcp-{name}", f"vnc-{name}"),
        )
        return lambda: open_driver(self.directory(name), settings=settings)

    def hold_transfers(self, uuid: str) -> None:
        self._turn_all("transfer_mb_per_s = 1")

    def dirty_memory(self, uuid: str) -> None:
        self._turn_all(f'transfer_mb_per_s = 1000\ndirty_mb_per_s = {{"{uuid}" = 1000}}')

    def turn(self, name: str, knobs: str) -> None:
        (self.directory(name) / "knobs.toml").write_text(knobs)

    def _turn_all(self, knobs: str) -> None:
        for host in self._directory.iterdir():
            self.turn(host.name, knobs)


def open_driver(
    directory: Path,
    *,
    size: HostSize | None = None,
    settings: HostSettings | None = None,
    read_machine: Callable[[], HostResources] = lambda: MACHINE,
    now: Callable[[], datetime] = lambda: datetime(2014, 10, 16, 12, 0, tzinfo=UTC),
) -> SimulatedDriver:
    """Waits of its knobs are none, but in transfers."""
    knobs = Knobs(KnobSettings(), directory / "knobs.toml", wait_s=lambda _s: None, chance=lambda: 0.5)
    return SimulatedDriver(
        directory, knobs, size=size or HostSize(), read_machine=read_machine, now=now, settings=settings
    )
