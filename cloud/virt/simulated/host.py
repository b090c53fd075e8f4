"""A simulated host: all that the parts of its hypervisor do their work with."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from cloud.virt.driver import InstanceExistsError, VirtError
from cloud.virt.machine import HostResources, ResourceError, read_cpu_info
from cloud.virt.simulated.arrivals import Arrivals
from cloud.virt.simulated.disks import Disks
from cloud.virt.simulated.guest import Change, Guest, Settings
from cloud.virt.simulated.guests import Guests, checked
from cloud.virt.simulated.hand_over import is_awaited
from cloud.virt.simulated.knobs import Knobs

POWER_LOST = "power_lost"
"""A file of that name in the host's directory lets all its guests be off when its nova-compute starts again."""
DEFAULT_MB_PER_S = 1000.0


@dataclass(frozen=True, slots=True)
class HostSize:
    """What the host is to have; None: what the machine has."""

    vcpus: int | None = None
    memory_mb: int | None = None
    disk_gb: int | None = None
    cpu_model: str | None = None
    """Guests that run come only from hosts of the same."""


@dataclass(frozen=True, slots=True)
class HostSettings:
    """What else there is to say of a host."""

    shared_disks: Path | None = None
    """A directory where several hosts have their disks; None: they are with the guests."""
    transfer_mb_per_s: float = DEFAULT_MB_PER_S
    """How fast memory and disks go to another host."""
    guests: Settings = field(default_factory=Settings)


@dataclass(frozen=True, slots=True)
class SimulatedHost:
    """Its directory and what is kept there."""

    directory: Path
    knobs: Knobs
    guests: Guests
    disks: Disks
    arrivals: Arrivals
    size: HostSize
    settings: HostSettings
    read_machine: Callable[[], HostResources]
    now: Callable[[], datetime]

    @classmethod
    def open(
        cls,
        directory: Path,
        knobs: Knobs,
        *,
        size: HostSize,
        settings: HostSettings,
        read_machine: Callable[[], HostResources],
        now: Callable[[], datetime],
    ) -> "SimulatedHost":
        """As an earlier process has left it, which may have been killed in the middle of something."""
        guests = Guests(directory / "instances")
        disks = Disks(directory, settings.shared_disks)
        arrivals = Arrivals(directory / "arrivals", guests, disks, knobs)
        host = cls(directory, knobs, guests, disks, arrivals, size, settings, read_machine, now)
        for half in guests.find():
            disks.discard(half)
        disks.sweep(arrivals.uuids())
        arrivals.take_in_all()
        if (directory / POWER_LOST).exists():
            host._lose_power()
        return host

    @property
    def bytes_per_s(self) -> float:
        """How fast memory and disks go to another host."""
        return (self.knobs.transfer_mb_per_s() or self.settings.transfer_mb_per_s) * (1 << 20)

    def departed(self, uuid: str) -> Path:
        """Where the directory of a guest is that another host has taken over."""
        return self.directory / "departed" / checked(uuid)

    def aside(self, uuid: str) -> Path:
        """Where the directory of a guest is that nobody may start for now."""
        return self.directory / "aside" / checked(uuid)

    def guest(self, uuid: str) -> Guest:
        """InstanceMissingError when there is none."""
        self.arrivals.take_in(uuid)
        return self.guests.get(uuid)

    def guest_now(self, uuid: str) -> Guest:
        """The same, after it may have shut itself down."""
        return self.after_shutdown(self.guest(uuid), self.knobs.shut_down())

    def after_shutdown(self, guest: Guest, shut_down: frozenset[str]) -> Guest:
        if guest.uuid in shut_down and not guest.is_off:
            guest = guest.turned(Change.SHUT_DOWN, self.now())
            self.guests.keep(guest)
        return guest

    def check_absent(self, uuid: str) -> None:
        """Neither is it here nor on its way to or from here; what is left of an earlier stay goes.

        InstanceExistsError or VirtError says what there is.
        """
        with self.guests.lock:
            self.arrivals.take_in(uuid)
            if self.guests.has(uuid):
                raise InstanceExistsError("it is there already")
            if self.aside(uuid).exists():
                raise InstanceExistsError("it is there already, set aside")
            self.clear_departed(uuid)

    def clear_departed(self, uuid: str) -> None:
        """Remove what is left of a guest that was handed over; VirtError while its destination has not taken it in."""
        departed = self.departed(uuid)
        if is_awaited(departed):
            raise VirtError("its destination has not taken it in yet")
        if departed.exists():
            self.discard(departed)

    def discard(self, place: Path) -> None:
        """Remove a directory of this host; what is left of it after a crash goes at the next start."""
        half = self.guests.new_half()
        half.parent.mkdir(parents=True, exist_ok=True)
        place.rename(half)
        self.disks.discard(half)

    def free_disk_gb(self, machine: HostResources) -> int:
        taken_gb = sum(guest.size.disk_gb for guest in self.guests.all())
        return machine.free_disk_gb if self.size.disk_gb is None else max(0, self.size.disk_gb - taken_gb)

    def cpu_info(self, vcpus: int) -> Mapping[str, Any]:
        """As nova has it."""
        info = read_cpu_info(vcpus)
        return info if self.size.cpu_model is None else info | {"model": self.size.cpu_model}

    def _lose_power(self) -> None:
        self.arrivals.lose()
        for guest in self.guests.all():
            if not guest.is_off:
                self.guests.keep(guest.turned(Change.LOST_POWER, self.now()))
        (self.directory / POWER_LOST).unlink()


class HostPart:
    """What a part of the driver has to do with: several of them together make it."""

    def __init__(self, host: SimulatedHost) -> None:
        self._host = host


@contextmanager
def doing(verb: str, uuid: str, *, kind: str = "instance") -> Iterator[None]:
    """Says of an error what it was that failed."""
    try:
        yield
    except VirtError as exc:
        raise type(exc)(f"cannot {verb} {kind} {uuid}: {exc}") from exc
    except (OSError, ResourceError) as exc:
        raise VirtError(f"cannot {verb} {kind} {uuid}: {exc}") from exc
