"""A request as it came over the bus -> one whose every value is of the type that filters count on."""

from collections.abc import Iterator, Mapping
from typing import Any

from cloud.domain.flavor import Flavor
from cloud.domain.host import BuildRequest

_MAX_AMOUNT = 2**31 - 1
"""What the database's columns hold."""


def read_request(values: Mapping[str, Any]) -> BuildRequest:
    """What BuildRequest.as_dict gave; ValueError, which names the field and not its value, for anything else."""
    try:
        request = BuildRequest.from_dict(values)
    except (TypeError, KeyError) as exc:
        raise ValueError(f"its fields are not those of a request: {exc}") from exc
    if not isinstance(values["ignored_hosts"], list):  # a text, too, becomes a tuple of texts
        raise ValueError("its ignored_hosts is not a list")
    for defect in (*_defects(request), *_defects_of_flavor(request.flavor)):
        raise ValueError(defect)
    return request


def _defects(request: BuildRequest) -> Iterator[str]:
    for name in ("instance_uuid", "project_id"):
        if not isinstance(getattr(request, name), str):
            yield f"its {name} is not a text"
    for name in ("image_id", "availability_zone", "forced_host", "requested_host", "storage_id"):
        if not isinstance(getattr(request, name), str | None):
            yield f"its {name} is neither a text nor null"
    if not _is_mapping(request.hints):
        yield "its hints is not a mapping"
    if not _is_texts(request.image_properties):
        yield "its image_properties is not a mapping of texts"
    if not all(isinstance(host, str) for host in request.ignored_hosts):
        yield "its ignored_hosts is not a list of texts"


def _defects_of_flavor(flavor: Flavor) -> Iterator[str]:
    for name in ("memory_mb", "vcpus", "root_gb", "ephemeral_gb"):
        value = getattr(flavor, name)
        if not (isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_AMOUNT):
            yield f"its flavor's {name} is not a number from 0 to {_MAX_AMOUNT}"
    if not _is_texts(flavor.extra_specs):
        yield "its flavor's extra_specs is not a mapping of texts"


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)


def _is_texts(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(key, str) and isinstance(text, str) for key, text in value.items()
    )
