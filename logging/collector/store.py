"""The store's narrow interface: append a batch and commit it, run a read-only query."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cloud.logs.collector.index.text_index import TextIndex
from cloud.logs.collector.lines import Mark
from cloud.logs.collector.row import FOLDED
from cloud.logs.collector.storage.removals import Removals

_FOLDED = re.compile(rf"\b(?:{'|'.join(FOLDED)})\b")

Keep = npt.NDArray[np.bool_]
Guard = Callable[[Callable[[], None]], AbstractContextManager[None]]
"""Takes what interrupts a query; while its context lasts, the query may be interrupted by it from any thread."""


class StoreError(Exception):
    """The store refused; `is_lasting` says that trying the same again cannot help."""

    def __init__(self, message: str, *, is_lasting: bool = False) -> None:
        super().__init__(message)
        self.is_lasting = is_lasting


class StoreBrokenError(StoreError):
    """The engine has given up: the process must end, and what was committed is there at the next start."""


class StoreInUseError(StoreError):
    """Another process has the data directory."""


class TableDamagedError(StoreError):
    """A file could not be read and has been set aside; the tables that are left can be asked the same."""


class QueryInterruptedError(StoreError):
    """Whoever guarded the query has ended it."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows that arrived on one day (UTC); a day has one table or several."""

    day: str
    """`2026-01-31`."""
    sql_name: str
    """What a query's FROM names."""
    first_row_id: int
    last_row_id: int
    """No row in it has a row_id beyond these two."""
    lines: str | None = field(default=None, compare=False)
    """What FROM names for the same rows with `header` in place of FOLDED: a query of it is planned in half the time."""
    index: TextIndex | None = field(default=None, compare=False, repr=False)
    """Says where rows with a text can be; without one they can be anywhere."""

    ranges: Sequence[tuple[int, int]] | None = field(default=None, compare=False)
    """First and last row_ids: of its rows only these are asked for. None: all of them."""

    def has_lines(self, *sql: str) -> bool:
        """Whether `lines` has all columns that `sql` names."""
        return self.lines is not None and not any(map(_FOLDED.search, sql))

    def source(self, *sql: str) -> str:
        """What FROM names in a query of which `sql` is the rest.

        Ranges are queries of their own: of OR the engine knows only after it has looked at all rows.
        """
        name = self.lines if self.lines is not None and self.has_lines(*sql) else self.sql_name
        if self.ranges is None:
            return name
        parts = (f"SELECT * FROM {name} WHERE row_id BETWEEN {first} AND {last}" for first, last in self.ranges)  # noqa: S608 - our own names
        return f"({' UNION ALL '.join(parts)})"


class Store(Protocol):
    """Rows in order of arrival, durable before they are counted. One thread appends; any number may query."""

    @property
    def committed_row_id(self) -> int:
        """The highest row_id that queries see; 0 while empty. It only grows."""

    @property
    def removals(self) -> Removals:
        """What has left it since it was opened, but for rows that only came into another table."""

    def append(self, rows: pa.Table, marks: Sequence[Mark] = (), keep: Keep | None = None) -> int:
        """Commit `rows` and `marks` in one transaction and give the number of rows.

        The rows have the columns of RECEIVED, in order of arrival, all of one day; those for which `keep` is False
        are left out. All of them are durable and queryable then; with `StoreError` none, and none of the marks.
        Unless it is lasting, the next call must bring the same again.
        """

    def marks(self) -> Sequence[Mark]:
        """What is marked in all files, the oldest runs first; ranges of one run and kind that touch are one.

        `StoreError` when they cannot be read now.
        """

    def tables(self) -> AbstractContextManager[Sequence[Table]]:
        """The tables there are, newest first, which all stay readable until the context is left."""

    def query(self, sql: str, parameters: Mapping[str, object], guard: Guard | None = None) -> pa.Table:
        """The rows of one SELECT on tables of an open `tables()`; `StoreError` when the engine refuses it.

        `QueryInterruptedError` where `guard` has it interrupted.
        """

    def on_commit(self, tell: Callable[[], None]) -> Callable[[], None]:
        """Call `tell` after each commit, from the appending thread, until the returned function is called."""

    def close(self) -> None: ...
