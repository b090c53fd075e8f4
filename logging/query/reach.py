"""Where in a table rows can be that a question wants: from what the table's index says, else from its times."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cloud.logs.collector.index.needs import Need
from cloud.logs.collector.index.text_index import Span
from cloud.logs.collector.store import Table

FIRST_ROWS, FIRST_NARROWED_ROWS = 10_000, 50_000
"""About so many rows are read first where somebody waits for the newest of them: a tenth of a second even for a slow
condition. Where an index has found them, most have what is looked for, and are no more than all there are."""
ALL_FIRST_ROWS = 1_000_000
"""And where all are to be read: half a second for a word anywhere, and less than a hundredth of that to begin a window.
"""
MAX_SPANS = 32
"""That one query names: each costs all rows that are looked at. Those closest to each other are taken for one."""


@dataclass(frozen=True, slots=True)
class Reach:
    """The rows of `spans`, in which all are that can be wanted; never without one."""

    table: Table
    spans: Sequence[Span]
    is_narrowed: bool = False
    """Whether the table has other rows than these."""

    @property
    def first(self) -> datetime:
        """When the earliest of the rows arrived."""
        return min(span.first for span in self.spans)

    @property
    def last(self) -> datetime:
        return max(span.last for span in self.spans)

    @property
    def rows(self) -> int:
        """About how many there are."""
        return sum(span.last_row_id - span.first_row_id + 1 for span in self.spans)

    @property
    def extent(self) -> timedelta:
        """The time from the earliest to the latest of them."""
        return self.last - self.first

    def span_of(self, rows: int) -> timedelta:
        """The time in which about so many of its rows arrived, or more where an index has found them."""
        return self.extent * (max(rows, FIRST_NARROWED_ROWS) if self.is_narrowed else rows) / max(1, self.rows)

    def within(self, since: datetime, until: datetime) -> "Reach | None":
        """What of it arrived from `since` on and before `until`, and what came with that; None where nothing did."""
        spans = [span for span in self.spans if span.first < until and span.last >= since]
        return replace(self, spans=spans) if spans else None

    def narrowed(self) -> Table:
        """The table with its rows alone."""
        if not self.is_narrowed:
            return self.table
        return replace(self.table, ranges=[(span.first_row_id, span.last_row_id) for span in _few(self.spans)])


def are_few(reaches: Sequence[Reach]) -> bool:
    """Whether an index has found so few rows that one query may take them all."""
    is_narrowed = all(reach.is_narrowed for reach in reaches)
    rows, spans = sum(reach.rows for reach in reaches), sum(len(reach.spans) for reach in reaches)
    return is_narrowed and rows <= FIRST_NARROWED_ROWS and spans <= MAX_SPANS


def reach_of(table: Table, need: Need | None, extent_of: Callable[[Table], Span | None]) -> Reach | None:
    """All rows of `table` that may meet `need`; None where it has none. `extent_of` finds all of it in the table."""
    if table.index is not None and need is not None and (spans := table.index.spans(need)) is not None:
        return Reach(table, spans, is_narrowed=True) if spans else None
    whole = extent_of(table) if table.index is None else table.index.whole
    return Reach(table, [whole]) if whole else None


def _few(spans: Sequence[Span]) -> list[Span]:
    """Spans by row_id that take in all rows of `spans`, MAX_SPANS at most."""
    spans = sorted(spans, key=lambda span: span.first_row_id)
    gaps = sorted(late.first_row_id - early.last_row_id for early, late in itertools.pairwise(spans))
    least = gaps[-MAX_SPANS] if len(gaps) >= MAX_SPANS else 1  # of gaps that are left: one less than spans
    few = spans[:1]
    for span in spans[1:]:
        before = few[-1]
        if span.first_row_id - before.last_row_id > least:
            few.append(span)
        else:
            last = max(before.last_row_id, span.last_row_id)
            few[-1] = Span(before.first_row_id, last, min(before.first, span.first), max(before.last, span.last))
    return few
