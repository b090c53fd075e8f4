"""The columns of few different values as one text, `header`, written once for all rows that have the same."""

import numpy as np
import numpy.typing as npt

from cloud.logs.collector.columns.bytes import HASH_BITS, is_same, mixed
from cloud.logs.collector.columns.kernel import STRINGS
from cloud.logs.collector.columns.views import BATCH_BUFFER, INLINE_BYTES, UNESCAPED_BUFFER, Cells, set_view
from cloud.logs.collector.compiled import WORD_BYTES, Bytes, compiled, copy_bytes, inlined, put_byte
from cloud.logs.collector.row import FOLDED, SEPARATOR

HEADERS = 0
"""The number of the only buffer that a header points into."""
NO_ROOM = -1
_COLUMNS = np.array([STRINGS.index(name) for name in FOLDED], np.int64)
_SEPARATOR = ord(SEPARATOR)
_SLOTS = 4096  # of the table of headers; one that finds its slot taken by another is written again
_SLOT_SHIFT = HASH_BITS - _SLOTS.bit_length() + 1
_WORD_MASK = 0xFFFFFFFF


def slots() -> npt.NDArray[np.int64]:
    """Room for the table of headers: a row that has each."""
    return np.empty(_SLOTS, np.int64)


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
    """Write the headers to `target` and their views to the flat `headers`; how much of `target` is used, or NO_ROOM.

    `received`, `unescaped` and `written` are what the views of `cells`, flat, point into.
    """
    rows = is_valid.shape[1]
    table[:] = -1
    used = 0
    for row in range(rows):
        slot = _slot_of(cells, is_valid, row)
        known = int(table[slot])
        if known >= 0 and _has_same(received, unescaped, written, cells, is_valid, known, row):
            headers[2 * row], headers[2 * row + 1] = headers[2 * known], headers[2 * known + 1]
            continue
        table[slot] = row
        at = used
        for number in range(len(_COLUMNS)):
            column = _COLUMNS[number]
            cell = 2 * (column * rows + row)
            length = int(cells[cell] & _WORD_MASK) if is_valid[column, row] else 0
            if at + 1 + length + WORD_BYTES > len(target):
                return NO_ROOM
            if number > 0:
                put_byte(target, at, _SEPARATOR)
                at += 1
            if length <= INLINE_BYTES:
                first, second = cells[cell], cells[cell + 1]
                for k in range(length):
                    byte = first >> (32 + 8 * k) if k < 4 else second >> (8 * k - 32)
                    put_byte(target, at + k, byte & 0xFF)
            else:
                buffer, start = int(cells[cell + 1] & _WORD_MASK), int(cells[cell + 1] >> 32)
                if buffer == BATCH_BUFFER:
                    copy_bytes(received, start, start + length, target, at)
                elif buffer == UNESCAPED_BUFFER:
                    copy_bytes(unescaped, start, start + length, target, at)
                else:
                    copy_bytes(written, start, start + length, target, at)
            at += length
        set_view(headers, row, target, HEADERS, used, at)
        used = at
    return used


@inlined
def _slot_of(cells: Cells, is_valid: Bytes, row: int) -> int:
    """A slot that is the same for the same values: of a long one its length and first bytes are looked at."""
    rows = is_valid.shape[1]
    value = 0
    for number in range(len(_COLUMNS)):
        column = _COLUMNS[number]
        if is_valid[column, row]:
            first, second = int(cells[2 * (column * rows + row)]), int(cells[2 * (column * rows + row) + 1])
            value ^= first
            if first & _WORD_MASK <= INLINE_BYTES:
                value ^= second
        value = mixed(value)
    return value >> _SLOT_SHIFT


@inlined
def _has_same(
    received: Bytes, unescaped: Bytes, written: Bytes, cells: Cells, is_valid: Bytes, one: int, other: int
) -> bool:
    """Whether two rows have the same values. Long ones that stand in different buffers are taken for different."""
    rows = is_valid.shape[1]
    for number in range(len(_COLUMNS)):
        column = _COLUMNS[number]
        if is_valid[column, one] != is_valid[column, other]:
            return False
        if not is_valid[column, one]:
            continue
        first, second = 2 * (column * rows + one), 2 * (column * rows + other)
        if cells[first] != cells[second]:
            return False
        if cells[first + 1] == cells[second + 1]:
            continue
        length = int(cells[first] & _WORD_MASK)
        buffer = int(cells[first + 1] & _WORD_MASK)
        if length <= INLINE_BYTES or buffer != int(cells[second + 1] & _WORD_MASK):
            return False
        starts = int(cells[first + 1] >> 32), int(cells[second + 1] >> 32)
        if buffer == BATCH_BUFFER:
            is_one = is_same(received, starts[0], starts[1], length)
        elif buffer == UNESCAPED_BUFFER:
            is_one = is_same(unescaped, starts[0], starts[1], length)
        else:
            is_one = is_same(written, starts[0], starts[1], length)
        if not is_one:
            return False
    return True
