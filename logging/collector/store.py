"""The store's narrow interface: append a batch and commit it, run a read-only query."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa


class StoreError(Exception):
    """The store refused; `is_lasting` says that trying the same again cannot help."""

    def __init__(self, message: str, *, is_lasting: bool = False) -> None:
        super().__init__(message)
        self.is_lasting = is_lasting


class StoreBrokenError(StoreError):
    """The engine has given up: the process must end, and what was committed is there at the next start."""


@dataclass(frozen=True, slots=True)
class DayTable:
    """The rows that arrived on one day (UTC)."""

    day: str
    """`2026-01-31`."""
    sql_name: str
    """What a query's FROM names."""
    last_row_id: int
    """The highest row_id in it; 0 while empty."""


class Store(Protocol):
    """Rows in order of arrival, durable before they are counted. One thread appends; any number may query."""

    @property
    def committed_row_id(self) -> int:
        """The highest row_id that queries see; 0 while empty. It only grows."""

    def append(self, rows: pa.Table) -> int:
        """Commit `rows` (the columns of RECEIVED, in order of arrival, all of one day) and give their number.

        All of them are durable and queryable then; with `StoreError` none. Unless it is lasting, the next call must
        bring the same rows again.
        """

    def days(self) -> Sequence[DayTable]:
        """The tables there are, newest day first."""

    def query(self, sql: str, parameters: Mapping[str, object]) -> pa.Table:
        """The rows of one SELECT; `StoreError` when the engine refuses it."""

    def on_commit(self, tell: Callable[[], None]) -> Callable[[], None]:
        """Call `tell` after each commit, from the appending thread, until the returned function is called."""

    def close(self) -> None: ...
