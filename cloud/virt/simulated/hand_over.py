"""How a guest that runs changes hosts at one instant, whichever process dies when.

The source renames the guest's directory from `instances` to `departed`: that is the hand-over. By then all that the
destination needs lies in its `arrivals`. The same note, with a token of its own for each transfer, lies in both
directories: by it the destination finds out that the guest is its own, and takes it in whenever it looks.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from cloud.virt.driver import VirtError
from cloud.virt.simulated.notes import read_note, write_note

_NOTE = "departure.json"


@dataclass(frozen=True, slots=True)
class Departure:
    """One transfer: where the guest's directory goes at the source, and where it lies ready at the destination."""

    token: str
    departed: Path
    arrival: Path

    @classmethod
    def new(cls, departed: Path, arrival: Path) -> "Departure":
        return cls(uuid4().hex, departed, arrival)

    def note_in(self, place: Path) -> None:
        write_note(place / _NOTE, {name: str(value) for name, value in asdict(self).items()})

    def hand_over(self, send: Callable[[], None]) -> None:
        """Call `send`, which renames the directory, unless the destination expects the guest no more: VirtError then.

        The destination cannot change its mind meanwhile.
        """
        with locked(self.arrival.parent):
            if _departure_of(self.arrival) != self:
                raise VirtError("its destination does not expect it any more")
            send()


def has_been_handed_over(arrival: Path) -> bool:
    """At the destination: whether what lies in that directory is this host's guest."""
    departure = _departure_of(arrival)
    return departure is not None and _departure_of(departure.departed) == departure


def is_on_its_way(arrival: Path) -> bool:
    """At the destination: whether a transfer to that directory has begun."""
    return _departure_of(arrival) is not None


def is_awaited(departed: Path) -> bool:
    """At the source: whether the destination has still to take in what was handed over."""
    departure = _departure_of(departed)
    return departure is not None and _departure_of(departure.arrival) == departure


def forget_departure(place: Path) -> None:
    """The transfer that began or ended in that directory is over."""
    (place / _NOTE).unlink(missing_ok=True)


@contextmanager
def locked(arrivals: Path) -> Iterator[None]:
    """Nobody hands over to that host, nor cancels an arrival there; the kernel lets go for a process that dies."""
    descriptor = os.open(arrivals, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _departure_of(place: Path) -> Departure | None:
    note: Mapping[str, Any] | None = read_note(place / _NOTE)
    if note is None:
        return None
    try:
        return Departure(note["token"], Path(note["departed"]), Path(note["arrival"]))
    except (KeyError, TypeError) as exc:
        raise VirtError(f"cannot read {place / _NOTE}: {exc!r}") from exc
