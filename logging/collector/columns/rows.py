"""Messages as columns, ready for the store."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cloud.logs.collector.lines import Run

_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Rows:
    """Messages in order of arrival. The strings point into the batches that they came from, which must outlive them."""

    table: pa.Table
    """The columns of RECEIVED, and `header`."""
    observed_us: npt.NDArray[np.int64]
    run: npt.NDArray[np.int64]
    """Which of `runs` numbered the row; -1 for a row without an identity."""
    sequence: npt.NDArray[np.int64]
    runs: Sequence[Run]
    """A run may stand here twice."""
    keep: npt.NDArray[np.bool_] | None = None
    """For each row whether it is to be stored; None when all are."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """How many messages were not read whole, by the reasons of FAILURES."""
    by_reference: int = 0
    """How many messages the kernels left to the reference parser."""

    def __len__(self) -> int:
        return len(self.observed_us)

    def slice(self, start: int, stop: int) -> "Rows":
        """Rows `start` up to `stop`, without the counts of failures."""
        return Rows(
            self.table.slice(start, stop - start),
            self.observed_us[start:stop],
            self.run[start:stop],
            self.sequence[start:stop],
            self.runs,
            None if self.keep is None else self.keep[start:stop],
        )

    def by_day(self) -> Iterator["Rows"]:
        """Each run of rows that arrived on one day (UTC), which is the file they go to; nearly always one."""
        days = self.observed_us // _DAY_US
        bounds = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), len(self)]
        for start, stop in pairwise(bounds):
            yield self.slice(start, stop)


def concatenated(parts: Sequence[Rows]) -> Rows:
    """One after the other; there must be one."""
    if len(parts) == 1:
        return parts[0]
    runs: list[Run] = []
    run_of_row = []
    for part in parts:
        run_of_row.append(np.where(part.run < 0, -1, part.run + len(runs)))
        runs += part.runs
    keep = None
    if any(part.keep is not None for part in parts):
        keep = np.concatenate([np.ones(len(part), np.bool_) if part.keep is None else part.keep for part in parts])
    return Rows(
        pa.concat_tables([part.table for part in parts]),
        np.concatenate([part.observed_us for part in parts]),
        np.concatenate(run_of_row),
        np.concatenate([part.sequence for part in parts]),
        runs,
        keep,
    )
