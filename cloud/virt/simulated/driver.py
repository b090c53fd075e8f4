"""A hypervisor that runs nothing: it keeps what it has in memory and below one directory, where it finds it again.

Of each instance there is a directory `instances/UUID` with `guest.json` and `disk`, a file of the flavor's size that is
one hole but for the beginning of its image. It appears and goes as a whole.
"""

import os
import re
import shutil
import threading
import uuid as uuids
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cloud.domain.fixed_ip import FixedIp
from cloud.domain.flavor import Resources
from cloud.domain.instance import Instance, PowerState
from cloud.logs.emit import logger
from cloud.virt.driver import (
    HypervisorResources,
    InstanceExistsError,
    InstanceMissingError,
    Progress,
    VirtError,
)
from cloud.virt.machine import HostResources, ResourceError, read_cpu_info
from cloud.virt.simulated.console import console_text
from cloud.virt.simulated.guest import Change, Guest, Turn
from cloud.virt.simulated.knobs import STEPS, Knobs

TYPE = "simulated"
VERSION = 1
MAX_IMAGE_BYTES = 1 << 20
"""What a disk takes of its image; the rest of it is left out."""

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # it names a directory
_HALF = ".half-"
"""Begins the name of a directory that is on its way into being, or out of it."""
_PIECE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class HostSize:
    """What the host is to have; None: what the machine has."""

    vcpus: int | None = None
    memory_mb: int | None = None
    disk_gb: int | None = None


class SimulatedDriver:
    """Implements Driver. Two processes on one directory would not see each other's instances."""

    def __init__(
        self,
        directory: Path,
        knobs: Knobs,
        *,
        size: HostSize,
        read_machine: Callable[[], HostResources],
        now: Callable[[], datetime],
    ) -> None:
        """`directory` need not exist until there is something to keep. VirtError when it cannot be read."""
        self._instances_path = directory / "instances"
        self._knobs = knobs
        self._size = size
        self._read_machine = read_machine
        self._now = now
        self._lock = threading.Lock()
        self._guests: dict[str, Guest] = {}
        self._find()

    def resources(self) -> HypervisorResources:
        with self._doing("read", "resources of", TYPE):
            self._knobs.turn("resources")
            machine = self._read_machine()
            vcpus = self._size.vcpus or machine.vcpus
            with self._lock:
                taken_gb = sum(guest.size.disk_gb for guest in self._guests.values())
            free_gb = machine.free_disk_gb if self._size.disk_gb is None else max(0, self._size.disk_gb - taken_gb)
            total = Resources(self._size.memory_mb or machine.memory_mb, vcpus, self._size.disk_gb or machine.disk_gb)
            return HypervisorResources(TYPE, VERSION, read_cpu_info(vcpus), total, free_gb)

    def instances(self) -> Mapping[str, PowerState]:
        with self._doing("list", "instances of", TYPE):
            self._knobs.turn("instances")
            with self._lock:
                guests = list(self._guests.values())
            shut_down = self._knobs.shut_down()
            return {guest.uuid: self._after_shutdown(guest, shut_down).power_state for guest in guests}

    def power_state(self, uuid: str) -> PowerState:
        with self._doing("look at", "instance", uuid):
            return self._looked_at(self._guest(uuid)).power_state

    def spawn(self, instance: Instance, image: Path | None, fixed_ips: Sequence[FixedIp], progress: Progress) -> None:
        with self._doing("spawn", "instance", instance.uuid):
            if not _UUID.fullmatch(instance.uuid):
                raise VirtError("its uuid is none")
            with self._lock:
                if instance.uuid in self._guests:
                    raise InstanceExistsError("it is there already")
            half = self._instances_path / f"{_HALF}{uuids.uuid4().hex}"
            try:
                self._build(half, instance, image, fixed_ips, progress)
            except BaseException:
                shutil.rmtree(half, ignore_errors=True)
                raise

    def destroy(self, uuid: str) -> None:
        with self._doing("destroy", "instance", uuid):
            self._knobs.turn("destroy", uuid)
            with suppress(InstanceMissingError):
                guest = self._guest(uuid)
                self._step("destroy", "stop", uuid)
                if guest.power_state is PowerState.RUNNING:
                    self._keep(guest.turned(Change.OFF, self._now()))
                self._step("destroy", "disk", uuid)
                half = self._instances_path / f"{_HALF}{uuids.uuid4().hex}"
                with suppress(FileNotFoundError):
                    (self._instances_path / uuid).rename(half)
                with self._lock:
                    self._guests.pop(uuid, None)
                shutil.rmtree(half, ignore_errors=True)  # what is left of it goes at the next start

    def reboot(self, uuid: str, *, hard: bool) -> None:
        with self._doing("reboot", "instance", uuid):
            self._knobs.turn("reboot", uuid)
            guest = self._looked_at(self._guest(uuid))
            self._step("reboot", "stop", uuid)
            change = Change.ON
            if guest.power_state is PowerState.RUNNING:
                change = Change.RESET if hard else Change.RESTART
            try:
                self._step("reboot", "start", uuid)
            except VirtError:
                self._keep(guest.turned(Change.OFF, self._now()))
                raise
            self._keep(guest.turned(change, self._now()))

    def power_off(self, uuid: str) -> None:
        self._turn_power("power_off", uuid, Change.OFF, PowerState.SHUTDOWN)

    def power_on(self, uuid: str) -> None:
        self._turn_power("power_on", uuid, Change.ON, PowerState.RUNNING)

    def console_output(self, uuid: str, max_bytes: int) -> bytes:
        with self._doing("read console of", "instance", uuid):
            self._knobs.turn("console_output", uuid)
            text = console_text(self._looked_at(self._guest(uuid)), self._now()).encode()
            return text[-max_bytes:] if max_bytes > 0 else b""

    def snapshot(self, uuid: str, path: Path) -> None:
        """Of the disk only what is data, not the hole behind it."""
        with self._doing("snapshot", "instance", uuid):
            self._knobs.turn("snapshot", uuid)
            guest = self._guest(uuid)
            with (self._instances_path / uuid / "disk").open("rb") as disk, _new_file(path) as target:
                _copy(disk.fileno(), target, guest.image_bytes)
                self._step("snapshot", "copy", uuid)

    def _build(
        self, half: Path, instance: Instance, image: Path | None, fixed_ips: Sequence[FixedIp], progress: Progress
    ) -> None:
        self._knobs.turn("spawn", instance.uuid)
        half.mkdir(parents=True, mode=0o700)
        flavor = instance.flavor
        image_bytes = 0
        for number, step in enumerate(STEPS["spawn"]):
            self._step("spawn", step, instance.uuid)
            if step == "disk":
                image_bytes = _make_disk(half / "disk", flavor.root_gb << 30, image, instance.uuid)
            progress(100 * (number + 1) // len(STEPS["spawn"]))
        guest = Guest(
            uuid=instance.uuid,
            name="".join(filter(str.isprintable, instance.display_name)),
            size=flavor.resources,
            fixed_ips=tuple(fixed_ips),
            image_bytes=image_bytes,
            turns=(Turn(self._now(), Change.ON),),
        )
        (half / "guest.json").write_text(guest.to_json())
        with self._lock:
            half.rename(self._instances_path / instance.uuid)
            self._guests[instance.uuid] = guest

    def _turn_power(self, method: str, uuid: str, change: Change, wanted: PowerState) -> None:
        with self._doing(method.replace("_", " "), "instance", uuid):
            self._knobs.turn(method, uuid)
            guest = self._looked_at(self._guest(uuid))
            if guest.power_state is not wanted:
                self._keep(guest.turned(change, self._now()))

    def _step(self, method: str, step: str, uuid: str) -> None:
        self._knobs.turn(f"{method}.{step}", uuid)

    def _guest(self, uuid: str) -> Guest:
        with self._lock:
            if uuid not in self._guests:
                raise InstanceMissingError("it is not there")
            return self._guests[uuid]

    def _looked_at(self, guest: Guest) -> Guest:
        return self._after_shutdown(guest, self._knobs.shut_down())

    def _after_shutdown(self, guest: Guest, shut_down: frozenset[str]) -> Guest:
        """As it is now: it may have shut itself down since."""
        if guest.power_state is PowerState.RUNNING and guest.uuid in shut_down:
            guest = guest.turned(Change.SHUT_DOWN, self._now())
            self._keep(guest)
        return guest

    def _keep(self, guest: Guest) -> None:
        """Unless it has gone meanwhile."""
        file = self._instances_path / guest.uuid / "guest.json"
        with self._lock:
            if guest.uuid not in self._guests:
                return
            new = file.with_suffix(".new")
            new.write_text(guest.to_json())
            new.replace(file)
            self._guests[guest.uuid] = guest

    def _find(self) -> None:
        """What an earlier process has left: instances, and what it was making or removing when it died."""
        try:
            found = sorted(self._instances_path.iterdir())
        except FileNotFoundError:
            return
        except OSError as exc:
            raise VirtError(f"cannot read instances below {self._instances_path}: {exc}") from exc
        for path in found:
            if path.name.startswith(_HALF):
                shutil.rmtree(path, ignore_errors=True)
                continue
            try:
                guest = Guest.from_json((path / "guest.json").read_text())
                if guest.uuid != path.name:
                    raise ValueError(f"it belongs to {guest.uuid}")
            except (OSError, ValueError) as exc:
                logger.bind(path=str(path), error=str(exc)).warning("cannot read an instance, it is left where it is")
                continue
            self._guests[guest.uuid] = guest

    @contextmanager
    def _doing(self, verb: str, kind: str, name: str) -> Iterator[None]:
        """Says of an error what it was that failed."""
        try:
            yield
        except VirtError as exc:
            raise type(exc)(f"cannot {verb} {kind} {name}: {exc}") from exc
        except (OSError, ResourceError) as exc:
            raise VirtError(f"cannot {verb} {kind} {name}: {exc}") from exc


@contextmanager
def _new_file(path: Path) -> Iterator[int]:
    """Its descriptor; the file stays only if nothing fails. FileExistsError leaves what is there."""
    with path.open("xb") as file:
        try:
            yield file.fileno()
        except BaseException:
            path.unlink()
            raise


def _make_disk(path: Path, size: int, image: Path | None, uuid: str) -> int:
    """How many bytes of it are data; VirtError for an image that is larger than the disk. 0 is as large as it takes."""
    with _new_file(path) as disk:
        if image is None:
            image_size = copied = os.write(disk, f"disk of {uuid}\n".encode())
        else:
            with image.open("rb") as source:
                image_size = os.fstat(source.fileno()).st_size
                if 0 < size < image_size:
                    raise VirtError(f"its image has {image_size} bytes, its disk {size}")
                copied = _copy(source.fileno(), disk, MAX_IMAGE_BYTES)
        os.truncate(disk, max(size, image_size))
        return copied


def _copy(source: int, target: int, max_bytes: int) -> int:
    """The bytes that were copied: all there are, but no more than `max_bytes`."""
    copied = 0
    while piece := os.read(source, min(_PIECE_BYTES, max_bytes - copied)):
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(target, rest) :]
        copied += len(piece)
    return copied
