"""From a walk through windows to rows in the order of (observed_timestamp, row_id), until a page is full."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from cloud.logs.collector.store import Store, Table
from cloud.logs.query.limit import Limit
from cloud.logs.query.memory import with_fewer_rows
from cloud.logs.query.rows import as_json, select, size_of, unfolded
from cloud.logs.query.time_range import sql_time
from cloud.logs.query.walk import Walk, Window
from cloud.logs.query.where import Where

FIRST_ROWS = 100  # what is read before anything is known about the length of rows
GROWTH = 8
PORTION_BYTES = 8 << 20
"""About the most that is read at once, where that is known: the engine holds it several times."""
MARGIN = 2.0
"""Standard deviations of the number of rows in a window: so many more it is aimed at, and one in forty has too few."""

Key = tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class Found:
    """A row that goes into a page."""

    key: Key
    size_bytes: int
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Room:
    """What goes into a page; the row that fills it up is its last."""

    rows: int
    size_bytes: int

    def less(self, found: Sequence[Found]) -> "Room":
        return Room(self.rows - len(found), self.size_bytes - sum(row.size_bytes for row in found))

    def is_filled_by(self, found: Sequence[Found]) -> bool:
        left = self.less(found)
        return left.rows <= 0 or left.size_bytes <= 0

    def portion(self, found: Sequence[Found]) -> int:
        """How many rows to read at once, where those that were found before are as long as those to come."""
        if not found:
            return min(FIRST_ROWS, self.rows)
        left = self.less(found)
        per_row = max(1, (self.size_bytes - left.size_bytes) // len(found))
        return max(1, min(left.rows, GROWTH * len(found), min(left.size_bytes, PORTION_BYTES) // per_row))

    def fitting(self, rows: list[Found]) -> list[Found]:
        size = 0
        for number, row in enumerate(rows[: self.rows], 1):
            size += row.size_bytes
            if size >= self.size_bytes:
                return rows[:number]
        return rows[: self.rows]


@dataclass(frozen=True, slots=True)
class Paging:
    """Reads one page of a store: the newest rows first, or with `is_forward` the oldest."""

    store: Store
    where: Where
    limit: Limit
    is_forward: bool = False

    def fill(self, room: Room, walk: Walk) -> tuple[list[Found], bool]:
        """The rows of the page, and whether they are all that fits; otherwise the limit has ended it."""
        found: list[Found] = []

        def read(window: Window) -> bool:
            of_window = self._of_window(window, room.less(found), room.portion(found))
            found.extend(of_window)
            if of_window:
                wanted = room.rows - len(found)
                walk.aim((wanted + MARGIN * math.sqrt(max(0, wanted))) / len(of_window))
            return not room.is_filled_by(found)

        return found, walk.each(read)

    def beyond(self, key: Key) -> Where:
        """The rows that come behind the one with `key`."""
        sign = ">" if self.is_forward else "<"
        moment = sql_time(key[0])
        return Where(
            f"observed_timestamp {sign} {moment} OR (observed_timestamp = {moment} AND row_id {sign} {key[1]})"
        )

    def _of_window(self, window: Window, room: Room, portion: int) -> list[Found]:
        found: list[Found] = []
        is_narrowed = all(table.ranges is not None for table in window.tables)
        for tables in [window.tables] if is_narrowed else [[table] for table in window.tables]:
            bounded = window.where
            if room.is_filled_by(found):  # only what comes before the last of these can still take its place
                sign = "<=" if self.is_forward else ">="
                bounded = bounded.and_(Where(f"observed_timestamp {sign} {sql_time(found[-1].key[0])}"))
            found += self._of_tables(tables, bounded.and_(self.where), room, portion)
            found = room.fitting(sorted(found, key=lambda row: row.key, reverse=not self.is_forward))
        return found

    def _of_tables(self, tables: Sequence[Table], where: Where, room: Room, portion: int) -> list[Found]:
        """Rows of tables, in portions by their size, until they fill the page.

        More than one are asked only where few of their rows are meant: the engine reads all that the condition leaves.
        """
        direction = "ASC" if self.is_forward else "DESC"
        order = f"ORDER BY observed_timestamp {direction}, row_id {direction}"
        found: list[Found] = []
        while not room.is_filled_by(found):
            portion = min(portion, room.rows - len(found))
            bounded = self.beyond(found[-1].key).and_(where) if found else where
            answer, portion = with_fewer_rows(partial(self._first, tables, bounded, order), portion)
            found += [Found((row["observed_timestamp"], row["row_id"]), size_of(row), as_json(row)) for row in answer]
            if len(answer) < portion:
                break
            portion = room.portion(found)
        return found

    def _first(self, tables: Sequence[Table], where: Where, order: str, rows: int) -> list[dict[str, Any]]:
        sql = select(tables, f"WHERE {where.sql} {order} LIMIT {rows}")  # what users typed is in parameters
        return list(map(unfolded, self.store.query(sql, where.parameters, self.limit.guard).to_pylist()))
