"""An instance as the simulated hypervisor has it: what it is, whether it runs, and what became of it so far."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from cloud.domain.fixed_ip import FixedIp
from cloud.domain.flavor import Resources
from cloud.domain.instance import Instance, PowerState

MAX_TURNS = 8
"""Kept of each instance, the last ones; its console shows no more."""


class Change(StrEnum):
    """What may happen to its power."""

    ON = "on"
    RESET = "reset"
    """Off and on again, without the guest being asked."""
    RESTART = "restart"
    """Off and on again by the guest's own shutdown."""
    OFF = "off"
    SHUT_DOWN = "shut down"
    """Off, by the guest itself."""
    LOST_POWER = "lost power"
    """Off, as its host is."""
    DEFINED = "defined"
    """It was made, off, of a disk that was there."""


_OFF = (Change.OFF, Change.SHUT_DOWN, Change.LOST_POWER, Change.DEFINED)


@dataclass(frozen=True, slots=True)
class Turn:
    """One change of power; the time is aware."""

    at: datetime
    change: Change


@dataclass(frozen=True, slots=True)
class Settings:
    """What it has of its host rather than of itself."""

    dhcp_server: str | None = None
    vnc_address: str | None = None
    """Where its screen is served."""


@dataclass(frozen=True, slots=True)
class DiskContent:
    """A disk, as large as it says, begins with data."""

    image_bytes: int
    """So many of them are kept."""
    data_bytes: int
    """So many there would be on a real disk: what has to go where the disk goes."""
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Guest:
    """Immutable: each change makes another one."""

    uuid: str
    name: str
    size: Resources
    fixed_ips: tuple[FixedIp, ...]
    image_bytes: int
    """How much of its disk is data, from the beginning."""
    turns: tuple[Turn, ...]
    """The last changes of power, oldest first; at least one."""
    data_bytes: int = 0
    disk_bytes: int = 0
    """The size of its disk; 0 where that was not noted yet."""
    dhcp_server: str | None = None
    vnc_address: str | None = None

    @classmethod
    def made(
        cls, instance: Instance, fixed_ips: Sequence[FixedIp], content: DiskContent, settings: Settings, turn: Turn
    ) -> Self:
        """A new one, of a disk that is there."""
        return cls(
            uuid=instance.uuid,
            name=_printable(instance.display_name),
            size=instance.flavor.resources,
            fixed_ips=tuple(fixed_ips),
            image_bytes=content.image_bytes,
            turns=(turn,),
            data_bytes=content.data_bytes,
            disk_bytes=content.size_bytes,
            dhcp_server=settings.dhcp_server,
            vnc_address=settings.vnc_address,
        )

    @property
    def is_off(self) -> bool:
        return self.turns[-1].change in _OFF

    @property
    def power_state(self) -> PowerState:
        return PowerState.SHUTDOWN if self.is_off else PowerState.RUNNING

    @property
    def content(self) -> DiskContent:
        return DiskContent(self.image_bytes, max(self.data_bytes, self.image_bytes), self.disk_bytes)

    def turned(self, change: Change, at: datetime) -> Self:
        return replace(self, turns=(*self.turns, Turn(at, change))[-MAX_TURNS:])

    def moved_to(self, settings: Settings, fixed_ips: Sequence[FixedIp]) -> Self:
        """As another host has it."""
        return replace(
            self, fixed_ips=tuple(fixed_ips), dhcp_server=settings.dhcp_server, vnc_address=settings.vnc_address
        )

    def resized(self, instance: Instance, disk_bytes: int) -> Self:
        """What the instance is now called and its flavor says, on a disk of that size."""
        return replace(
            self, name=_printable(instance.display_name), size=instance.flavor.resources, disk_bytes=disk_bytes
        )

    def to_json(self) -> str:
        """`from_json` gives an equal guest."""
        turns = [{"at": turn.at.isoformat(), "change": turn.change} for turn in self.turns]
        return json.dumps(asdict(self) | {"turns": turns}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """ValueError for what `to_json` has not given."""
        try:
            values: Mapping[str, Any] = json.loads(text)
            guest = replace(
                cls(**values),
                size=Resources.from_dict(values["size"]),
                fixed_ips=tuple(map(FixedIp.from_dict, values["fixed_ips"])),
                turns=tuple(
                    Turn(datetime.fromisoformat(turn["at"]), Change(turn["change"])) for turn in values["turns"]
                ),
            )
        except (TypeError, KeyError, AttributeError) as exc:
            raise ValueError(f"it is not a guest: {exc!r}") from exc
        if not guest.turns or any(turn.at.tzinfo is None for turn in guest.turns):
            raise ValueError("it is not a guest: its turns lack a time")
        return guest


def _printable(name: str) -> str:
    return "".join(filter(str.isprintable, name))
