"""The query of a list -> which images, in which order, from which one on. Pure: it sees images and no caller."""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from cloud.domain.image import Image
from cloud.errors import BadRequestError

DEFAULT_LIMIT = 25
MAX_LIMIT = 1000
"""What is asked for beyond it is cut to it; the client follows to the next page."""
MAX_CONDITIONS = 100
Filter = Callable[[Image], bool]
Pairs = Sequence[tuple[str, str]]

_SORT_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "name": "name",
        "status": "status",
        "container_format": "container_format",
        "disk_format": "disk_format",
        "size": "size",
        "id": "id",
        "created_at": "created_at",
        "updated_at": "updated_at",
        "owner": "owner",
        "min_disk": "min_disk_gb",
        "min_ram": "min_ram_mb",
        "protected": "is_protected",
        "checksum": "checksum",
    }
)
"""The API's names, and Image's."""
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = MappingProxyType(
    {
        "gt": operator.gt,
        "gte": operator.ge,
        "lt": operator.lt,
        "lte": operator.le,
        "eq": operator.eq,
        "neq": operator.ne,
    }
)


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of a list."""

    filters: Sequence[Filter] = ()
    sort: Sequence[tuple[str, bool]] = ()
    """Fields of Image, and whether each descends; the newest come first where nothing is said."""
    limit: int = DEFAULT_LIMIT
    marker: str | None = None
    """The id of the last image of the page before."""


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a list."""

    images: Sequence[Image]
    has_more: bool


def select(images: Iterable[Image], query: Query) -> Page:
    """The page that `query` asks for; BadRequestError when its marker is none of `images`."""
    marker = None
    kept = []
    for image in images:
        if image.id == query.marker:
            marker = image
        if all(matches(image) for matches in query.filters):
            kept.append(image)
    if query.marker is not None and marker is None:
        raise BadRequestError(f"cannot list images from marker {query.marker[:64]}: there is no such image")
    if marker is not None and marker not in kept:
        kept.append(marker)
    is_descending = query.sort[-1][1] if query.sort else True
    keys = [*query.sort, ("created_at", is_descending), ("id", is_descending)]
    for name, descends in reversed(keys):
        kept.sort(key=lambda image, name=name: _orderable(getattr(image, name)), reverse=descends)  # type: ignore[misc]
    if marker is not None:
        kept = kept[kept.index(marker) + 1 :]
    return Page(kept[: query.limit], len(kept) > query.limit)


def read_v2(pairs: Pairs) -> Query:
    """The query of v2; BadRequestError."""
    _check_count(pairs)
    filters: list[Filter] = []
    for name, value in pairs:
        if name not in ("limit", "marker", "sort_key", "sort_dir", "sort"):
            filters.append(_v2_filter(name, value))
    query = dict(pairs)
    return Query(filters, _sort(pairs), _limit(query.get("limit")), query.get("marker") or None)


def read_v1(pairs: Pairs) -> Query:
    """The query of v1 but for `is_public`; BadRequestError."""
    _check_count(pairs)
    filters: list[Filter] = []
    for name, value in pairs:
        if name not in ("limit", "marker", "sort_key", "sort_dir", "is_public"):
            filters.append(_v1_filter(name, value))
    query = dict(pairs)
    keys = [(name, value) for name, value in query.items() if name in ("sort_key", "sort_dir")]
    return Query(filters, _sort(keys), _limit(query.get("limit")), query.get("marker") or None)


def boolean(name: str, text: str) -> bool:
    """What a client means by `text`; BadRequestError."""
    if text.lower() in ("true", "t", "1", "yes", "y", "on"):
        return True
    if text.lower() in ("false", "f", "0", "no", "n", "off"):
        return False
    raise BadRequestError(f"invalid value for {name}: neither true nor false")


def _check_count(pairs: Pairs) -> None:
    if len(pairs) > MAX_CONDITIONS:
        raise BadRequestError(f"a query has at most {MAX_CONDITIONS} conditions")


def _v2_filter(name: str, value: str) -> Filter:
    match name:
        case "id" | "name" | "status" | "disk_format" | "container_format":
            return _one_of(name, value)
        case "owner" | "checksum":
            return lambda image: getattr(image, name) == value
        case "os_hash_value":
            return lambda image: image.sha256 == value
        case "visibility":
            return _visibility(value)
        case "protected":
            wanted = boolean(name, value)
            return lambda image: image.is_protected == wanted
        case "tag":
            return lambda image: value in image.tags
        case "created_at" | "updated_at":
            return _compared(name, value)
        case "os_hidden":  # none ever is
            is_hidden = boolean(name, value)
            return lambda _image: not is_hidden
        case "member_status":  # of images that others share, of which there are none
            if value not in ("pending", "accepted", "rejected", "all"):
                raise BadRequestError("invalid value for member_status: pending, accepted, rejected or all")
            return lambda _image: True
    return _bounded(name, value) or (lambda image: image.properties.get(name) == value)


def _v1_filter(name: str, value: str) -> Filter:
    match name:
        case "name" | "status" | "disk_format" | "container_format" | "owner" | "checksum":
            return lambda image: getattr(image, name) == value
        case "protected":
            wanted = boolean(name, value)
            return lambda image: image.is_protected == wanted
        case "changes-since" | "changes_since":  # the API's name, and what glanceclient makes of it
            since = _time(name, value)
            return lambda image: image.updated_at >= since
        case "deleted":  # nothing of a deleted image is kept
            is_deleted = value.lower() != "none" and boolean(name, value)
            return lambda _image: not is_deleted
    if name.startswith("property-"):
        return lambda image: image.properties.get(name.removeprefix("property-")) == value
    return _bounded(name, value) or (lambda _image: True)  # v1 has never minded what it does not know


def _bounded(name: str, value: str) -> Filter | None:
    match name:
        case "size_min":
            least = _number(name, value)
            return lambda image: image.size is not None and image.size >= least
        case "size_max":
            most = _number(name, value)
            return lambda image: image.size is not None and image.size <= most
        case "size":
            size = _number(name, value)
            return lambda image: image.size == size
        case "min_ram":
            ram_mb = _number(name, value)
            return lambda image: image.min_ram_mb == ram_mb
        case "min_disk":
            disk_gb = _number(name, value)
            return lambda image: image.min_disk_gb == disk_gb
    return None


def _one_of(name: str, value: str) -> Filter:
    """`a`, or any of `in:a,"b, c"`."""
    if not value.startswith("in:"):
        return lambda image: getattr(image, name) == value
    wanted = _split(name, value.removeprefix("in:"))
    return lambda image: getattr(image, name) in wanted


def _split(name: str, text: str) -> frozenset[str]:
    found, part, is_quoted = [], "", False
    for character in text:
        if character == '"':
            is_quoted = not is_quoted
        elif character == "," and not is_quoted:
            found.append(part)
            part = ""
        else:
            part += character
    if is_quoted:
        raise BadRequestError(f"invalid value for {name}: a quotation mark has no other")
    return frozenset([*found, part])


def _visibility(value: str) -> Filter:
    match value:
        case "public":
            return lambda image: image.is_public
        case "private":
            return lambda image: not image.is_public
        case "shared" | "community":  # which no image is
            return lambda _image: False
        case "all":
            return lambda _image: True
    raise BadRequestError("invalid value for visibility: public, private, shared, community or all")


def _compared(name: str, value: str) -> Filter:
    """`gte:2014-06-01T00:00:00Z`, or a time alone, which is meant exactly."""
    word, colon, rest = value.partition(":")
    if not colon or word not in _COMPARISONS:
        word, rest = "eq", value
    compare, time = _COMPARISONS[word], _time(name, rest)
    return lambda image: compare(getattr(image, name).replace(microsecond=0), time)


def _time(name: str, text: str) -> datetime:
    try:
        read = datetime.fromisoformat(text.replace(" ", "+"))  # as which a + comes where it was not quoted
    except ValueError as exc:
        raise BadRequestError(f"invalid value for {name}: it is no time in ISO 8601") from exc
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise BadRequestError(f"invalid value for {name}: it is no whole number that is not negative")
    return int(text)


def _limit(text: str | None) -> int:
    return DEFAULT_LIMIT if text is None else min(_number("limit", text), MAX_LIMIT)


def _sort(pairs: Pairs) -> list[tuple[str, bool]]:
    """Of `sort=name:asc,size`, or of several sort_key and as many sort_dir, or one for all."""
    both = [value for name, value in pairs if name == "sort"]
    keys = [value for name, value in pairs if name == "sort_key"]
    directions = [value for name, value in pairs if name == "sort_dir"]
    if both and (keys or directions):
        raise BadRequestError("a list is sorted by sort, or by sort_key and sort_dir, and not by both")
    if both:
        parts = [part.strip().partition(":") for part in both[-1].split(",")]
        keys, directions = [key for key, _, _ in parts], [direction or "desc" for _, _, direction in parts]
    if directions and not keys:
        keys = ["created_at"]
    if len(directions) == 1:
        directions *= len(keys)
    if directions and len(directions) != len(keys):
        raise BadRequestError("there are as many sort_dir as sort_key, or one for all, or none")
    if len(set(keys)) != len(keys):
        raise BadRequestError("a list is sorted by each sort_key once")
    return [
        (_key(key), _descends(direction))
        for key, direction in zip(keys, directions or ["desc"] * len(keys), strict=True)
    ]


def _key(name: str) -> str:
    if name not in _SORT_KEYS:
        raise BadRequestError(f"invalid sort_key: one of {', '.join(_SORT_KEYS)}")
    return _SORT_KEYS[name]


def _descends(direction: str) -> bool:
    if direction not in ("asc", "desc"):
        raise BadRequestError("invalid sort_dir: asc or desc")
    return direction == "desc"


def _orderable(value: Any) -> tuple[bool, Any]:
    return (value is not None, value)
