"""From one line to those around it, in order of arrival."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from cloud.logs.query.limit import Limit
from cloud.logs.query.search import Cursor, Search, SearchError, SearchPage
from cloud.logs.query.time_range import TimeRange
from cloud.logs.query.where import Where

EVERYTHING = TimeRange()


class Around(StrEnum):
    """Which lines are around another one."""

    HOST = "host"
    """Those of its host."""
    SERVICE = "service"
    """Those of its service on its host."""
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Context:
    """Lines in order of arrival, with the one that was asked for between them."""

    before: list[dict[str, Any]]
    row: dict[str, Any]
    after: list[dict[str, Any]]
    is_partial: bool
    """Whether the time was up before all of them were found."""


def context(
    search: Search, own: Where, row_id: int, around: Around, before: int, after: int, limit: Limit
) -> Context | None:
    """So many lines before and after the one with `row_id`, all of them within `own`; None where that one is not.

    `SearchError` when the time was up before that one was found.
    """
    found = search.page(
        Where(f"row_id = {row_id}").and_(own), EVERYTHING, 1, deadline_s=limit.left_s, cancelled=limit.cancelled
    )
    if not found.rows:
        if found.is_partial:
            raise SearchError(f"cannot find row {row_id} in time: ask with a longer deadline")
        return None
    row = found.rows[0]
    where = _beside(row, around).and_(own)
    here = Cursor(datetime.fromisoformat(row["observed_timestamp"]), row_id, found.up_to_row_id)
    earlier = later = _NOTHING
    if before:
        earlier = search.page(
            where, EVERYTHING, before, before=here, deadline_s=limit.left_s, cancelled=limit.cancelled
        )
    if after:
        later = search.onward(where, EVERYTHING, after, after=here, deadline_s=limit.left_s, cancelled=limit.cancelled)
    return Context(earlier.rows[::-1], row, later.rows, is_partial=earlier.is_partial or later.is_partial)


_NOTHING = SearchPage([], None, is_partial=False, reached=None, up_to_row_id=0)


def _beside(row: dict[str, Any], around: Around) -> Where:
    columns = {Around.HOST: ("hostname",), Around.SERVICE: ("hostname", "app_name"), Around.ALL: ()}[around]
    where = Where()
    for column in columns:
        same = Where(f"{column} IS NOT DISTINCT FROM $same_{column}", {f"same_{column}": row.get(column)})
        where = where.and_(same)
    return where
