"""Keeping: guests that are none any more, each as a directory that is renamed as a whole.

What is for a revert is in `aside/UUID`, as ColdMigrations leaves it. Everything else is where its disk is: in
`kept/NAME` of this host, or on shared storage in a directory that says whose it is; both have `guest.json` in it.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from cloud.logs.emit import logger
from cloud.virt.driver import InstanceMissingError, VirtError
from cloud.virt.keeping import KeptCopy
from cloud.virt.simulated.guests import GUEST_FILE, is_uuid
from cloud.virt.simulated.host import HostPart, doing
from cloud.virt.simulated.notes import write_text

_TIME = "%Y%m%dT%H%M%S%fZ"
"""In a name, behind the uuid."""


class KeptCopies(HostPart):
    """Of a disk that another host has taken over nothing is kept: it is not this host's to touch."""

    def has_own_disk(self, uuid: str) -> bool:
        with doing("look for the disk of", uuid):
            self._host.guest(uuid)
            return not self._host.disks.is_shared

    def keep(self, uuid: str) -> str | None:
        host = self._host
        with doing("keep", uuid):
            host.knobs.turn("keep", uuid)
            with host.guests.lock:
                try:
                    guest = host.guest_now(uuid)
                except InstanceMissingError:
                    return None
                if not guest.is_off:
                    raise VirtError("it runs")
                name = f"{uuid}.{host.now().astimezone(UTC).strftime(_TIME)}"
                place, kept = host.guests.place(uuid), host.disks.kept(name)
                if not host.disks.is_shared:
                    host.guests.send(uuid, kept)
                    return name
                half, is_ours = host.guests.new_half(), host.disks.is_owned(uuid)
                if is_ours:
                    home = host.disks.home(place, uuid)
                    write_text(home / GUEST_FILE, guest.to_json())
                    home.rename(kept)
                    host.knobs.turn("keep.guest", uuid)
                host.guests.send(uuid, half)
            host.disks.discard(half)
            return name if is_ours else None

    def kept_copies(self) -> Sequence[KeptCopy]:
        host = self._host
        with doing("list", "copies", kind="kept"):
            host.knobs.turn("kept_copies")
            found = [*self._aside(), *(each for name in host.disks.kept_names() for each in self._kept(name))]
            return sorted(found, key=lambda copy: (copy.uuid, copy.since, copy.name))

    def remove_kept(self, uuid: str, name: str, *, keeps_disk: bool) -> None:
        host = self._host
        with doing("remove what is kept of", uuid):
            host.knobs.turn("remove_kept", uuid)
            if name == uuid:
                aside = host.aside(uuid)
                if aside.exists():
                    if not (keeps_disk or host.guests.has(uuid)):
                        host.disks.remove(uuid)
                    host.discard(aside)
                return
            if _parts(name)[0] != uuid:
                raise VirtError(f"{name!r} is no name of a copy of it")
            if host.disks.is_shared:
                host.disks.remove_kept(name)
            elif host.disks.kept(name).exists():
                host.discard(host.disks.kept(name))

    def _aside(self) -> Iterator[KeptCopy]:
        try:
            places = sorted(self._host.directory.joinpath("aside").iterdir())
        except FileNotFoundError:
            return
        for place in places:
            if is_uuid(place.name):
                with suppress(FileNotFoundError):  # it went in this moment
                    since = datetime.fromtimestamp(place.stat().st_ctime, UTC)  # it was renamed then
                    disk = self._host.disks.file(place, place.name)
                    yield KeptCopy(place.name, place.name, _size(disk), since, is_for_revert=True)

    def _kept(self, name: str) -> Iterator[KeptCopy]:
        place = self._host.disks.kept(name)
        try:
            uuid, since = _parts(name)
        except VirtError as exc:
            logger.bind(path=str(place), error=str(exc)).warning("cannot read a kept copy, it is left where it is")
            return
        yield KeptCopy(uuid, name, _size(place / "disk"), since, is_for_revert=False)


def _parts(name: str) -> tuple[str, datetime]:
    """The uuid and the time of a name that `keep` has given; VirtError for another one."""
    uuid, _, time = name.partition(".")
    try:
        since = datetime.strptime(time, _TIME).replace(tzinfo=UTC)
    except ValueError as exc:
        raise VirtError(f"{name!r} is no name of a copy: {exc}") from exc
    if not is_uuid(uuid):
        raise VirtError(f"{name!r} is no name of a copy: it begins with no uuid")
    return uuid, since


def _size(disk: Path) -> int:
    """0 where there is none."""
    try:
        return disk.stat().st_size
    except FileNotFoundError:
        return 0
