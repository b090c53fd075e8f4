"""A JSON patch (RFC 6902, and the draft that v2.0 took) -> the change of an image that it means."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from cloud.domain.image import Image
from cloud.errors import BadRequestError, ConflictError, ForbiddenError
from cloud.services.image.change import Change
from cloud.services.image.fields import SETTABLE, check_property_name, read_fields

MAX_OPERATIONS = 256


@dataclass(frozen=True, slots=True)
class Operation:
    """One step of a patch."""

    op: str
    """`add`, `replace` or `remove`."""
    name: str
    """Of an attribute or a property."""
    value: Any = None


def read_v21(steps: object) -> list[Operation]:
    """The steps as `{"op": "replace", "path": "/name", "value": "x"}`; BadRequestError."""
    return [_operation(step.get("op"), step.get("path"), step) for step in _steps(steps)]


def read_v20(steps: object) -> list[Operation]:
    """The steps as `{"replace": "/name", "value": "x"}`; BadRequestError."""
    read = []
    for step in _steps(steps):
        ops = [op for op in ("add", "replace", "remove") if op in step]
        if len(ops) != 1:
            raise BadRequestError("a step of a patch has one of add, replace and remove")
        read.append(_operation(ops[0], step[ops[0]], step))
    return read


FORMATS: Mapping[str, Callable[[object], list[Operation]]] = MappingProxyType(
    {
        "application/openstack-images-v2.1-json-patch": read_v21,
        "application/openstack-images-v2.0-json-patch": read_v20,
    }
)
"""By media type."""


def change_of(operations: Sequence[Operation], image: Image) -> Change:
    """What the steps, one after the other, change in `image`.

    ConflictError for a property to replace or remove that is not there, ForbiddenError for an attribute that stays.
    """
    attributes: dict[str, Any] = {}
    properties: dict[str, Any] = dict(image.properties)
    for operation in operations:
        if operation.name in SETTABLE:
            if operation.op == "remove":
                raise ForbiddenError(f"cannot remove {operation.name}: every image has it")
            if operation.name == "id":
                raise ForbiddenError("cannot set id: it is read-only")
            attributes[operation.name] = operation.value
            continue
        check_property_name(operation.name)
        if operation.op != "add" and operation.name not in properties:
            raise ConflictError(f"cannot {operation.op} property {operation.name}: there is none")
        if operation.op == "remove":
            del properties[operation.name]
        else:
            properties[operation.name] = operation.value
    change, _ = read_fields({**attributes, **{name: properties[name] for name in properties if name not in SETTABLE}})
    return Change(change.attributes, change.properties, purges=True)


def _steps(steps: object) -> list[dict[str, Any]]:
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise BadRequestError("a patch is a list of steps")
    if len(steps) > MAX_OPERATIONS:
        raise BadRequestError(f"a patch has at most {MAX_OPERATIONS} steps")
    return steps


def _operation(op: object, path: object, step: Mapping[str, Any]) -> Operation:
    if op not in ("add", "replace", "remove"):
        raise BadRequestError("a step of a patch is add, replace or remove")
    if not isinstance(path, str) or not path.startswith("/"):
        raise BadRequestError("a step of a patch has a path, which begins with a slash")
    name = path[1:]
    if "/" in name or "~" in name.replace("~0", "").replace("~1", ""):
        raise BadRequestError("a step of a patch names an attribute or a property, and nothing within it")
    if op != "remove" and "value" not in step:
        raise BadRequestError(f"a step of a patch that is to {op} has a value")
    return Operation(str(op), name.replace("~1", "/").replace("~0", "~"), step.get("value"))
