"""A service of the cloud: what it reports of itself, and what the database knows of it. It travels over the bus."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any, Self

MAX_TEXT_LENGTH = 255


@dataclass(frozen=True, slots=True)
class ServiceReport:
    """What a service says of itself at every `report_interval`."""

    host: str
    binary: str
    topic: str
    availability_zone: str

    def __post_init__(self) -> None:
        """ValueError unless each is 1 to 255 printable characters: what both databases store alike."""
        for field in fields(self):
            value = getattr(self, field.name)
            if not (isinstance(value, str) and 1 <= len(value) <= MAX_TEXT_LENGTH and value.isprintable()):
                raise ValueError(f"a service's {field.name} is 1 to {MAX_TEXT_LENGTH} printable characters")

    def as_dict(self) -> dict[str, str]:
        """As values that JSON has; `from_dict` gives an equal report."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `as_dict` gave; TypeError for a missing or an unknown key, ValueError for a value out of bounds."""
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Service:
    """One program on one host. Times are aware and UTC; `updated_at` is that of its last report."""

    id: int
    host: str
    binary: str
    topic: str
    availability_zone: str
    is_enabled: bool
    disabled_reason: str | None
    created_at: datetime
    updated_at: datetime
    report_count: int
    is_up: bool
    is_forced_down: bool = False
    """By an admin who knows that it is, whatever it reports."""

    def as_dict(self) -> dict[str, str | int | bool | None]:
        """As values that JSON has, times in ISO 8601; `from_dict` gives an equal service."""
        times = {"created_at": self.created_at.isoformat(), "updated_at": self.updated_at.isoformat()}
        return asdict(self) | times

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `as_dict` gave; TypeError for a missing or an unknown key, ValueError for a time that is none."""
        service = cls(**values)
        return replace(
            service,
            created_at=datetime.fromisoformat(values["created_at"]),
            updated_at=datetime.fromisoformat(values["updated_at"]),
        )
