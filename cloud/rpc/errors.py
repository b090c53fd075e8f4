"""What can go wrong on the bus, and how an error of one process becomes the same error in another."""

import builtins
from collections.abc import Iterator

from cloud.errors import CloudError


class RpcError(CloudError):
    """The root of what the bus itself may answer."""


class BusUnavailableError(RpcError):
    """The broker could not be reached in time, or refused the message. A cast may have been sent all the same."""

    status = 503


class RpcTimeoutError(RpcError):
    """No reply in time. What was asked for may have been done, may be done later, or never."""

    status = 504


class NoSuchTargetError(RpcError):
    """Nobody has ever listened there; nothing was sent."""

    status = 503


class NoSuchMethodError(RpcError):
    """The service does not offer that method; nothing was done."""


class BadMessageError(RpcError):
    """A message that is not one of ours, is too large, or holds what JSON cannot."""


class RemoteError(RpcError):
    """The method failed there with an error that has no class of its own here; its log has the traceback."""


_SHARED_BUILTINS = ("ValueError", "TypeError", "LookupError", "KeyError", "PermissionError", "TimeoutError")


def describe_error(exc: BaseException) -> dict[str, str]:
    """`exc` as it travels: the name of its class and its message."""
    kind = type(exc).__name__
    if _classes().get(kind) is type(exc):
        # str() of a KeyError would quote its message once more at each hop.
        return {"type": kind, "message": str(exc.args[0]) if len(exc.args) == 1 else str(exc)}
    return {"type": RemoteError.__name__, "message": f"{kind}: {exc}"}


def rebuild_error(kind: str, message: str) -> Exception:
    """The error that was described; a RemoteError when this process knows no such class."""
    known = _classes().get(kind)
    return known(message) if known is not None else RemoteError(f"{kind}: {message}")


def is_expected(exc: BaseException) -> bool:
    """Whether a method meant to fail so; anything else is a defect, whose traceback belongs into the log."""
    return isinstance(exc, CloudError)


def _classes() -> dict[str, type[Exception]]:
    """By name. Only what is listed or derives from CloudError: a message never chooses what is imported or called."""
    shared: dict[str, type[Exception]] = {name: getattr(builtins, name) for name in _SHARED_BUILTINS}
    return shared | {kind.__name__: kind for kind in _descendants(CloudError)}


def _descendants(kind: type[CloudError]) -> Iterator[type[CloudError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _descendants(child)
