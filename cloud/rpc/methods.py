"""Which methods of an object the bus may call: those that say so, and no other."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from cloud.rpc.errors import BadMessageError, NoSuchMethodError

_MARK = "_is_rpc_method"
_Method = TypeVar("_Method", bound=Callable[..., Any])

Methods = Mapping[str, Callable[..., Any]]
"""By name."""


def rpc_method(method: _Method) -> _Method:
    """Let the bus call `method`; what it takes and returns must be JSON."""
    setattr(method, _MARK, True)
    return method


def methods_of(*endpoints: object) -> Methods:
    """The marked methods of `endpoints`; ValueError when two have the same name."""
    found: dict[str, Callable[..., Any]] = {}
    for endpoint in endpoints:
        for name in dir(type(endpoint)):
            if getattr(getattr(type(endpoint), name), _MARK, False):
                if name in found:
                    raise ValueError(f"two endpoints offer {name}")
                found[name] = getattr(endpoint, name)
    return found


def invoke(methods: Methods, name: str, arguments: Mapping[str, Any]) -> Any:
    """What the method returns. NoSuchMethodError, or BadMessageError when `arguments` do not fit it."""
    try:
        method = methods[name]
    except KeyError:
        raise NoSuchMethodError(f"cannot call {name}: there is no such method") from None
    try:
        inspect.signature(method).bind(**arguments)
    except TypeError as exc:
        raise BadMessageError(f"cannot call {name}: {exc}") from exc
    return method(**arguments)
