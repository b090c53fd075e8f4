"""What a client says of an image, under the names that v2 has -> a change, or the reason why it is none."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from cloud.domain.image import CONTAINER_FORMATS, DISK_FORMATS
from cloud.errors import BadRequestError, ForbiddenError
from cloud.services.image.change import Change

MAX_TEXT_LENGTH = 255
MAX_VALUE_LENGTH = 4096
MAX_INT = 2**31 - 1
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_CONTROL_IN_VALUE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

READ_ONLY = frozenset(
    {
        "status",
        "size",
        "virtual_size",
        "checksum",
        "os_hash_algo",
        "os_hash_value",
        "created_at",
        "updated_at",
        "file",
        "self",
        "schema",
    }
)
"""What v2 shows and nobody sets."""
RESERVED = frozenset({"deleted", "deleted_at", "direct_url", "is_public", "location", "locations", "os_hidden"})
"""What other image services know and this one does not, so that no property of these names misleads a client."""


def _plain(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("it has control characters")
    return text


def _identifier(text: str) -> str:
    if not _ID.fullmatch(text):
        raise ValueError("it is not a UUID")
    return text.lower()


Text = Annotated[str, Field(max_length=MAX_TEXT_LENGTH), AfterValidator(_plain)]
Size = Annotated[int, Field(ge=0, le=MAX_INT)]


class _Fields(BaseModel):
    """What a client may set beside properties; each by default what it is anyway."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    id: Annotated[str, AfterValidator(_identifier)] = ""
    name: Text | None = None
    owner: Text | None = None
    visibility: Literal["public", "private"] = "private"
    protected: bool = False
    disk_format: Literal[DISK_FORMATS] | None = None  # type: ignore[valid-type]
    container_format: Literal[CONTAINER_FORMATS] | None = None  # type: ignore[valid-type]
    min_disk: Size = 0
    min_ram: Size = 0
    tags: list[Text] = Field(default=[])


_NAMES = {"visibility": "is_public", "protected": "is_protected", "min_disk": "min_disk_gb", "min_ram": "min_ram_mb"}
"""What Image calls them, where it is not the same."""
SETTABLE = frozenset(_Fields.model_fields)


def read_fields(given: Mapping[str, Any]) -> tuple[Change, str | None]:
    """A change, and the id where there is one. Whatever is no field is a property.

    BadRequestError, and ForbiddenError for what is read-only or reserved.
    """
    properties = {name: value for name, value in given.items() if name not in SETTABLE}
    for name in properties:
        check_property_name(name)
    try:
        read = _Fields.model_validate({name: value for name, value in given.items() if name in SETTABLE})
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BadRequestError(f"invalid value for {place}: {first['msg'].removeprefix('Value error, ')}") from exc
    attributes = {_NAMES.get(name, name): getattr(read, name) for name in read.model_fields_set}
    image_id = attributes.pop("id", None)
    if "is_public" in attributes:
        attributes["is_public"] = read.visibility == "public"
    if "tags" in attributes:
        attributes["tags"] = tuple(dict.fromkeys(read.tags))
    checked = {name: check_property_value(name, value) for name, value in properties.items()}
    return Change(attributes, checked), image_id


def check_property_name(name: str) -> None:
    """BadRequestError, or ForbiddenError for a name that means something else."""
    if name in READ_ONLY:
        raise ForbiddenError(f"cannot set {name}: it is read-only")
    if name in RESERVED:
        raise ForbiddenError(f"cannot set {name}: the name is reserved")
    if not 1 <= len(name) <= MAX_TEXT_LENGTH or _CONTROL.search(name):
        raise BadRequestError(
            f"a property's name is 1 to {MAX_TEXT_LENGTH} characters, none of them a control character"
        )


def check_property_value(name: str, value: object) -> str:
    """The value; BadRequestError."""
    if not isinstance(value, str):
        raise BadRequestError(f"invalid value for {name}: a property is a string")
    if len(value) > MAX_VALUE_LENGTH or _CONTROL_IN_VALUE.search(value):
        raise BadRequestError(
            f"invalid value for {name}: at most {MAX_VALUE_LENGTH} characters, and of control characters only line ends"
            " and tabs"
        )
    return value


def check_tag(tag: str) -> str:
    """The tag; BadRequestError."""
    if not 1 <= len(tag) <= MAX_TEXT_LENGTH or _CONTROL.search(tag):
        raise BadRequestError(f"a tag is 1 to {MAX_TEXT_LENGTH} characters, none of them a control character")
    return tag
