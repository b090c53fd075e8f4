"""How much of a list is asked for: `limit` and `marker` in, and the link to the rest out."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from fastapi import Request

from cloud.errors import BadRequestError
from cloud.services.api.call import Call

_MAX_MARKER_LENGTH = 255


@dataclass(frozen=True, slots=True)
class Page:
    """`limit` things at most, those behind `marker`."""

    limit: int
    marker: str | None

    @classmethod
    def of(cls, request: Request, max_limit: int) -> "Page":
        """As the address says it; `max_limit` where it says nothing, 0 or more. BadRequestError for other values."""
        query = request.query_params
        limit = _limit(query["limit"], max_limit) if "limit" in query else max_limit
        marker = query.get("marker") or None
        if marker is not None and len(marker) > _MAX_MARKER_LENGTH:
            raise BadRequestError("cannot use marker: it is too long to be one")
        return cls(limit, marker)

    def next_links(self, request: Request, call: Call, path: str, ids: Sequence[str]) -> list[dict[str, str]]:
        """The link to what follows `ids`, which are this page; empty where nothing can follow."""
        if not ids or len(ids) < self.limit:
            return []
        others = [(key, value) for key, value in request.query_params.multi_items() if key != "marker"]
        return [{"href": f"{call.url(path)}?{urlencode([*others, ('marker', ids[-1])])}", "rel": "next"}]


def _limit(text: str, max_limit: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BadRequestError("cannot use limit: it is not a whole number of 0 or more")
    return min(int(text), max_limit) or max_limit
