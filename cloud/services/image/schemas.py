"""The JSON schemas that v2 offers: clients make their command lines and their checks out of them."""

from typing import Any

from cloud.domain.image import ACTIVE, CONTAINER_FORMATS, DISK_FORMATS, KILLED, QUEUED, SAVING
from cloud.services.image.fields import MAX_TEXT_LENGTH, READ_ONLY

_UUID = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
_TEXT = {"type": "string"}
_TEXT_OR_NONE = {"type": ["null", "string"], "maxLength": MAX_TEXT_LENGTH}
_COUNT_OR_NONE = {"type": ["null", "integer"]}
_ATTRIBUTES: dict[str, tuple[dict[str, Any], str]] = {
    "id": ({"type": "string", "pattern": _UUID}, "The image's identifier."),
    "name": (_TEXT_OR_NONE, "What it is called; several may be called the same."),
    "owner": (_TEXT_OR_NONE, "The project that it belongs to."),
    "status": ({"type": "string", "enum": [QUEUED, SAVING, ACTIVE, KILLED]}, "How far it has come."),
    "visibility": ({"type": "string", "enum": ["public", "private"]}, "Whether all projects may use it."),
    "protected": ({"type": "boolean"}, "Whether it cannot be deleted."),
    "checksum": ({"type": ["null", "string"], "maxLength": 32}, "MD5 of its data."),
    "os_hash_algo": ({"type": ["null", "string"], "maxLength": 64}, "The algorithm of os_hash_value."),
    "os_hash_value": ({"type": ["null", "string"], "maxLength": 128}, "A stronger checksum of its data."),
    "size": (_COUNT_OR_NONE, "Bytes of its data."),
    "virtual_size": (_COUNT_OR_NONE, "Bytes of the disk that it makes, where that is known."),
    "disk_format": ({"type": ["null", "string"], "enum": [None, *DISK_FORMATS]}, "The format of the disk."),
    "container_format": (
        {"type": ["null", "string"], "enum": [None, *CONTAINER_FORMATS]},
        "What the disk is packed in.",
    ),
    "min_disk": ({"type": "integer"}, "Gigabytes of disk that an instance of it takes."),
    "min_ram": ({"type": "integer"}, "Megabytes of memory that an instance of it takes."),
    "tags": ({"type": "array", "items": {"type": "string", "maxLength": MAX_TEXT_LENGTH}}, "Words to find it by."),
    "created_at": (_TEXT, "When it was registered."),
    "updated_at": (_TEXT, "When it last changed."),
    "self": (_TEXT, "Its own path."),
    "file": (_TEXT, "The path of its data."),
    "schema": (_TEXT, "The path of this schema."),
}

IMAGE_SCHEMA: dict[str, Any] = {
    "name": "image",
    "properties": {
        name: {**schema, "description": description, **({"readOnly": True} if name in READ_ONLY else {})}
        for name, (schema, description) in _ATTRIBUTES.items()
    },
    "additionalProperties": {"type": "string"},
    "links": [
        {"rel": "self", "href": "{self}"},
        {"rel": "enclosure", "href": "{file}"},
        {"rel": "describedby", "href": "{schema}"},
    ],
}
IMAGES_SCHEMA: dict[str, Any] = {
    "name": "images",
    "properties": {
        "images": {"type": "array", "items": IMAGE_SCHEMA},
        "first": {"type": "string"},
        "next": {"type": "string"},
        "schema": {"type": "string"},
    },
    "links": [
        {"rel": "first", "href": "{first}"},
        {"rel": "next", "href": "{next}"},
        {"rel": "describedby", "href": "{schema}"},
    ],
}
