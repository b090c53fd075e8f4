"""The request that a line belongs to: set once where the request comes in, on every line until it leaves."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, slots=True)
class RequestContext:
    """Whose work a thread or task is doing; None where nobody has said."""

    request_id: str | None = None
    user: str | None = None
    project: str | None = None
    instance: str | None = None
    host: str | None = None

    def as_fields(self) -> dict[str, str]:
        """What is known, under the names that a line carries."""
        return {name: value for name in _NAMES if (value := getattr(self, name)) is not None}


_NAMES = tuple(field.name for field in fields(RequestContext))
_current: ContextVar[RequestContext] = ContextVar("request_context", default=RequestContext())  # noqa: B039 - frozen


def current_context() -> RequestContext:
    """The context of the running thread or task; an empty one outside of any request."""
    return _current.get()


@contextmanager
def request_context(**changes: str | None) -> Iterator[RequestContext]:
    """Lines logged inside carry `changes` on top of the context outside; None takes a field away.

    Each thread and each asyncio task has its own. `TypeError` for a name that RequestContext does not have.
    """
    context = replace(_current.get(), **changes)
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)
