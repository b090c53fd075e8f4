"""What the simulated hypervisor does with a guest on one host, from its spawn to its end."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cloud.domain.fixed_ip import FixedIp
from cloud.domain.instance import Instance
from cloud.virt.driver import InstanceMissingError, Progress, VirtError
from cloud.virt.simulated.console import console_text
from cloud.virt.simulated.disk_files import copy_disk
from cloud.virt.simulated.guest import Change, DiskContent, Guest, Turn
from cloud.virt.simulated.host import HostPart, doing
from cloud.virt.simulated.steps import STEPS


class Lifecycle(HostPart):
    """That part of Driver which is about one guest."""

    def spawn(self, instance: Instance, image: Path | None, fixed_ips: Sequence[FixedIp], progress: Progress) -> None:
        host = self._host
        with doing("spawn", instance.uuid):
            host.check_absent(instance.uuid)
            half = host.guests.new_half()
            try:
                self._build(half, instance, image, fixed_ips, progress)
            except BaseException:
                host.disks.discard(half)
                if not host.guests.has(instance.uuid):
                    host.disks.remove(instance.uuid)
                raise

    def destroy(self, uuid: str) -> None:
        """A disk that another host has taken over stays."""
        host = self._host
        with doing("destroy", uuid):
            host.knobs.turn("destroy", uuid)
            try:
                guest = host.guest(uuid)
            except InstanceMissingError:
                if not (host.departed(uuid).exists() or host.aside(uuid).exists()):
                    host.disks.remove(uuid)  # of a spawn in whose middle we died
                return
            host.knobs.turn("destroy.stop", uuid)
            if not guest.is_off:
                host.guests.keep(guest.turned(Change.OFF, host.now()))
            host.knobs.turn("destroy.disk", uuid)
            with host.guests.lock:
                if not host.guests.has(uuid):  # it has gone to another host meanwhile
                    return
                half = host.guests.new_half()
                with suppress(FileNotFoundError):
                    host.guests.send(uuid, half)
                host.guests.forget(uuid)
            host.disks.remove(uuid)
            host.disks.discard(half)  # what is left of it goes at the next start

    def reboot(self, uuid: str, *, hard: bool) -> None:
        """By a hard one the disk becomes this host's, whoever had it."""
        host = self._host
        with doing("reboot", uuid):
            host.knobs.turn("reboot", uuid)
            guest = host.guest_now(uuid)
            host.knobs.turn("reboot.stop", uuid)
            change = Change.ON
            if not guest.is_off:
                change = Change.RESET if hard else Change.RESTART
            try:
                host.knobs.turn("reboot.start", uuid)
                if not hard:
                    host.disks.check_owned(uuid)
                elif host.disks.is_shared:
                    host.disks.own(host.guests.place(uuid), uuid)
            except VirtError:
                host.guests.keep(guest.turned(Change.OFF, host.now()))
                raise
            host.guests.keep(guest.turned(change, host.now()))

    def power_off(self, uuid: str) -> None:
        host = self._host
        with doing("power off", uuid):
            host.knobs.turn("power_off", uuid)
            guest = host.guest_now(uuid)
            if not guest.is_off:
                host.guests.keep(guest.turned(Change.OFF, host.now()))

    def power_on(self, uuid: str) -> None:
        """Not of a disk that another host has taken over."""
        host = self._host
        with doing("power on", uuid):
            host.knobs.turn("power_on", uuid)
            guest = host.guest_now(uuid)
            if guest.is_off:
                host.disks.check_owned(uuid)
                host.guests.keep(guest.turned(Change.ON, host.now()))

    def console_output(self, uuid: str, max_bytes: int) -> bytes:
        host = self._host
        with doing("read console of", uuid):
            host.knobs.turn("console_output", uuid)
            text = console_text(host.guest_now(uuid), host.now()).encode()
            return text[-max_bytes:] if max_bytes > 0 else b""

    def snapshot(self, uuid: str, path: Path) -> None:
        """Of the disk only what is data, not the hole behind it."""
        host = self._host
        with doing("snapshot", uuid):
            host.knobs.turn("snapshot", uuid)
            guest = host.guest(uuid)
            file = host.disks.file(host.guests.place(uuid), uuid)
            copy_disk(file, path, guest.content, guest.image_bytes)
            try:
                host.knobs.turn("snapshot.copy", uuid)
            except VirtError:
                path.unlink()
                raise

    def _build(
        self, half: Path, instance: Instance, image: Path | None, fixed_ips: Sequence[FixedIp], progress: Progress
    ) -> None:
        host = self._host
        host.knobs.turn("spawn", instance.uuid)
        half.mkdir(parents=True, mode=0o700)
        content = DiskContent(0, 0, 0)
        for number, step in enumerate(STEPS["spawn"]):
            host.knobs.turn(f"spawn.{step}", instance.uuid)
            if step == "disk":
                content = host.disks.make(half, instance.uuid, instance.flavor.root_gb << 30, image)
            progress(100 * (number + 1) // len(STEPS["spawn"]))
        turn = Turn(host.now(), Change.ON)
        guest = Guest.made(instance, fixed_ips, content, host.settings.guests, turn)
        with host.guests.lock:
            host.disks.settle(half, instance.uuid)
            host.guests.bring(half, guest)
