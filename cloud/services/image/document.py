"""An image as v2 writes it, which both the service and its client read and write."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cloud.domain.image import Image

_ATTRIBUTES = frozenset(
    {
        *("id", "name", "owner", "visibility", "status", "size", "virtual_size", "checksum", "os_hash_algo"),
        *("os_hash_value", "disk_format", "container_format", "min_disk", "min_ram", "protected", "tags"),
        *("created_at", "updated_at", "self", "file", "schema"),
    }
)
_TIME = "%Y-%m-%dT%H:%M:%SZ"


def is_attribute(name: str) -> bool:
    """Whether no property can be called so: v2 would take it for the image's own."""
    return name in _ATTRIBUTES


def document_of(image: Image) -> dict[str, Any]:
    """`image` for v2: properties stand beside attributes, which win where both have a name."""
    path = f"/v2/images/{image.id}"
    hashed = {} if image.sha256 is None else {"os_hash_algo": "sha256", "os_hash_value": image.sha256}
    return {
        **image.properties,
        "id": image.id,
        "name": image.name,
        "owner": image.owner,
        "visibility": "public" if image.is_public else "private",
        "status": image.status,
        "size": image.size,
        "virtual_size": None,
        "checksum": image.checksum,
        **hashed,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "min_disk": image.min_disk_gb,
        "min_ram": image.min_ram_mb,
        "protected": image.is_protected,
        "tags": list(image.tags),
        "created_at": image.created_at.strftime(_TIME),
        "updated_at": image.updated_at.strftime(_TIME),
        "self": path,
        "file": f"{path}/file",
        "schema": "/v2/schemas/image",
    }


def image_of(document: Mapping[str, Any]) -> Image:
    """What `document_of` was given, times to the second; KeyError, TypeError or ValueError where it is no image."""
    return Image(
        id=document["id"],
        name=document["name"],
        owner=document["owner"],
        is_public=document["visibility"] == "public",
        status=document["status"],
        size=document["size"],
        checksum=document["checksum"],
        disk_format=document["disk_format"],
        container_format=document["container_format"],
        min_disk_gb=document["min_disk"],
        min_ram_mb=document["min_ram"],
        properties={name: value for name, value in document.items() if name not in _ATTRIBUTES},
        created_at=_time(document["created_at"]),
        updated_at=_time(document["updated_at"]),
        is_protected=document["protected"],
        sha256=document.get("os_hash_value") if document.get("os_hash_algo") == "sha256" else None,
        tags=tuple(document["tags"]),
    )


def _time(text: str) -> datetime:
    return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
