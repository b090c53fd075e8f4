"""What clients send about servers, as pydantic models; what is allowed and enough of anything is decided elsewhere."""

import base64
import binascii
import re
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, ValidationInfo

from cloud.services.api.body import Body, Flag, Name, Since, Text, WholeNumber
from cloud.services.api.versions import V2, V2_19

MAX_COUNT = 1000
"""Servers that one request may ask for, whatever the quota."""
MAX_USER_DATA_LENGTH = 65535
MAX_PASSWORD_LENGTH = 255
MAX_CONSOLE_LINES = 2**31 - 1
_MAX_HREF_LENGTH = 1024
_MAX_METADATA_ITEMS = 1024
_MAX_FILES = 64
_METADATA_KEY = re.compile(r"[a-zA-Z0-9\-_:. ]{1,255}")


def is_uuid(text: str) -> bool:
    """Whether it is one as clients write it, with hyphens or without."""
    try:
        return len(text) in (32, 36) and str(UUID(text)).replace("-", "") == text.lower().replace("-", "")
    except ValueError:
        return False


def _tail(href: str) -> str:
    return href.rstrip("/").rsplit("/", 1)[-1]


def _image_id(href: str) -> str:
    identity = _tail(href)
    if href and not is_uuid(identity):
        raise ValueError("an image is named by its id, which is a UUID")
    return str(UUID(identity)) if href else ""


def _server_id(text: str) -> str:
    if not is_uuid(text):
        raise ValueError("a server is named by its id, which is a UUID")
    return str(UUID(text))


def _flavor_id(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return _tail(value) if isinstance(value, str) and len(value) <= _MAX_HREF_LENGTH else value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _ipv4(text: str) -> str:
    return str(IPv4Address(text)) if text else ""


def _ipv6(text: str) -> str:
    return str(IPv6Address(text)) if text else ""


def _base64(text: str) -> str:
    compact = "".join(text.split())
    try:
        base64.b64decode(compact, validate=True)
    except (ValueError, binascii.Error) as exc:
        raise ValueError("it is not base64") from exc
    return compact


def _metadata(items: dict[str, str], info: ValidationInfo) -> dict[str, str]:
    is_lenient = info.context is not None and info.context["version"] == V2
    for key in items:
        if not (is_lenient and 1 <= len(key) <= 255) and not _METADATA_KEY.fullmatch(key):
            raise ValueError("a key has 1 to 255 letters, digits, blanks and -_:.")
    return items


ImageRef = Annotated[str, StringConstraints(max_length=_MAX_HREF_LENGTH), AfterValidator(_image_id)]
"""An image's id, also at the end of an address; empty where it is left to a block device."""
FlavorRef = Annotated[str, StringConstraints(min_length=1, max_length=255), BeforeValidator(_flavor_id)]
ServerId = Annotated[str, StringConstraints(max_length=36), AfterValidator(_server_id)]
AccessIpV4 = Annotated[str, StringConstraints(max_length=39), AfterValidator(_ipv4)]
AccessIpV6 = Annotated[str, StringConstraints(max_length=39), AfterValidator(_ipv6)]
"""Empty: none."""
Base64 = Annotated[str, AfterValidator(_base64)]
Metadata = Annotated[dict[str, Text], Field(max_length=_MAX_METADATA_ITEMS), AfterValidator(_metadata)]
Password = Annotated[str, StringConstraints(max_length=MAX_PASSWORD_LENGTH)]
DiskConfig = Literal["AUTO", "MANUAL"]
Description = Text | None
Count = Annotated[WholeNumber, Field(ge=1, le=MAX_COUNT)]


class InjectedFile(Body):
    path: Text
    contents: Base64


Personality = Annotated[list[InjectedFile], Field(max_length=_MAX_FILES)]


class RequestedNetwork(Body):
    uuid: Text | None = None
    port: Text | None = None
    fixed_ip: Text | None = None


class SecurityGroup(Body):
    name: Name


class BlockDevice(Body):
    """A disk, as the second form of block device mappings has it."""

    source_type: Literal["volume", "image", "snapshot", "blank"] | None = None
    destination_type: Literal["local", "volume"] | None = None
    uuid: Text | None = None
    image_id: Text | None = None
    volume_id: Text | None = None
    snapshot_id: Text | None = None
    boot_index: WholeNumber | None = None
    delete_on_termination: Flag | None = None
    volume_size: WholeNumber | None = None
    device_name: Text | None = None
    device_type: Text | None = None
    disk_bus: Text | None = None
    guest_format: Text | None = None
    virtual_name: Text | None = None
    no_device: Any = None
    connection_info: Text | None = None


class SchedulerHints(Body):
    """What the scheduler is to heed. Others than these are nobody's here, and refused since 2.1."""

    same_host: ServerId | Annotated[list[ServerId], Field(max_length=100)] | None = None
    different_host: ServerId | Annotated[list[ServerId], Field(max_length=100)] | None = None
    group: Text | None = None


class NewServer(Body):
    name: Name
    flavor_ref: FlavorRef = Field(alias="flavorRef")
    image_ref: ImageRef = Field("", alias="imageRef")
    admin_pass: Password | None = Field(None, alias="adminPass")
    metadata: Metadata = Field(default_factory=dict)
    networks: Annotated[list[RequestedNetwork], Field(max_length=64)] | None = None
    disk_config: DiskConfig = Field("MANUAL", alias="OS-DCF:diskConfig")
    access_ip_v4: AccessIpV4 = Field("", alias="accessIPv4")
    access_ip_v6: AccessIpV6 = Field("", alias="accessIPv6")
    personality: Personality = Field(default_factory=list)
    availability_zone: Name | None = None
    key_name: Name | None = None
    user_data: Annotated[Base64, StringConstraints(max_length=MAX_USER_DATA_LENGTH)] | None = None
    config_drive: Flag | None = None
    security_groups: Annotated[list[SecurityGroup], Field(max_length=64)] | None = None
    block_device_mapping: Annotated[list[dict[str, Any]], Field(max_length=64)] | None = None
    block_device_mapping_v2: Annotated[list[BlockDevice], Field(max_length=64)] | None = None
    min_count: Count = 1
    max_count: Count | None = None
    return_reservation_id: Flag = False
    description: Annotated[Description, Since(V2_19)] = None


class CreateServer(Body):
    server: NewServer
    hints: SchedulerHints = Field(default_factory=SchedulerHints, alias="os:scheduler_hints")
    more_hints: SchedulerHints = Field(default_factory=SchedulerHints, alias="OS-SCH-HNT:scheduler_hints")
    """The same under the other name that it has."""


class ServerChanges(Body):
    name: Name | None = None
    access_ip_v4: AccessIpV4 | None = Field(None, alias="accessIPv4")
    access_ip_v6: AccessIpV6 | None = Field(None, alias="accessIPv6")
    disk_config: DiskConfig | None = Field(None, alias="OS-DCF:diskConfig")
    description: Annotated[Description, Since(V2_19)] = None


class UpdateServer(Body):
    server: ServerChanges


class MetadataBody(Body):
    metadata: Metadata


class MetadataItemBody(Body):
    meta: Annotated[Metadata, Field(min_length=1, max_length=1)]


class Reboot(Body):
    type: Annotated[Literal["SOFT", "HARD"], BeforeValidator(_upper)]


class ResetState(Body):
    state: Literal["active", "error"]


class ConsoleOutput(Body):
    length: Annotated[WholeNumber, Field(ge=-1, le=MAX_CONSOLE_LINES)] | None = None


class CreateImage(Body):
    name: Name
    metadata: Metadata = Field(default_factory=dict)


class Rebuild(Body):
    image_ref: ImageRef = Field(alias="imageRef")
    name: Name | None = None
    admin_pass: Password | None = Field(None, alias="adminPass")
    metadata: Metadata | None = None
    preserve_ephemeral: Flag = False
    disk_config: DiskConfig | None = Field(None, alias="OS-DCF:diskConfig")
    access_ip_v4: AccessIpV4 | None = Field(None, alias="accessIPv4")
    access_ip_v6: AccessIpV6 | None = Field(None, alias="accessIPv6")
    personality: Personality = Field(default_factory=list)
    description: Annotated[Description, Since(V2_19)] = None
