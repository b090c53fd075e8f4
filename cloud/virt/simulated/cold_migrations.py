"""ColdMigrating: guests that are off, set aside here and made anew there, or resized where they are."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cloud.domain.fixed_ip import FixedIp
from cloud.domain.instance import Instance, PowerState
from cloud.virt.driver import InstanceExistsError, InstanceMissingError, Progress, VirtError
from cloud.virt.simulated.arrivals import Destination, forget_notes
from cloud.virt.simulated.disks import content_of, put_disk, resize_disk, set_disk_size
from cloud.virt.simulated.guest import Change, Guest, Turn
from cloud.virt.simulated.guests import read_guest
from cloud.virt.simulated.host import HostPart, doing
from cloud.virt.simulated.stream import TICK_S, Stream, percent


class ColdMigrations(HostPart):
    """What is set aside has its directory moved to `aside/UUID`."""

    def prepare_disk(self, instance: Instance) -> Mapping[str, Any]:
        host, uuid = self._host, instance.uuid
        with doing("prepare disk of", uuid):
            host.knobs.turn("prepare_disk", uuid)
            host.check_absent(uuid)
            prepared = host.arrivals.prepare(uuid, (), host.settings.guests)
            host.knobs.turn("prepare_disk.ready", uuid)
            return prepared

    def send_disk(self, uuid: str, destination: Mapping[str, Any], progress: Progress) -> None:
        host = self._host
        with doing("send disk of", uuid):
            host.knobs.turn("send_disk", uuid)
            place, guest = self._off_or_aside(uuid)
            found = Destination.find(destination)
            if found.storage_id != host.disks.storage_id():
                stream = Stream(guest.content.data_bytes)
                while stream.remaining_bytes:
                    stream.advance(TICK_S, bytes_per_s=host.bytes_per_s)
                    host.knobs.wait_s(TICK_S)
                    progress(min(99, percent(stream)))
                host.knobs.turn("send_disk.copy", uuid)
                put_disk(found.incoming, host.disks.file(place, uuid), guest.content)
            progress(100)

    def adopt(self, instance: Instance, fixed_ips: Sequence[FixedIp], *, is_running: bool) -> PowerState:
        host, uuid = self._host, instance.uuid
        with doing("adopt", uuid):
            host.knobs.turn("adopt", uuid)
            host.arrivals.take_in(uuid)
            if not host.guests.has(uuid):
                host.check_absent(uuid)
                place = host.arrivals.place(uuid)
                is_expected = host.arrivals.is_prepared(uuid)
                try:
                    self._adopt(place, instance, fixed_ips, is_running=is_running)
                except BaseException:
                    if not is_expected and place.exists():
                        host.disks.discard(place)
                    raise
                forget_notes(host.guests.place(uuid))
            return host.guests.power_state(host.guest_now(uuid))

    def set_aside(self, uuid: str) -> None:
        host = self._host
        with doing("set aside", uuid):
            host.knobs.turn("set_aside", uuid)
            with host.guests.lock:
                aside = host.aside(uuid)
                try:
                    guest = host.guest_now(uuid)
                except InstanceMissingError:
                    if aside.exists():
                        return
                    raise
                if not guest.is_off:
                    raise VirtError("it runs")
                if aside.exists():
                    raise InstanceExistsError("something of it is set aside already")
                host.guests.send(uuid, aside)

    def is_set_aside(self, uuid: str) -> bool:
        with doing("look for", uuid):
            return self._host.aside(uuid).exists()

    def take_back(self, uuid: str) -> None:
        host = self._host
        with doing("take back", uuid):
            host.knobs.turn("take_back", uuid)
            with host.guests.lock:
                aside = host.aside(uuid)
                is_aside = aside.exists()
                guest = read_guest(aside) if is_aside else host.guest(uuid)
                if host.disks.is_shared:
                    content = host.disks.own(aside, uuid)
                    # The other host may have had a flavor with another one.
                    set_disk_size(host.disks.home(aside, uuid), content, guest.disk_bytes or content.size_bytes)
                if is_aside:
                    host.guests.bring(aside, guest)

    def drop_aside(self, uuid: str, *, keeps_disk: bool) -> None:
        """A disk on shared storage that another host has taken over stays in any case."""
        host = self._host
        with doing("drop", uuid):
            host.knobs.turn("drop_aside", uuid)
            aside = host.aside(uuid)
            if aside.exists():
                host.knobs.turn("drop_aside.disk", uuid)
                if not keeps_disk:
                    host.disks.remove(uuid)
                host.discard(aside)

    def resize(self, instance: Instance) -> None:
        host, uuid = self._host, instance.uuid
        with doing("resize", uuid):
            host.knobs.turn("resize", uuid)
            guest = host.guest_now(uuid)
            if not guest.is_off:
                raise VirtError("it runs")
            host.disks.check_owned(uuid)
            home = host.disks.home(host.guests.place(uuid), uuid)
            was_bytes = (home / "disk").stat().st_size
            content = resize_disk(home, guest.content, instance.flavor.root_gb)
            try:
                host.knobs.turn("resize.disk", uuid)
                host.guests.keep(guest.resized(instance, content.size_bytes))
            except BaseException:
                set_disk_size(home, content, was_bytes)
                raise

    def _adopt(self, place: Path, instance: Instance, fixed_ips: Sequence[FixedIp], *, is_running: bool) -> None:
        """`place` becomes the guest's directory; shared storage has the disk, where it is not there."""
        host, uuid = self._host, instance.uuid
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        host.knobs.turn("adopt.disk", uuid)
        directory = host.disks.find(place, uuid)
        came = content_of(directory)
        content = resize_disk(directory, came, instance.flavor.root_gb)
        try:
            host.knobs.turn("adopt.define", uuid)
        except VirtError:
            set_disk_size(directory, came, came.size_bytes)
            raise
        host.disks.settle(place, uuid)  # as late as it can be: the source cannot start it any more
        turn = Turn(host.now(), Change.ON if is_running else Change.DEFINED)
        host.guests.bring(place, Guest.made(instance, fixed_ips, content, host.settings.guests, turn))

    def _off_or_aside(self, uuid: str) -> tuple[Path, Guest]:
        host = self._host
        aside = host.aside(uuid)
        try:
            guest = host.guest_now(uuid)
        except InstanceMissingError:
            if not aside.exists():
                raise
            return aside, read_guest(aside)
        if not guest.is_off:
            raise VirtError("it runs")
        return host.guests.place(uuid), guest
