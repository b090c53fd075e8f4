"""An instance as the simulated hypervisor has it: what it is, whether it runs, and what became of it so far."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from cloud.domain.fixed_ip import FixedIp
from cloud.domain.flavor import Resources
from cloud.domain.instance import PowerState

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


_OFF = (Change.OFF, Change.SHUT_DOWN)


@dataclass(frozen=True, slots=True)
class Turn:
    """One change of power; the time is aware."""

    at: datetime
    change: Change


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

    @property
    def power_state(self) -> PowerState:
        return PowerState.SHUTDOWN if self.turns[-1].change in _OFF else PowerState.RUNNING

    def turned(self, change: Change, at: datetime) -> Self:
        return replace(self, turns=(*self.turns, Turn(at, change))[-MAX_TURNS:])

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
