"""The headers in which v1 has an image: those of a request -> a change, and an image -> those of an answer.

Names and values that clients send may be percent-encoded UTF-8, as today's glanceclient does (RFC 8187 has no other
way), or UTF-8 as it is, as 2014's did. What is sent is UTF-8 as it is: 2014's clients read that, and today's show it
as Latin-1, as they do with every image service.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from cloud.domain.image import Image
from cloud.errors import BadRequestError
from cloud.services.image.change import Change
from cloud.services.image.fields import SETTABLE, check_property_name, check_property_value, read_fields
from cloud.services.image.listing import boolean
from cloud.services.image.store import Expected

_META = "x-image-meta-"
_PROPERTY = "x-image-meta-property-"
_TEXTS = ("id", "name", "owner", "disk_format", "container_format")
_NUMBERS = ("min_disk", "min_ram")
_FROM_ELSEWHERE = ("x-image-meta-location", "x-image-meta-copy-from", "x-glance-api-copy-from")
_IGNORED = frozenset({"status", "uri", "virtual_size", "created_at", "updated_at", "deleted", "deleted_at", "store"})
"""What clients send back of what they were shown; that it says nothing new is theirs to know."""
_AMAZON = ("ami", "ari", "aki")
_NO_TOKEN = re.compile(rb"[^0-9A-Za-z!#$&'*+.^_`|~-]")
_NO_VALUE = re.compile(rb"^[ \t]+|[ \t]+$|[\x00-\x1f\x7f]")
"""What cannot stand in a header's value (RFC 9110 section 5.5)."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the headers of a request say."""

    change: Change
    image_id: str | None
    expected: Expected
    purges: bool
    """Whether properties that it does not name are to go; v1's default, unless data comes along."""


def read_headers(headers: Iterable[tuple[bytes, bytes]]) -> Metadata:
    """What a request says of an image; BadRequestError, also for what v1 knows and this service does not do."""
    given: dict[str, str] = {}
    properties: dict[str, str] = {}
    purges = True
    for raw_name, raw_value in headers:
        name = raw_name.decode("latin-1").lower()
        if name.replace("_", "-") in _FROM_ELSEWHERE:
            raise BadRequestError(f"invalid header {name}: data is taken from a request alone, not from elsewhere")
        if name == "x-glance-registry-purge-props":
            purges = boolean(name, _decoded(name, raw_value))
        elif name.startswith(_PROPERTY):
            key = _decoded("a property's name", raw_name[len(_PROPERTY) :]).lower().replace("-", "_")
            _check_name(key)
            properties[key] = check_property_value(key, _decoded(key, raw_value))
        elif name.startswith(_META):
            given[name.removeprefix(_META).replace("-", "_")] = _decoded(name, raw_value)
    fields, expected = _fields(given)
    change, image_id = read_fields(fields)
    return Metadata(Change(change.attributes, properties), image_id, expected, purges)


def headers_of(image: Image) -> list[tuple[bytes, bytes]]:
    """`image` as headers, whatever it has been called: none of its texts can end a header or begin another."""
    attributes: Mapping[str, Any] = {**v1_document_of(image), "properties": None}
    values = [(f"X-Image-Meta-{name}".encode(), value) for name, value in attributes.items() if name != "properties"]
    values += [
        (b"X-Image-Meta-Property-" + _NO_TOKEN.sub(_escaped, name.encode()), value)
        for name, value in image.properties.items()
    ]
    return [(name, _NO_VALUE.sub(_escaped, _text(value).encode())) for name, value in values]


def v1_document_of(image: Image) -> dict[str, Any]:
    """`image` as v1 writes it in JSON."""
    return {
        "id": image.id,
        "name": image.name,
        "owner": image.owner,
        "is_public": image.is_public,
        "protected": image.is_protected,
        "status": image.status,
        "size": image.size or 0,
        "virtual_size": None,
        "checksum": image.checksum,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "min_disk": image.min_disk_gb,
        "min_ram": image.min_ram_mb,
        "deleted": False,
        "deleted_at": None,
        "created_at": image.created_at.strftime("%Y-%m-%dT%H:%M:%S"),
        "updated_at": image.updated_at.strftime("%Y-%m-%dT%H:%M:%S"),
        "properties": dict(image.properties),
    }


def _fields(given: dict[str, str]) -> tuple[dict[str, Any], Expected]:
    """Under the names and types that v2 has."""
    fields: dict[str, Any] = {}
    size = md5 = None
    for name, text in given.items():
        if name in _TEXTS:
            fields[name] = text or None
        elif name in _NUMBERS:
            fields[name] = _number(name, text)
        elif name in ("is_public", "protected") and text in ("", "None"):
            continue  # as glanceclient's v1 writes what its user has not said
        elif name == "is_public":
            fields["visibility"] = "public" if boolean(name, text) else "private"
        elif name == "protected":
            fields[name] = boolean(name, text)
        elif name == "size":
            size = _number(name, text)
        elif name == "checksum":
            md5 = text.lower() or None
        elif name not in _IGNORED:
            raise BadRequestError(f"invalid header {_META}{name}: an image has nothing of this name")
    if fields.get("id", "") is None:
        del fields["id"]
    return _with_amazon_formats(fields), Expected(size, md5)


def _with_amazon_formats(fields: dict[str, Any]) -> dict[str, Any]:
    """Both formats of an Amazon image are the same, and one may go without saying."""
    disk, container = fields.get("disk_format"), fields.get("container_format")
    for given in (disk, container):
        if given in _AMAZON:
            if {disk, container} - {given, None}:
                raise BadRequestError(f"invalid formats: with {given}, both the disk's and the container's are {given}")
            return {**fields, "disk_format": given, "container_format": given}
    return fields


def _check_name(name: str) -> None:
    check_property_name(name)
    if name in SETTABLE:
        raise BadRequestError(f"a property cannot be called {name}: v2 has an attribute of that name")


def _decoded(what: str, raw: bytes) -> str:
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError as exc:
        raise BadRequestError(f"invalid value for {what}: it is not UTF-8") from exc


def _number(name: str, text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise BadRequestError(f"invalid value for {name}: it is no whole number that is not negative")
    return int(text)


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _escaped(match: re.Match[bytes]) -> bytes:
    return b"".join(b"%%%02X" % byte for byte in match.group())
