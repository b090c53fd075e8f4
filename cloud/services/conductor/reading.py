"""What comes over the bus -> values of the types and sizes that they should be, or BadMessageError."""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from cloud.domain.expected import Expected
from cloud.domain.flavor import Resources
from cloud.domain.host import ComputeNode
from cloud.domain.instance import TaskState, VmState
from cloud.domain.service import MAX_TEXT_LENGTH
from cloud.rpc.errors import BadMessageError
from cloud.services.conductor.client import REPORTED

MAX_LONG_TEXT_LENGTH = 1 << 17
"""Characters of a fault's or a step's details, of which the table keeps the beginning."""
CHANGED_BY_HOST = frozenset(
    {"vm_state", "task_state", "power_state", "progress", "launched_at", "image_id", "system_metadata"}
)
"""What a host changes of an instance: where it is and whose it is, a host does not say."""
STATES_SET_BY_HOST: Mapping[str, frozenset[str | None]] = MappingProxyType(
    {
        "vm_state": frozenset({VmState.ACTIVE, VmState.STOPPED, VmState.ERROR}),
        "task_state": frozenset({None, TaskState.POWERING_OFF, TaskState.POWERING_ON, TaskState.IMAGE_UPLOADING}),
    }
)
"""The other states are for the API and for builds: a host that could set them would have anything deleted or built."""
_MAX_NUMBER = 2**31 - 1
_NUMBERS = ("hypervisor_version", "running_vms", "free_disk_gb")
_UNKNOWN = Resources(0, 0, 0)


def check_texts(**texts: object) -> None:
    """Names, ids and the like."""
    for name, text in texts.items():
        if not (isinstance(text, str) and 1 <= len(text) <= MAX_TEXT_LENGTH and text.isprintable()):
            raise BadMessageError(f"cannot read {name}: it is not 1 to {MAX_TEXT_LENGTH} printable characters")


def check_long_texts(**texts: object) -> None:
    """Of any characters."""
    for name, text in texts.items():
        if not (isinstance(text, str) and len(text) <= MAX_LONG_TEXT_LENGTH):
            raise BadMessageError(f"cannot read {name}: it is not a text of {MAX_LONG_TEXT_LENGTH} characters or less")


def read_expected(values: Mapping[str, Any]) -> Expected:
    """What Expected.as_dict gave."""
    try:
        expected = Expected.from_dict(values)
    except (TypeError, ValueError) as exc:
        raise BadMessageError(f"cannot read what is expected: {exc}") from exc
    if expected.host is not None:
        check_texts(host=expected.host)
    return expected


def read_changes(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Fields of an instance that a host changes, and no states but those that it sets."""
    if not isinstance(values, dict) or not values.keys() <= CHANGED_BY_HOST:
        raise BadMessageError(f"cannot read changes: a host changes {', '.join(sorted(CHANGED_BY_HOST))} and no more")
    changes = dict(values)
    for name, allowed in STATES_SET_BY_HOST.items():
        if name in changes and not (isinstance(changes[name], str | None) and changes[name] in allowed):
            raise BadMessageError(
                f"cannot read {name}: a host sets {', '.join(sorted(map(str, allowed)))} and no other"
            )
    if changes.get("image_id") is not None:
        check_texts(image_id=changes["image_id"])
    if "progress" in changes and not (type(changes["progress"]) is int and 0 <= changes["progress"] <= 100):
        raise BadMessageError("cannot read progress: it is not a number from 0 to 100")
    if changes.get("launched_at") is not None:
        changes["launched_at"] = _time(changes["launched_at"])
    metadata = changes.get("system_metadata", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise BadMessageError("cannot read system_metadata: it is not a mapping of texts")
    return changes


def read_node(values: Mapping[str, Any]) -> ComputeNode:
    """What a compute host says of itself."""
    if not isinstance(values, dict) or {"storage_id", *values} != set(REPORTED):
        raise BadMessageError("cannot read compute node: its fields are not those of a report")
    total = values["total"]
    try:
        resources = Resources.from_dict(total)
    except TypeError as exc:
        raise BadMessageError(f"cannot read compute node: bad total: {exc}") from exc
    for name, number in (*resources.as_dict().items(), *((name, values[name]) for name in _NUMBERS)):
        if not (type(number) is int and 0 <= number <= _MAX_NUMBER):
            raise BadMessageError(f"cannot read compute node: {name} is not a number from 0 to {_MAX_NUMBER}")
    check_texts(**{name: values[name] for name in ("host", "node", "hypervisor_type", "host_ip")})
    if values.get("storage_id") is not None:
        check_texts(storage_id=values["storage_id"])
    if not isinstance(values["cpu_info"], dict):
        raise BadMessageError("cannot read compute node: cpu_info is not a mapping")
    known = {name: value for name, value in values.items() if name != "total"}
    return ComputeNode(**known, total=resources, used=_UNKNOWN, updated_at=datetime.now(UTC))


def _time(text: Any) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except (TypeError, ValueError) as exc:
        raise BadMessageError(f"cannot read time: {exc}") from exc
    if time.tzinfo is None:
        raise BadMessageError(f"cannot read time {text}: it has no zone")
    return time
