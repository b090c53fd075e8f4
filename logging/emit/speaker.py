"""For which service a thread speaks, in a process that runs several: its lines bear that one's host and name."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Speaker:
    """A service on a host, as the header of its lines has it."""

    host: str
    service: str
    facility: str


_current: ContextVar[Speaker | None] = ContextVar("speaker", default=None)


def current_speaker() -> Speaker | None:
    """Whom the running thread speaks for; None where the process is but one service, as almost all are."""
    return _current.get()


@contextmanager
def speaking_as(speaker: Speaker) -> Iterator[None]:
    """Lines logged inside, and by threads that are made inside, are the speaker's."""
    token = _current.set(speaker)
    try:
        yield
    finally:
        _current.reset(token)


def in_same_voice(call: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """`call` for a thread that is made now: unlike a task, it would not speak for whom its maker speaks for."""
    speaker = _current.get()

    def begin(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        _current.set(speaker)
        return call(*args, **kwargs)

    return begin
