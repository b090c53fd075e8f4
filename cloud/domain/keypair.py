"""A user's key pair, of which the cloud keeps the public half; it travels."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class NewKeypair:
    """One that is to be kept."""

    user_id: str
    name: str
    type: str
    """`ssh` or `x509`."""
    fingerprint: str
    public_key: str


@dataclass(frozen=True, slots=True)
class Keypair(NewKeypair):
    """One that is kept; its time is aware and UTC."""

    created_at: datetime
    id: int = 0

    def as_dict(self) -> dict[str, Any]:
        """As values that JSON has, its time in ISO 8601; `from_dict` gives an equal key pair."""
        return asdict(self) | {"created_at": self.created_at.isoformat()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `as_dict` gave; TypeError for a missing or an unknown key, ValueError for a time that is none."""
        return replace(cls(**values), created_at=datetime.fromisoformat(values["created_at"]))
