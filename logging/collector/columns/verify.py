"""Marks the rows whose names are not those of the certificate that their connection was opened with."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cloud.logs.collector.batch import Source
from cloud.logs.collector.columns.kernel import FLAGS, HOSTNAME, IS_READ, RUN, Messages, Output
from cloud.logs.collector.columns.views import INLINE_BYTES, Cells
from cloud.logs.collector.compiled import Bytes, byte_at, compiled
from cloud.logs.collector.lines import Run
from cloud.logs.collector.row import Flag

_UNVERIFIED = int(Flag.HOST_UNVERIFIED)


def mark_unverified(
    sources: Sequence[Source],
    source_of_row: npt.NDArray[np.int32],
    runs: Sequence[Run],
    messages: Messages,
    output: Output,
) -> None:
    """Set HOST_UNVERIFIED where hostname or inventory host is not among the names of `sources[source_of_row]`.

    Rows that the reference parser has read are left as they are: it looked itself.
    """
    if all(source.names is None for source in sources):
        return
    names = sorted({name for source in sources for name in source.names or ()})
    texts = [name.encode() for name in names]
    ends = np.cumsum([len(text) for text in texts], dtype=np.int32)
    is_allowed = np.zeros((len(sources), len(names)), np.uint8)
    allows_run = np.ones((len(sources), len(runs) + 1), np.uint8)  # the last column: a row without an identity
    is_checked = np.zeros(len(sources), np.uint8)
    for number, source in enumerate(sources):
        if source.names is not None:
            is_checked[number] = 1
            is_allowed[number] = [name in source.names for name in names]
            allows_run[number, : len(runs)] = [run.host.lower() in source.names for run in runs]
    joined = np.frombuffer(b"".join(texts) + b"\0", np.uint8)  # never empty
    _mark(
        messages.data, output.cells, output.is_valid, output.small, output.large[RUN], source_of_row, is_checked,
        joined, ends, is_allowed, allows_run,
    )  # fmt: skip


@compiled
def _mark(
    data: Bytes,
    cells: Cells,
    is_valid: Bytes,
    small: Bytes,
    runs: npt.NDArray[np.int64],
    source_of_row: npt.NDArray[np.int32],
    is_checked: Bytes,
    names: Bytes,
    ends: npt.NDArray[np.int32],
    is_allowed: Bytes,
    allows_run: Bytes,
) -> None:
    for row in range(len(source_of_row)):
        source = source_of_row[row]
        if not is_checked[source] or not small[IS_READ, row]:
            continue
        is_verified = False
        if allows_run[source, runs[row]] and is_valid[HOSTNAME, row]:
            slot = HOSTNAME * is_valid.shape[1] + row
            for number in range(len(ends)):
                start = 0 if number == 0 else ends[number - 1]
                if is_allowed[source, number] and _is_text(data, cells, slot, names, start, ends[number]):
                    is_verified = True
        if not is_verified:
            small[FLAGS, row] |= _UNVERIFIED


@compiled
def _is_text(data: Bytes, cells: Cells, slot: int, names: Bytes, start: int, end: int) -> bool:
    """Whether the value is `names[start:end]`, in lower case."""
    if cells[2 * slot] & 0xFFFFFFFF != end - start:
        return False
    first = cells[2 * slot + 1] >> 32
    for k in range(end - start):
        if end - start > INLINE_BYTES:
            character = byte_at(data, first + k)
        elif k < 4:
            character = (cells[2 * slot] >> (32 + 8 * k)) & 0xFF
        else:
            character = (cells[2 * slot + 1] >> (8 * k - 32)) & 0xFF
        if 65 <= character <= 90:
            character += 32
        if character != byte_at(names, start + k):
            return False
    return True
