"""From a condition and a time range to all of its rows as text, page by page: memory holds one page, however many."""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cloud.logs.collector.storage.removals import Removal
from cloud.logs.query.export_end import Format
from cloud.logs.query.rows import COLUMN_NAMES, cells_of
from cloud.logs.query.search import Cursor, Search, SearchPage
from cloud.logs.query.tabular import as_csv
from cloud.logs.query.time_range import TimeRange
from cloud.logs.query.where import Where

PAGE_ROWS = 2000
PAGE_BYTES = 4 << 20
PAGE_DEADLINE_S = 30.0


class ExportCutError(Exception):
    """Something ended the export before its last row."""


class Export:
    """The rows that were there when it began, in order of arrival.

    A spreadsheet sees text in CSV cells and no formula: those that look like one begin with a quotation mark.
    """

    def __init__(self, search: Search, where: Where, time: TimeRange, form: Format, max_rows: int) -> None:
        self._search = search
        self._where = where
        self._time = time
        self._form: Format = form
        self._max_rows = max_rows
        self._cursor: Cursor | None = None
        self._is_over = False
        self._removed = search.removals.count
        self.rows = 0
        """So many have been given."""

    @property
    def head(self) -> str:
        """What stands before the rows."""
        return _HEADS[self._form]

    def piece(self, cancelled: threading.Event) -> str | None:
        """The next rows, be it none for once, and None when there are no more.

        `ExportCutError` where there are more than `max_rows`, when one page takes too long, or when rows have gone
        that were there when it began.
        """
        if self._is_over:
            return None
        if self.rows >= self._max_rows:
            self._is_over = True
            beyond = self._page(1, cancelled)
            if beyond.rows:
                raise ExportCutError(f"there are more than {self._max_rows} rows")
            if beyond.is_partial:
                raise ExportCutError(f"cannot tell within {PAGE_DEADLINE_S:g} s if there are more")
            return None
        page = self._page(min(PAGE_ROWS, self._max_rows - self.rows), cancelled)
        if page.is_partial and (cancelled.is_set() or page.next == self._cursor):
            raise ExportCutError(f"cannot read on within {PAGE_DEADLINE_S:g} s")
        self._cursor = page.next
        self._is_over = page.next is None
        self.rows += len(page.rows)
        return _RENDERERS[self._form](page.rows)

    def _page(self, rows: int, cancelled: threading.Event) -> SearchPage:
        page = self._search.onward(
            self._where,
            self._time,
            rows,
            after=self._cursor,
            deadline_s=PAGE_DEADLINE_S,
            cancelled=cancelled,
            max_bytes=PAGE_BYTES,
        )
        for removal in self._search.removals.since(self._removed):
            if self._is_unread(removal):
                what = "a damaged file was set aside" if removal.is_damage else "lines were deleted"
                raise ExportCutError(f"{what} while they were exported")
        return page

    def _is_unread(self, removal: Removal) -> bool:
        """Whether any of it can be behind the page before."""
        if self._cursor is not None:
            return (removal.last, removal.last_row_id) > self._cursor.key
        return self._time.since is None or self._time.clock == "emitted" or removal.last >= self._time.since


def _ndjson(rows: Sequence[Mapping[str, Any]]) -> str:
    return "".join(f"{json.dumps(row, separators=(',', ':'))}\n" for row in rows)


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    return as_csv(COLUMN_NAMES, [cells_of(row) for row in rows], with_head=False)


_HEADS: Mapping[Format, str] = {"ndjson": "", "csv": as_csv(COLUMN_NAMES, ())}
_RENDERERS: Mapping[Format, Callable[[Sequence[Mapping[str, Any]]], str]] = {"ndjson": _ndjson, "csv": _csv}
