"""What comes over the bus -> values of the types that they should be, or BadMessageError."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from cloud.domain.fixed_ip import FixedIp
from cloud.domain.flavor import Flavor
from cloud.rpc.errors import BadMessageError

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def read_uuid(value: object) -> str:
    """Of an instance or an image."""
    if not (isinstance(value, str) and _UUID.fullmatch(value)):
        raise BadMessageError(f"cannot take request: {value!r} is no uuid")
    return value


def read_fixed_ips(values: Sequence[Mapping[str, str]]) -> Sequence[FixedIp]:
    """What FixedIp.as_dict gave."""
    try:
        return [FixedIp.from_dict(each) for each in values]
    except TypeError as exc:
        raise BadMessageError(f"cannot take request: bad fixed_ips: {exc}") from exc


def read_flavor(values: Mapping[str, Any]) -> Flavor:
    """What Flavor.as_dict gave."""
    try:
        flavor = Flavor.from_dict(values)
    except TypeError as exc:
        raise BadMessageError(f"cannot take request: bad flavor: {exc}") from exc
    sizes = {name: getattr(flavor, name) for name in ("memory_mb", "vcpus", "root_gb", "ephemeral_gb", "swap_mb")}
    for name, size in sizes.items():
        if type(size) is not int or size < 0:
            raise BadMessageError(f"cannot take request: bad flavor: {name} is {size!r}")
    return flavor


def check_mappings(**values: object) -> None:
    """Each with names of its own."""
    for name, value in values.items():
        if not isinstance(value, dict):
            raise BadMessageError(f"cannot take request: {name} is not a mapping")


def check_flags(**flags: object) -> None:
    """True or false, and nothing that only counts as such."""
    for name, flag in flags.items():
        if not isinstance(flag, bool):
            raise BadMessageError(f"cannot take request: {name} is neither true nor false")
