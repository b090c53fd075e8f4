"""What was asked of an instance, and the steps it took; it travels."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self


class EventResult(StrEnum):
    """How a step ended."""

    SUCCESS = "Success"
    ERROR = "Error"


@dataclass(frozen=True, slots=True)
class InstanceEvent:
    """A step of an action. Times are aware and UTC; without `finished_at` it still runs, or nobody lived to say."""

    event: str
    host: str | None
    started_at: datetime
    finished_at: datetime | None = None
    result: EventResult | None = None
    details: str | None = None
    """Why it failed, for admins."""

    def as_dict(self) -> dict[str, Any]:
        """As values that JSON has, times in ISO 8601; `from_dict` gives an equal event."""
        return asdict(self) | {"started_at": _text(self.started_at), "finished_at": _text(self.finished_at)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `as_dict` gave; TypeError for a missing or an unknown key, ValueError for an unknown result or time."""
        return replace(
            cls(**values),
            started_at=datetime.fromisoformat(values["started_at"]),
            finished_at=_time(values["finished_at"]),
            result=None if values["result"] is None else EventResult(values["result"]),
        )


@dataclass(frozen=True, slots=True)
class InstanceAction:
    """What one request asked of one instance. Times are aware and UTC."""

    instance_uuid: str
    request_id: str
    action: str
    """create, reboot, stop and so on, as users see it."""
    user_id: str | None
    project_id: str | None
    started_at: datetime
    finished_at: datetime | None = None
    message: str | None = None
    """`Error` when it failed, as nova says it; None otherwise."""
    events: tuple[InstanceEvent, ...] = ()
    """In the order in which they began; only where one action is asked for."""

    def as_dict(self) -> dict[str, Any]:
        """As values that JSON has, times in ISO 8601; `from_dict` gives an equal action."""
        return asdict(self) | {
            "started_at": _text(self.started_at),
            "finished_at": _text(self.finished_at),
            "events": [event.as_dict() for event in self.events],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `as_dict` gave; TypeError for a missing or an unknown key, ValueError for an unknown result or time."""
        return replace(
            cls(**values),
            started_at=datetime.fromisoformat(values["started_at"]),
            finished_at=_time(values["finished_at"]),
            events=tuple(InstanceEvent.from_dict(event) for event in values["events"]),
        )


def _text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
