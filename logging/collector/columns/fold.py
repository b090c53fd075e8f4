"""The columns of few different values as one text, `header`, written once for all rows that have the same."""

import numpy as np
import numpy.typing as npt

from cloud.logs.collector.columns.bytes import hash_of, is_same
from cloud.logs.collector.columns.kernel import STRINGS
from cloud.logs.collector.columns.views import BATCH_BUFFER, INLINE_BYTES, UNESCAPED_BUFFER, Cells, set_view
from cloud.logs.collector.compiled import Bytes, compiled, copy_bytes, put_byte
from cloud.logs.collector.row import FOLDED, SEPARATOR

HEADERS = 0
"""The number of the only buffer that a header points into."""
_COLUMNS = np.array([STRINGS.index(name) for name in FOLDED], np.int64)
_SEPARATOR = ord(SEPARATOR)
_SLOTS = 4096  # of the table of headers; one that finds its slot taken by another is written again
_WORD_MASK = 0xFFFFFFFF


def header_bytes(cells: Cells, is_valid: Bytes) -> int:
    """How long the headers of all rows are together: what `fold` may need. `cells` are by column and row."""
    lengths = cells[_COLUMNS, :, 0] & _WORD_MASK
    return int(lengths[is_valid[_COLUMNS] != 0].sum() + len(_COLUMNS) * is_valid.shape[1])


def slots() -> npt.NDArray[np.int64]:
    """Room for the table of headers: where each begins and ends."""
    return np.empty((_SLOTS, 2), np.int64)


@compiled
def fold(
    received: Bytes,
    unescaped: Bytes,
    written: Bytes,
    cells: Cells,
    is_valid: Bytes,
    table: npt.NDArray[np.int64],
    target: Bytes,
    headers: Cells,
) -> int:
    """Write the headers to `target` and their views to the flat `headers`; how much of `target` is used.

    `received`, `unescaped` and `written` are what the views of `cells`, flat, point into.
    """
    rows = is_valid.shape[1]
    table[:, :] = 0
    used = 0
    for row in range(rows):
        at = used
        for number in range(len(_COLUMNS)):
            if number > 0:
                put_byte(target, at, _SEPARATOR)
                at += 1
            column = _COLUMNS[number]
            if not is_valid[column, row]:
                continue
            first, second = cells[2 * (column * rows + row)], cells[2 * (column * rows + row) + 1]
            length = int(first & _WORD_MASK)
            if length <= INLINE_BYTES:
                for k in range(length):
                    byte = first >> (32 + 8 * k) if k < 4 else second >> (8 * k - 32)
                    put_byte(target, at + k, byte & 0xFF)
            else:
                buffer, start = int(second & _WORD_MASK), int(second >> 32)
                if buffer == BATCH_BUFFER:
                    copy_bytes(received, start, start + length, target, at)
                elif buffer == UNESCAPED_BUFFER:
                    copy_bytes(unescaped, start, start + length, target, at)
                else:
                    copy_bytes(written, start, start + length, target, at)
            at += length
        slot = hash_of(target, used, at) & (_SLOTS - 1)
        known, end = int(table[slot, 0]), int(table[slot, 1])
        if end - known == at - used and end > known and is_same(target, known, used, at - used):
            set_view(headers, row, target, HEADERS, known, end)
        else:
            table[slot, 0], table[slot, 1] = used, at
            set_view(headers, row, target, HEADERS, used, at)
            used = at
    return used
