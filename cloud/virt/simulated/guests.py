"""The guests of a host: each is in memory and has a directory, which comes and goes as a whole."""

import re
import threading
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from cloud.domain.instance import PowerState
from cloud.logs.emit import logger
from cloud.virt.driver import InstanceExistsError, InstanceMissingError, VirtError
from cloud.virt.simulated.disks import HALF
from cloud.virt.simulated.guest import Guest
from cloud.virt.simulated.notes import write_text

GUEST_FILE = "guest.json"

_FILES = (GUEST_FILE, "disk", "disk.json")

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_uuid(name: str) -> bool:
    return _UUID.fullmatch(name) is not None


def checked(uuid: str) -> str:
    """What names a directory; VirtError for what is no uuid."""
    if not is_uuid(uuid):
        raise VirtError("its uuid is none")
    return uuid


class Guests:
    """Any thread may call; what must not be changed in between is done with `lock`, which may be taken again."""

    def __init__(self, directory: Path) -> None:
        """`directory` has one for each guest, by uuid."""
        self.lock = threading.RLock()
        self._directory = directory
        self._guests: dict[str, Guest] = {}
        self._paused: set[str] = set()

    def find(self) -> Sequence[Path]:
        """Take in what an earlier process has left; the result is what it was making or removing when it died."""
        halves: list[Path] = []
        try:
            found = sorted(self._directory.iterdir())
        except FileNotFoundError:
            return halves
        except OSError as exc:
            raise VirtError(f"cannot read instances below {self._directory}: {exc}") from exc
        for path in found:
            if path.name.startswith(HALF):
                halves.append(path)
                continue
            try:
                guest = read_guest(path)
            except VirtError as exc:
                logger.bind(path=str(path), error=str(exc)).warning("cannot read an instance, it is left where it is")
                continue
            self._guests[guest.uuid] = guest
            _tidy(path)
        return halves

    def all(self) -> Sequence[Guest]:
        with self.lock:
            return list(self._guests.values())

    def has(self, uuid: str) -> bool:
        with self.lock:
            return uuid in self._guests

    def get(self, uuid: str) -> Guest:
        """InstanceMissingError when there is none."""
        with self.lock:
            if uuid not in self._guests:
                raise InstanceMissingError("it is not there")
            return self._guests[uuid]

    def place(self, uuid: str) -> Path:
        """Its directory."""
        return self._directory / checked(uuid)

    def new_half(self) -> Path:
        """The path of a directory that nobody has made yet."""
        return self._directory / f"{HALF}{uuid4().hex}"

    def keep(self, guest: Guest) -> None:
        """As it is now, unless it has gone meanwhile."""
        with self.lock:
            if guest.uuid in self._guests:
                write_text(self.place(guest.uuid) / GUEST_FILE, guest.to_json())
                self._guests[guest.uuid] = guest

    def bring(self, place: Path, guest: Guest) -> None:
        """The directory becomes the guest's; InstanceExistsError when there is one."""
        with self.lock:
            if guest.uuid in self._guests:
                raise InstanceExistsError("it is there already")
            write_text(place / GUEST_FILE, guest.to_json())
            self._directory.mkdir(parents=True, exist_ok=True)
            place.rename(self.place(guest.uuid))
            self._guests[guest.uuid] = guest

    def send(self, uuid: str, target: Path) -> None:
        """Its directory becomes `target`, and it is no guest any more; OSError, and no change, when that cannot be."""
        with self.lock:
            target.parent.mkdir(parents=True, exist_ok=True)
            self.place(uuid).rename(target)
            self.forget(uuid)

    def forget(self, uuid: str) -> None:
        """Its directory is gone."""
        with self.lock:
            self._guests.pop(uuid, None)
            self._paused.discard(uuid)

    def power_state(self, guest: Guest) -> PowerState:
        """PAUSED for one that was, while this process lives."""
        state = guest.power_state
        with self.lock:
            return PowerState.PAUSED if state is PowerState.RUNNING and guest.uuid in self._paused else state

    def pause(self, uuid: str) -> None:
        with self.lock:
            self._paused.add(uuid)

    def resume(self, uuid: str) -> None:
        with self.lock:
            self._paused.discard(uuid)


def _tidy(place: Path) -> None:
    """Remove what lies beside the guest and is of use to no process that starts."""
    for path in place.iterdir():
        if path.name not in _FILES and path.is_file():
            path.unlink()


def read_guest(place: Path) -> Guest:
    """The guest that has the directory; VirtError when it cannot be read, or belongs to another one."""
    try:
        guest = Guest.from_json((place / GUEST_FILE).read_text())
    except (OSError, ValueError) as exc:
        raise VirtError(f"cannot read {place / GUEST_FILE}: {exc}") from exc
    if guest.uuid != place.name:
        raise VirtError(f"cannot read {place / GUEST_FILE}: it belongs to {guest.uuid}")
    return guest
