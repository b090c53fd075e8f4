"""From a condition and a time range to numbers of rows by their values: what stands behind a query's pipe."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cloud.logs.collector.store import Store
from cloud.logs.query.grouping import TIME, Group, Intervals, NamesOf, Plan, group_of, interval_group
from cloud.logs.query.language.query import CountBy, Stage, Top
from cloud.logs.query.limit import Limit
from cloud.logs.query.memory import by_parts
from cloud.logs.query.tally import ROWS, Tally
from cloud.logs.query.time_range import TimeRange
from cloud.logs.query.walk import Walk, Window
from cloud.logs.query.where import Where

MAX_GROUPS = 10_000
"""Beyond these, and beyond PAGE_BYTES of values, the smallest groups of a count are added up as one."""
COUNT = "count"

_Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Asked:
    """Which rows are counted, and until when."""

    where: Where
    time: TimeRange
    limit: Limit


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of rows by their values."""

    groups: pa.Table | None
    """The largest groups, in no order: `value0` and so on, as they are stored, and `rows`. None where there are none.

    Where there are more than are kept, and more than a window, a small group may have more rows than it says.
    """
    total: int
    """Rows of all groups."""
    is_partial: bool
    """Whether only rows that arrived since `reached` are counted, as the time was up or a file damaged."""
    reached: datetime | None


@dataclass(frozen=True, slots=True)
class CountTable:
    """Counts in order: the most frequent first, and by intervals the earliest. A value is None where rows have none."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    counts: Counts

    @property
    def others(self) -> int:
        """Rows of less frequent values, which are not in the table."""
        shown: int = sum(row[-1] for row in self.rows)
        return self.counts.total - shown


class Counting:
    """Counts the rows of a store. Any thread may ask."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def count(self, asked: Asked, groups: Sequence[Group], most: int | None = None) -> Counts:
        """How many rows there are for each combination of values, window by window as far as the limit lets.

        With `most` the caller has no use for more groups than so many, by their rows and then by their values.
        `TooManyValuesError` when even a small part of a window has too many different ones.
        """
        last = self._store.committed_row_id
        walk = Walk(self._store, asked.time, asked.limit, last, reads_all=True, need=asked.where.need)
        plan = Plan.of(groups)
        tally = Tally(MAX_GROUPS)

        def ask(part: Window) -> pa.Table:
            is_last_word = most is not None and part.is_only
            kept = min(most or MAX_GROUPS, MAX_GROUPS) if is_last_word else MAX_GROUPS
            return self._store.query(
                *plan.question(part, asked.where, kept, is_last_word=is_last_word), asked.limit.guard
            )

        def read(window: Window) -> bool:
            of_window = Tally(MAX_GROUPS)  # added only when it is whole: the limit may end it in the middle
            for answer in by_parts(walk, window, ask):
                of_window.add(answer)
            tally.merge(of_window)
            return True

        is_whole = walk.each(read)
        return Counts(tally.groups, tally.total, is_partial=not is_whole or walk.has_lost, reached=walk.reached)

    def stage(self, asked: Asked, stage: Stage) -> CountTable:
        """What a query's stage makes of its rows."""
        names = stage.names if isinstance(stage, CountBy) else (stage.name,)
        groups = [group_of(name) for name in names]
        if isinstance(stage, CountBy) and stage.interval_s is not None:
            groups.insert(0, interval_group(Intervals.of(stage.interval_s), asked.time.clock))
        # Names that stand for numbers have an order of their own, and are few.
        most = stage.n if isinstance(stage, Top) and groups[0].names_of is None else None
        counts = self.count(asked, groups, most)
        n = stage.n if isinstance(stage, Top) else None
        rows = _in_order(counts.groups, groups)[:n] if groups else [(counts.total,)]
        return CountTable((*(group.label for group in groups), COUNT), rows, counts)


def _in_order(counted: pa.Table | None, groups: Sequence[Group]) -> list[tuple[Any, ...]]:
    """The rows of a table: values by their names, and the number of rows."""
    if counted is None:
        return []
    values = [_named(counted[f"value{number}"], group.names_of) for number, group in enumerate(groups)]
    rows = counted[ROWS].to_numpy()
    keys = [-rows, *(places for _, places in values)]
    if groups[0].label == TIME:
        keys.insert(0, values[0][1])
    order = np.lexsort(keys[::-1])
    columns = [[names[place] for place in places[order].tolist()] for names, places in values]
    return list(zip(*columns, rows[order].tolist(), strict=True))


def _named(values: pa.ChunkedArray, names_of: NamesOf | None) -> tuple[list[str | None], _Places]:
    """The names that there are in order, None last, and at which place each value has its own.

    Each different value is named once: many groups have the same time.
    """
    encoded = values.combine_chunks().dictionary_encode("encode")
    different = encoded.dictionary.to_pylist()
    names = different if names_of is None else names_of(different)
    order = sorted(range(len(names)), key=lambda number: (names[number] is None, names[number]))
    places = np.empty(len(names), np.int64)
    places[order] = np.arange(len(names))
    return [names[number] for number in order], places[encoded.indices.to_numpy()]
