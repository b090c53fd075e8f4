"""The token of the request that is being answered: nova-api asks the image service as whoever asks nova-api."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_TOKEN: ContextVar[str] = ContextVar("caller_token", default="")


@contextmanager
def token_in_use(token: str) -> Iterator[None]:
    """`caller_token` gives `token` within, in the threads too that answer the request."""
    mark = _TOKEN.set(token)
    try:
        yield
    finally:
        _TOKEN.reset(mark)


def caller_token() -> str:
    """Empty outside of any request."""
    return _TOKEN.get()
