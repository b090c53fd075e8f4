"""What the engine has no memory for is asked for again at once, in less."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import duckdb

from cloud.logs.collector.store import StoreError
from cloud.logs.query.walk import Walk, Window

SHRINK = 4
MAX_HALVINGS = 16
"""So often a window is cut in two."""

Answer = TypeVar("Answer")


class TooManyValuesError(Exception):
    """The engine has no memory for so many different values."""


def is_out_of_memory(exc: StoreError) -> bool:
    return isinstance(exc.__cause__, duckdb.OutOfMemoryException)


def with_fewer_rows(ask: Callable[[int], Answer], rows: int) -> tuple[Answer, int]:
    """What `ask` gives for `rows`, or for fewer where there is no memory for so many, and how many it was asked for.

    `StoreError` where there is none for a single one.
    """
    while True:
        try:
            return ask(rows), rows
        except StoreError as exc:
            if rows <= 1 or not is_out_of_memory(exc):
                raise
        rows = max(1, rows // SHRINK)


def by_parts(walk: Walk, window: Window, ask: Callable[[Window], Answer]) -> Iterator[Answer]:
    """What `ask` gives for a window, or where there is no memory for that, for each part of it; `walk` is narrowed.

    `TooManyValuesError` when there is none for even a small part.
    """
    parts = [(window, 0)]
    while parts:
        part, halvings = parts.pop()
        try:
            answer = ask(part)
        except StoreError as exc:
            if not is_out_of_memory(exc):
                raise
            if halvings == MAX_HALVINGS:
                raise TooManyValuesError("cannot count: there are too many different values") from exc
            parts += [(half, halvings + 1) for half in part.halves()]
            walk.narrow(part)
        else:
            yield answer
