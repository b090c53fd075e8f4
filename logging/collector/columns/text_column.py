"""One column of texts, as views into buffers: read, searched and written cell by cell, without a copy of the others."""

import struct
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from cloud.logs.collector.columns.signs import MAX_BUFFERS, Signs, mark_signs
from cloud.logs.collector.columns.views import INLINE_BYTES, VIEW_BYTES
from cloud.logs.collector.compiled import Bytes

_NOTHING = np.zeros(1, np.uint8)


class TextColumn:
    """A column of Arrow's string views. Arrow's own functions are no help: the view of a null cell is garbage."""

    def __init__(self, array: pa.Array) -> None:
        """`ValueError` for another type, and for more buffers than the batches of a parser have."""
        if array.type != pa.string_view():
            raise ValueError(f"cannot read a column of {array.type} as views")
        validity, views, *self._buffers = array.buffers()
        if len(self._buffers) > MAX_BUFFERS:
            raise ValueError(f"cannot read a column of {len(self._buffers)} buffers")
        first, rows = array.offset, len(array)
        self.views = np.frombuffer(views, np.uint8)[first * VIEW_BYTES : (first + rows) * VIEW_BYTES]
        self.is_valid = np.ones(rows, np.uint8)
        if validity is not None:
            bits = np.frombuffer(validity, np.uint8)
            self.is_valid = np.unpackbits(bits, count=first + rows, bitorder="little")[first:]

    @property
    def data(self) -> list[Bytes]:
        """The buffers, and nothing in the place of those that there might be."""
        data = [np.frombuffer(each, np.uint8) if each.size else _NOTHING for each in self._buffers]
        return [*data, *[_NOTHING] * (MAX_BUFFERS - len(data))]

    def text(self, row: int) -> str | None:
        """`UnicodeDecodeError` where there is none."""
        if not self.is_valid[row]:
            return None
        view = self.views[row * VIEW_BYTES : (row + 1) * VIEW_BYTES].tobytes()
        length, _, buffer, start = struct.unpack("<i4sii", view)
        if length <= INLINE_BYTES:
            return view[4 : 4 + length].decode()
        value: bytes = self._buffers[buffer][start : start + length].to_pybytes()
        return value.decode()

    def written(self, texts: Mapping[int, str | None]) -> pa.Array:
        """The column with other `texts`, by row; what is new stands in a buffer of its own."""
        views, is_valid, new = self.views.copy(), self.is_valid.copy(), bytearray()
        for row, text in texts.items():
            is_valid[row] = text is not None
            value = (text or "").encode()
            if len(value) <= INLINE_BYTES:
                view = struct.pack("<i12s", len(value), value)
            else:
                view = struct.pack("<i4sii", len(value), value[:4], len(self._buffers), len(new))
                new += value
            views[row * VIEW_BYTES : (row + 1) * VIEW_BYTES] = np.frombuffer(view, np.uint8)
        validity = None if is_valid.all() else pa.py_buffer(np.packbits(is_valid, bitorder="little"))
        buffers = [validity, pa.py_buffer(views), *self._buffers, pa.py_buffer(bytes(new))]
        return pa.Array.from_buffers(pa.string_view(), len(is_valid), buffers)


def search(columns: Sequence[TextColumn], signs: Signs) -> list[list[int]]:
    """For each of `columns`, of the same length, the rows in which one of `signs` is, ascending."""
    views = np.concatenate([column.views for column in columns])
    is_valid = np.stack([column.is_valid for column in columns])
    marked = np.zeros_like(is_valid)
    mark_signs(
        views.view(np.int64), views, tuple(_readonly(data) for column in columns for data in column.data), is_valid,
        signs.pairs, signs.kinds, signs.first, signs.next, signs.texts, signs.starts, signs.offsets, signs.needs,
        marked,
    )  # fmt: skip
    return [np.flatnonzero(each).tolist() for each in marked]


def _readonly(data: Bytes) -> Bytes:
    """As of one type for the kernel, which is compiled for each."""
    shown = data.view()
    shown.flags.writeable = False
    return shown
