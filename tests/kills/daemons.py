"""Which daemons of a cloud have a part in a move, by the part that they have."""

from dataclasses import dataclass
from enum import StrEnum

from cloud.up.layout import CONTROLLER


class Part(StrEnum):
    """As it is listed."""

    CONDUCTOR = "nova-conductor"
    SCHEDULER = "nova-scheduler"
    SOURCE = "nova-compute of source"
    DESTINATION = "nova-compute of destination"
    NETWORK = "nova-network of destination"


@dataclass(frozen=True, slots=True)
class Daemon:
    """One process of the cloud."""

    binary: str
    host: str

    def __str__(self) -> str:
        return f"{self.binary} on {self.host}"


CONDUCTOR = Daemon("nova-conductor", CONTROLLER)
"""The only one, so that nobody goes on with a move before it is back."""


def daemon_of(part: Part, *, source: str, destination: str) -> Daemon:
    """Of a move between two hosts."""
    match part:
        case Part.CONDUCTOR:
            return CONDUCTOR
        case Part.SCHEDULER:
            return Daemon("nova-scheduler", CONTROLLER)
        case Part.SOURCE:
            return Daemon("nova-compute", source)
        case Part.DESTINATION:
            return Daemon("nova-compute", destination)
        case Part.NETWORK:
            return Daemon("nova-network", destination)
