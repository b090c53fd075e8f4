"""From what windows have counted to one table of groups: columns of values, and `rows`, how many each group has."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cloud.logs.query.rows import PAGE_BYTES

ROWS, TOTAL = "rows", "total"
"""Columns of an answer: the rows of a group, and beside each of them those of all groups."""


class Tally:
    """Adds up groups, and keeps the largest ones that go into an answer; of the others it knows the rows alone."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.groups: pa.Table | None = None
        """None until there are any."""
        self.total = 0
        """Rows of all groups, of those too that are not kept."""

    def add(self, answer: pa.Table) -> None:
        """Groups with the rows of each, and the rows of all."""
        if answer.num_rows:
            self._add(answer.drop_columns(TOTAL), answer[TOTAL][0].as_py())

    def merge(self, other: "Tally") -> None:
        """What another has added up."""
        if other.groups is not None:
            self._add(other.groups, other.total)

    def _add(self, groups: pa.Table, total: int) -> None:
        self.total += total
        if self.groups is not None:
            both = pa.concat_tables([self.groups, groups])
            values = [name for name in both.column_names if name != ROWS]
            summed = both.group_by(values, use_threads=False).aggregate([(ROWS, "sum")])
            groups = summed.rename_columns({f"{ROWS}_sum": ROWS})
        if groups.num_rows > self._most:
            groups = groups.take(pc.sort_indices(groups, [(ROWS, "descending")])[: self._most])
        self.groups = _fitting(groups) if groups.nbytes > PAGE_BYTES else groups


def _fitting(groups: pa.Table) -> pa.Table:
    """The largest groups whose texts are no more than PAGE_BYTES; never none."""
    groups = groups.take(pc.sort_indices(groups, [(ROWS, "descending")]))
    sizes = np.zeros(groups.num_rows, np.int64)
    for column in groups.columns:
        if pa.types.is_string(column.type):
            sizes += pc.fill_null(pc.binary_length(column), 0).to_numpy()
    return groups.slice(0, max(1, int(np.searchsorted(np.cumsum(sizes), PAGE_BYTES, side="right"))))
