"""What other hosts bring to this one: from the preparation until it is a guest here.

Of each there is a directory `arrivals/UUID` with `arrival.json`, in which it gathers. Who brings it finds it by its
path, so that both hosts must be of one machine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from cloud.domain.fixed_ip import FixedIp
from cloud.logs.emit import logger
from cloud.virt.driver import VirtError
from cloud.virt.simulated.disks import Disks
from cloud.virt.simulated.guest import Settings
from cloud.virt.simulated.guests import Guests, checked, is_uuid, read_guest
from cloud.virt.simulated.hand_over import forget_departure, has_been_handed_over, is_on_its_way, locked
from cloud.virt.simulated.knobs import Knobs
from cloud.virt.simulated.notes import read_note, write_note

_NOTE = "arrival.json"


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a source finds an arrival: what `Arrivals.prepare` says, read again."""

    arrival: Path
    incoming: Path
    """Where its disk goes."""
    storage_id: str

    @classmethod
    def find(cls, said: Mapping[str, Any]) -> "Destination":
        """VirtError unless it is there and expects what is brought."""
        try:
            found = cls(Path(said["arrival"]), Path(said["incoming"]), said["storage_id"])
            token = said["token"]
        except (KeyError, TypeError) as exc:
            raise VirtError(f"its destination is none of this hypervisor's: {exc!r}") from exc
        note = read_note(found.arrival / _NOTE)
        if note is None:
            raise VirtError(
                f"its destination does not expect it, or is not on this machine, "
                f"and simulated instances cannot leave their machine: there is no {found.arrival / _NOTE}"
            )
        if note.get("token") != token:
            raise VirtError("its destination was prepared anew since")
        return found


class Arrivals:
    """Those of one host; any thread may call."""

    def __init__(self, directory: Path, guests: Guests, disks: Disks, knobs: Knobs) -> None:
        """`directory` has one for each arrival, by uuid."""
        self._directory = directory
        self._guests = guests
        self._disks = disks
        self._knobs = knobs
        self._said: dict[str, str] = {}
        """By uuid, what could not be taken in and why, as far as it was said."""

    def place(self, uuid: str) -> Path:
        return self._directory / checked(uuid)

    def uuids(self) -> Sequence[str]:
        try:
            return sorted(path.name for path in self._directory.iterdir() if is_uuid(path.name))
        except FileNotFoundError:
            return ()

    def prepare(self, uuid: str, fixed_ips: Sequence[FixedIp], settings: Settings) -> Mapping[str, Any]:
        """What `Destination.find` wants to be told; a second time the same."""
        place = self.place(uuid)
        incoming = self._disks.incoming(place)
        with self._guests.lock:
            for directory in (place, incoming):
                directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            note = read_note(place / _NOTE)
            if note is None:
                addresses = [fixed_ip.as_dict() for fixed_ip in fixed_ips]
                note = {"token": uuid4().hex, "fixed_ips": addresses, "settings": asdict(settings)}
                write_note(place / _NOTE, note)
        return {
            "arrival": str(place),
            "incoming": str(incoming),
            "storage_id": self._disks.storage_id(),
            "token": note["token"],
        }

    def is_prepared(self, uuid: str) -> bool:
        return (self.place(uuid) / _NOTE).exists()

    def take_in_all(self) -> None:
        """What cannot be taken in is said once, and stays where it is."""
        for uuid in self.uuids():
            try:
                self.take_in(uuid)
            except (VirtError, OSError) as exc:
                if self._said.get(uuid) != str(exc):
                    logger.bind(instance=uuid, error=str(exc)).warning("cannot take in an instance that has come")
                self._said[uuid] = str(exc)
            else:
                self._said.pop(uuid, None)

    def take_in(self, uuid: str) -> None:
        """Let it be a guest here, if it has been handed over; VirtError when that fails, and it may be tried again."""
        place = self.place(uuid)
        with self._guests.lock:
            if self._guests.has(uuid) or not has_been_handed_over(place):
                return
            self._knobs.turn("take_in", uuid)
            settings, fixed_ips = _read_note(place)
            guest = read_guest(place).moved_to(settings, fixed_ips)
            self._disks.settle(place, uuid)
            self._knobs.turn("take_in.define", uuid)
            self._guests.bring(place, guest)
            forget_notes(self._guests.place(uuid))

    def cancel(self, uuid: str) -> None:
        """Remove what has come or was prepared; VirtError when it is a guest here, also by the last moment."""
        with self._guests.lock:
            place = self.place(uuid)
            half = self._guests.new_half()
            if place.exists():
                with locked(self._directory):  # who hands over in this moment comes before or after
                    if not has_been_handed_over(place):
                        half.parent.mkdir(parents=True, exist_ok=True)
                        self._disks.discard_incoming(place)
                        place.rename(half)
                self._disks.discard(half)
            self.take_in(uuid)
            if self._guests.has(uuid):
                raise VirtError("it is here")

    def lose(self) -> None:
        """What was coming while it ran is lost with the host's power."""
        for uuid in self.uuids():
            if is_on_its_way(self.place(uuid)) and not has_been_handed_over(self.place(uuid)):
                self.cancel(uuid)


def forget_notes(place: Path) -> None:
    """What lay beside the guest while it came; it is of no use any more."""
    (place / _NOTE).unlink(missing_ok=True)
    forget_departure(place)


def _read_note(place: Path) -> tuple[Settings, Sequence[FixedIp]]:
    note = read_note(place / _NOTE)
    try:
        if note is None:
            raise VirtError(f"there is no {place / _NOTE}")
        return Settings(**note["settings"]), [FixedIp.from_dict(values) for values in note["fixed_ips"]]
    except (KeyError, TypeError) as exc:
        raise VirtError(f"cannot read {place / _NOTE}: {exc!r}") from exc
