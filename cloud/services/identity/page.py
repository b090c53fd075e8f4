"""A part of a long list: what stands behind a marker, and no more than a limit."""

from collections.abc import Sequence
from typing import Annotated, Protocol, TypeVar

from fastapi import Query

from cloud.errors import BadRequestError


class HasId(Protocol):
    @property
    def id(self) -> str: ...


Item = TypeVar("Item", bound=HasId)
Marker = Annotated[str | None, Query(max_length=64)]
Limit = Annotated[int | None, Query(ge=0)]


def page(items: Sequence[Item], marker: str | None, limit: int | None) -> Sequence[Item]:
    """At most `limit` of `items`, those behind the one with id `marker`; BadRequestError when there is none."""
    start = 0
    if marker:
        start = next((number for number, item in enumerate(items, start=1) if item.id == marker), 0)
        if not start:
            raise BadRequestError("cannot list what stands behind the marker: there is nothing of that id")
    return items[start : None if limit is None else start + limit]
