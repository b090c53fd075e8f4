"""String columns as Arrow's views: 16 bytes a value that point into the received bytes, so that no text is copied."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cloud.logs.collector.compiled import Bytes, compiled, join_halves, word_at

BATCH_BUFFER, UNESCAPED_BUFFER, WRITTEN_BUFFER = range(3)
"""The buffers that a view may point into: the batch, what a kernel has rewritten, what Python has added."""
VIEW_BYTES = 16
INLINE_BYTES = 12  # a value of up to so many bytes stands in the view itself (Arrow columnar format, 1.4)
Cells = npt.NDArray[np.int64]
"""Views as pairs of words: length and first four bytes, then buffer and offset; or length and the value itself."""


class Views:
    """String columns of one length."""

    def __init__(self, cells: Cells, is_valid: Bytes) -> None:
        """`is_valid` are 0 for null, one for each of the columns and rows; `cells` have room for as many views."""
        self.cells = cells.reshape(*is_valid.shape, 2)
        self.is_valid = is_valid

    def to_arrow(self, column: int, buffers: list[pa.Buffer]) -> pa.Array:
        rows = self.is_valid.shape[1]
        valid = self.is_valid[column]
        if not valid.any():
            return pa.nulls(rows, pa.string_view())
        validity = None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
        return pa.Array.from_buffers(pa.string_view(), rows, [validity, pa.py_buffer(self.cells[column]), *buffers])


@compiled
def set_view(cells: Cells, slot: int, data: Bytes, buffer: int, start: int, end: int) -> None:
    """Let value number `slot` of the flat `cells` be `data[start:end]`, where `data` is the buffer of that number."""
    length = end - start
    first = word_at(data, start)
    if length > INLINE_BYTES:
        cells[2 * slot] = join_halves(length, first)
        cells[2 * slot + 1] = join_halves(buffer, start)
        return
    second = word_at(data, start + 8) & ((1 << (8 * max(length - 8, 0))) - 1)
    if length < 8:
        first &= (1 << (8 * length)) - 1
    cells[2 * slot] = join_halves(length, first)
    cells[2 * slot + 1] = join_halves(first >> 32, second)
