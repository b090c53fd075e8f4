"""An image: what an instance's disk is made from, and what is known of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any, Self

QUEUED = "queued"
"""Registered; its data has not come yet."""
SAVING = "saving"
"""Its data is coming."""
ACTIVE = "active"
"""Its data is there, and will never change."""
KILLED = "killed"
"""Its data has not come as it was announced, and will not come any more."""

IMAGE_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""What an image's id looks like, from its first character to its last."""
DISK_FORMATS = ("ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop")
CONTAINER_FORMATS = ("ami", "ari", "aki", "bare", "ovf", "ova", "docker")


@dataclass(frozen=True, slots=True)
class Image:
    """Times are aware and UTC. `size`, `checksum` and `sha256` are None unless it is active."""

    id: str
    name: str | None
    owner: str | None
    """A project's id; None for what belongs to no project, and therefore to the admins."""
    is_public: bool
    status: str
    size: int | None
    """In bytes."""
    checksum: str | None
    """MD5 in hexadecimal, which is what the API knows."""
    disk_format: str | None
    container_format: str | None
    min_disk_gb: int
    min_ram_mb: int
    properties: Mapping[str, str]
    created_at: datetime
    updated_at: datetime
    is_protected: bool = False
    """Whether it cannot be deleted."""
    sha256: str | None = None
    tags: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As values that JSON has, times in ISO 8601; `from_dict` gives an equal image."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return values | {
            "properties": dict(self.properties),
            "created_at": self.created_at.isoformat(),
            "updated_at": self.updated_at.isoformat(),
            "tags": list(self.tags),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `as_dict` gave; TypeError for a missing or an unknown key, ValueError for a time that is none."""
        image = cls(**values)
        return replace(
            image,
            properties=dict(image.properties),
            created_at=datetime.fromisoformat(values["created_at"]),
            updated_at=datetime.fromisoformat(values["updated_at"]),
            tags=tuple(image.tags),
        )


@dataclass(frozen=True, slots=True)
class NewImage:
    """What an image is to be, before its data comes."""

    name: str
    disk_format: str
    container_format: str
    is_public: bool = False
    min_disk_gb: int = 0
    min_ram_mb: int = 0
    properties: Mapping[str, str] = field(default_factory=dict)
    owner: str | None = None
    """None: the project of whoever registers it."""
