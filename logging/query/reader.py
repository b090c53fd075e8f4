"""From a filter to rows: the newest ones, those after a row, and counts. The one place where a question becomes SQL."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import pyarrow as pa

from cloud.logs.collector.row import COLUMNS, FOLDED, HEADER, column_of_header
from cloud.logs.collector.store import Guard, Store, Table, TableDamagedError
from cloud.logs.emit.levels import SEVERITIES
from cloud.logs.facilities import facility_name
from cloud.logs.query.filter import Filter, condition_of
from cloud.logs.query.memory import with_fewer_rows
from cloud.logs.query.rows import PAGE_BYTES, SELECT, as_json, size_of

MAX_ROWS = 10_000
MAX_GROUPS = 10_000
FIRST_ROWS = 64  # what is read before anything is known about the length of rows
PORTION_BYTES = 8 << 20
"""About the most that is read at once, where that is known."""
ATTEMPTS = 3
GROUPS = {"host": "hostname", "service": "app_name", "severity": "severity", "facility": "facility", "level": "level"}
"""What rows can be counted by: the query's names and the columns behind them."""


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in order of arrival, and the row_id to go on behind: what is wanted up to there has been read."""

    rows: list[dict[str, Any]]
    position: int


Found = TypeVar("Found")


class Reader:
    """Reads a store by table, newest first, so that the newest rows cost what they are and not what is stored.

    An answer is bounded in bytes too: of very long rows there are fewer than were asked for.
    """

    def __init__(self, store: Store, guard: Guard | None = None) -> None:
        self._store = store
        self._guard = guard

    def within(self, guard: Guard) -> "Reader":
        """The same, whose queries `guard` may end with `QueryInterruptedError`."""
        return Reader(self._store, guard)

    @property
    def committed_row_id(self) -> int:
        return self._store.committed_row_id

    def newest(self, wanted: Filter, limit: int, up_to_row_id: int) -> list[dict[str, Any]]:
        """The last `limit` rows that arrived up to `up_to_row_id`, in order of arrival."""

        def read(tables: Sequence[Table]) -> list[dict[str, Any]]:
            found: list[_Row] = []
            for table in tables:
                first = found[0].row_id if len(found) >= limit > 0 else 0
                if table.last_row_id > first:  # tables overlap where the clock was set back over midnight
                    bounds = _Bounds(max(first, table.first_row_id - 1), up_to_row_id)
                    found = _newest_of(found + self._rows(table, wanted, bounds, limit, is_backward=True), limit)
            return [row.content for row in found]

        return self._read(read)

    def after(self, wanted: Filter, limit: int, row_id: int, up_to_row_id: int) -> Page:
        """The first rows, `limit` at most, that arrived after `row_id` and up to `up_to_row_id`."""

        def read(tables: Sequence[Table]) -> Page:
            found: list[_Row] = []
            last = up_to_row_id
            for table in sorted(tables, key=lambda table: table.first_row_id):
                if table.last_row_id > row_id and table.first_row_id <= last:
                    rows = self._rows(table, wanted, _Bounds(row_id, last), limit, is_backward=False)
                    found, is_cut = _oldest_of(found + rows, limit)
                    if is_cut:
                        last = found[-1].row_id
            return Page([row.content for row in found], last)

        return self._read(read)

    def arrived(self, row_id: int, up_to_row_id: int) -> pa.Table:
        """All rows behind `row_id` and up to `up_to_row_id`, in order of arrival, with what conditions may go by."""
        bounds = f"row_id > {row_id} AND row_id <= {up_to_row_id}"

        def read(tables: Sequence[Table]) -> pa.Table:
            found = [
                self._store.query(
                    f"SELECT {SELECT}, {HEADER.name} FROM {table.sql_name} WHERE {bounds} ORDER BY row_id",  # noqa: S608 - our own names
                    {},
                    self._guard,
                )
                for table in sorted(tables, key=lambda table: table.first_row_id)
                if table.last_row_id > row_id and table.first_row_id <= up_to_row_id
            ]
            if not found:
                return NOTHING
            return found[0] if len(found) == 1 else pa.concat_tables(found).sort_by("row_id")

        return self._read(read)

    def number(self, wanted: Filter, row_id: int, up_to_row_id: int) -> int:
        """How many rows arrived after `row_id` and up to `up_to_row_id`."""
        where, parameters = _where(wanted, f"row_id > {row_id} AND row_id <= {up_to_row_id}")

        def read(tables: Sequence[Table]) -> int:
            total = 0
            for table in tables:
                if table.last_row_id > row_id and table.first_row_id <= up_to_row_id:
                    sql = f"SELECT count(*) AS rows FROM {table.sql_name} {where}"  # noqa: S608 - our own names
                    total += self._store.query(sql, parameters, self._guard).column("rows")[0].as_py()
            return total

        return self._read(read)

    def count(self, wanted: Filter, by: Sequence[str]) -> list[dict[str, Any]]:
        """How many rows each combination of the names in `by` (of GROUPS) has: the MAX_GROUPS most frequent."""
        where, parameters = _where(wanted, "true")
        # First by the header as it is: to take it apart for each row would cost more than all the rest.
        stored = dict.fromkeys(HEADER.name if GROUPS[name] in FOLDED else GROUPS[name] for name in by)
        inner = "".join(f"{column}, " for column in stored)
        outer = "".join(
            f"{column_of_header(GROUPS[name]) if GROUPS[name] in FOLDED else GROUPS[name]} AS {name}, " for name in by
        )
        order = f" GROUP BY ALL ORDER BY count DESC, {', '.join(by)} LIMIT {MAX_GROUPS}" if by else ""

        def read(tables: Sequence[Table]) -> list[dict[str, Any]]:
            if not tables:
                return []
            union = " UNION ALL ".join(
                f"SELECT {inner}count(*) AS rows FROM {table.sql_name} {where} GROUP BY ALL"  # noqa: S608 - our names
                for table in tables
            )
            summed = f"SELECT {outer}coalesce(sum(rows), 0)::BIGINT AS count FROM ({union})"  # noqa: S608
            found: list[dict[str, Any]] = self._store.query(summed + order, parameters, self._guard).to_pylist()
            return found

        rows = self._read(read)
        for row in rows:
            if "severity" in row:
                row["severity"] = SEVERITIES[row["severity"]]
            if "facility" in row:
                row["facility"] = facility_name(row["facility"])
        return rows

    def _read(self, read: Callable[[Sequence[Table]], Found]) -> Found:
        """What `read` finds; asked again without a file that turned out damaged, which the store has put aside."""
        for _ in range(ATTEMPTS - 1):
            try:
                with self._store.tables() as tables:
                    return read(tables)
            except TableDamagedError:
                continue
        with self._store.tables() as tables:
            return read(tables)

    def _rows(self, table: Table, wanted: Filter, bounds: "_Bounds", limit: int, *, is_backward: bool) -> "list[_Row]":
        """Rows of one table from one end of `bounds`, in portions by their size, until they fill an answer."""
        order = " ORDER BY row_id DESC" if is_backward else " ORDER BY row_id"
        found: list[_Row] = []
        size = 0
        portion = FIRST_ROWS
        while len(found) < limit and size < PAGE_BYTES:
            portion = min(portion, limit - len(found))
            # Not as parameters: DuckDB would look at all rows of the table rather than at those within.
            where, parameters = _where(wanted, f"row_id > {bounds.first} AND row_id <= {bounds.last}")
            question = f"SELECT {SELECT} FROM {table.sql_name} {where}{order} LIMIT"  # noqa: S608 - our own names
            answer, portion = with_fewer_rows(partial(self._first, question, parameters), portion)
            rows = [_Row(row["row_id"], size_of(row), as_json(row)) for row in answer.to_pylist()]
            found += rows
            size += sum(row.size_bytes for row in rows)
            if len(rows) < portion:
                break
            end = rows[-1].row_id
            bounds = _Bounds(bounds.first, end - 1) if is_backward else _Bounds(end, bounds.last)
            per_row = max(1, size // len(found))
            portion = max(1, min(8 * portion, min(PAGE_BYTES - size, PORTION_BYTES) // per_row))
        return found

    def _first(self, question: str, parameters: Mapping[str, object], rows: int) -> pa.Table:
        return self._store.query(f"{question} {rows}", parameters, self._guard)


NOTHING = pa.schema([(column.name, column.arrow) for column in (*COLUMNS, HEADER)]).empty_table()
"""What `arrived` gives where nothing has."""


@dataclass(frozen=True, slots=True)
class _Bounds:
    """row_ids behind `first` and up to `last`."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class _Row:
    row_id: int
    size_bytes: int
    content: dict[str, Any]


def _newest_of(rows: list[_Row], limit: int) -> list[_Row]:
    """The last of `rows` that fit into an answer, in order."""
    backward = sorted(rows, key=lambda row: row.row_id, reverse=True)
    return backward[: _fitting(backward, limit)][::-1]


def _oldest_of(rows: list[_Row], limit: int) -> tuple[list[_Row], bool]:
    """The first of `rows` that fit into an answer, in order, and whether there may be more behind them."""
    forward = sorted(rows, key=lambda row: row.row_id)
    fitting = forward[: _fitting(forward, limit)]
    is_full = sum(row.size_bytes for row in fitting) >= PAGE_BYTES
    return fitting, bool(fitting) and (len(fitting) >= limit or len(fitting) < len(rows) or is_full)


def _fitting(rows: Sequence[_Row], limit: int) -> int:
    """How many of `rows` go into an answer: the one that fills it up is the last."""
    size = 0
    for number, row in enumerate(rows[:limit], 1):
        size += row.size_bytes
        if size >= PAGE_BYTES:
            return number
    return min(limit, len(rows))


def _where(wanted: Filter, bound: str) -> tuple[str, dict[str, object]]:
    """The WHERE clause of a filter and its parameters; nothing a user typed is part of the text."""
    narrowed = condition_of(wanted, bound)
    return f"WHERE {narrowed.sql}", dict(narrowed.parameters)
