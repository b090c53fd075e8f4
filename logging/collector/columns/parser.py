"""From a batch to columns for the store: kernels read what they can, the reference parser the rest."""

import struct
from collections import Counter
from collections.abc import Iterable
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cloud.logs.collector.batch import SLACK_BYTES, Batch, Source
from cloud.logs.collector.columns.fold import NO_ROOM, fold, slots
from cloud.logs.collector.columns.kernel import (
    FACILITY,
    FLAGS,
    HAS_TIMESTAMP,
    IS_READ,
    LARGE,
    MAX_RUNS,
    RUN,
    SEQUENCE,
    SEVERITY,
    SMALL,
    STRINGS,
    TIMESTAMP_US,
    Messages,
    Output,
    read_messages,
    scratch,
)
from cloud.logs.collector.columns.rows import Rows
from cloud.logs.collector.columns.verify import mark_unverified
from cloud.logs.collector.columns.views import INLINE_BYTES, WRITTEN_BUFFER, Cells, Views
from cloud.logs.collector.compiled import WORD_BYTES
from cloud.logs.collector.framing import Message
from cloud.logs.collector.lines import Run
from cloud.logs.collector.parsing import Received, of_header, parse
from cloud.logs.collector.rfc5424 import LineId, take_line_id
from cloud.logs.collector.row import HEADER, RECEIVED, Flag, Row

Flags = npt.NDArray[np.bool_] | npt.NDArray[np.uint8]
LEAST_ROWS = 4096
HEADER_BYTES = 64 << 10  # at first
MAX_SPARE = 8  # a batch of few rows does not hold for long the room that one of many has needed
_PEER, _HOST_START = STRINGS.index("peer"), STRINGS.index("host_start")
_TYPES = {column.name: column.arrow for column in RECEIVED}


class BatchParser:
    """Reads batches, one at a time."""

    def __init__(self) -> None:
        """The kernels are compiled or loaded here, so that no message waits for that."""
        self._scratch = scratch()
        self._room: WeakKeyDictionary[Batch, _Room] = WeakKeyDictionary()
        one = Batch(2 * WORD_BYTES)
        one.add_payload(b"<13>1 - -", Source("-"), observed_us=0)
        self.read(one)

    def read(self, batch: Batch) -> Rows:
        """One row for each message, whatever it holds. They last until the next time that this batch is read."""
        room = self._room.get(batch)
        if room is None or not room.rows >= batch.count >= room.rows // MAX_SPARE:
            room = self._room[batch] = _Room(len(batch.data), batch.count)
        sheet = _Sheet(batch, room)
        runs, used = read_messages(sheet.messages, sheet.output, self._scratch)
        sheet.set_runs(runs)
        failures = sheet.read_the_rest()
        sheet.verify_hosts()
        return sheet.rows(used, failures)


class _Room:
    """Memory for the columns of a batch, kept with it: to be given new pages each time costs more than to fill them."""

    def __init__(self, capacity_bytes: int, count: int) -> None:
        self.rows = max(count * 5 // 4, LEAST_ROWS)
        self.cells = np.empty(len(STRINGS) * self.rows * 2, np.int64)
        self.is_valid = np.empty(len(STRINGS) * self.rows, np.uint8)
        self.small = np.empty(SMALL * self.rows, np.uint8)
        self.large = np.empty(LARGE * self.rows, np.int64)
        self.unescaped = np.empty(capacity_bytes + SLACK_BYTES, np.uint8)
        self.slots = slots()
        self.headers = np.empty(HEADER_BYTES, np.uint8)


class _Sheet:
    """The columns of one batch while they are filled."""

    def __init__(self, batch: Batch, room: _Room) -> None:
        self._batch = batch
        self._room = room
        count = batch.count
        data = np.frombuffer(batch.data, np.uint8)
        counts = np.diff([segment.first for segment in batch.segments] + [count])
        self._segment_of_row = np.repeat(np.arange(len(batch.segments), dtype=np.int32), counts)
        observed = np.array([segment.observed_us for segment in batch.segments], np.int64)
        self.messages = Messages(
            data, data.view(np.uint64), batch.starts[:count], batch.ends[:count], observed[self._segment_of_row]
        )
        self._views = Views(
            room.cells[: len(STRINGS) * count * 2], room.is_valid[: len(STRINGS) * count].reshape(len(STRINGS), count)
        )
        self._small = room.small[: SMALL * count].reshape(SMALL, count)
        self._large = room.large[: LARGE * count].reshape(LARGE, count)
        self._views.is_valid[:] = 0
        self._small[:] = 0
        self.output = Output(
            cells=self._views.cells.reshape(-1),
            is_valid=self._views.is_valid,
            small=self._small,
            large=self._large,
            runs=np.zeros((MAX_RUNS, 2), np.int32),
            unescaped=room.unescaped,
        )
        self._large[RUN] = -1
        self._small[FLAGS, batch.truncated] = int(Flag.TRUNCATED)
        self._written = bytearray()
        self._runs: list[Run] = []
        self._run_numbers: dict[Run, int] = {}
        self._by_reference = 0
        self._views.cells[_PEER] = self._cells(segment.source.peer for segment in batch.segments)[self._segment_of_row]
        self._views.is_valid[_PEER] = 1

    def set_runs(self, count: int) -> None:
        """Name the runs that the kernel has found, by the bytes in front of their numbers."""
        for start, end in self.output.runs[:count]:
            _, line_id = take_line_id(bytes(self._batch.data[start:end]).decode() + '1"]')
            if line_id is None:
                raise AssertionError("a kernel took for an identity what is none")
            self._run_numbers.setdefault(Run(line_id.host, line_id.start), len(self._runs))
            self._runs.append(Run(line_id.host, line_id.start))

    def read_the_rest(self) -> Counter[str]:
        """Let the reference parser read what the kernel did not; how often it met which failure."""
        failures: list[str] = []
        batch = self._batch
        truncated = set(batch.truncated)
        rest = np.flatnonzero(self._small[IS_READ] == 0).tolist()
        self._by_reference = len(rest)
        for number in rest:
            segment = batch.segments[self._segment_of_row[number]]
            message = Message(batch.payload(number), is_truncated=number in truncated)
            row, line_id = parse(Received(message, segment.observed_us, segment.source), failures)
            self._set_row(number, row)
            if line_id is not None:
                self._set_line_id(number, line_id)
        return Counter(failures)

    def verify_hosts(self) -> None:
        mark_unverified(
            [segment.source for segment in self._batch.segments],
            self._segment_of_row,
            self._runs,
            self.messages,
            self.output,
        )

    def rows(self, used: int, failures: Counter[str]) -> Rows:
        output, run = self.output, self._large[RUN]
        if self._runs:
            cells = self._cells(of_header(run.start) for run in self._runs)
            self._views.cells[_HOST_START] = cells[run]  # of what has none the last one, and not valid
            self._views.is_valid[_HOST_START] = run >= 0
        buffers = [pa.py_buffer(self._batch.data), pa.py_buffer(output.unescaped[:used]), pa.py_buffer(self._written)]
        columns: dict[str, pa.Array] = {
            name: self._views.to_arrow(number, buffers) for number, name in enumerate(STRINGS)
        }
        columns[HEADER.name] = self._header()
        columns["observed_timestamp"] = _numbers("observed_timestamp", self.messages.observed_us)
        columns["timestamp"] = _numbers("timestamp", self._large[TIMESTAMP_US], self._small[HAS_TIMESTAMP])
        columns["sequence"] = _numbers("sequence", self._large[SEQUENCE], run >= 0)
        for name, number in (("facility", FACILITY), ("severity", SEVERITY), ("flags", FLAGS)):
            columns[name] = _numbers(name, self._small[number])
        names = [*(column.name for column in RECEIVED), HEADER.name]
        table = pa.Table.from_arrays([columns[name] for name in names], names)
        return Rows(
            table=table,
            observed_us=self.messages.observed_us,
            run=run,
            sequence=self._large[SEQUENCE],
            runs=self._runs,
            failures=failures,
            by_reference=self._by_reference,
        )

    def _header(self) -> pa.Array:
        count = self._batch.count
        room = self._room
        headers = np.empty(2 * count, np.int64)
        written = np.frombuffer(bytes(self._written) + bytes(SLACK_BYTES), np.uint8)
        while (
            used := fold(
                self.messages.data, self.output.unescaped, written, self.output.cells, self._views.is_valid,
                room.slots, room.headers, headers,
            )
        ) == NO_ROOM:  # fmt: skip
            room.headers = np.empty(2 * len(room.headers), np.uint8)
        return pa.Array.from_buffers(
            pa.string_view(), count, [None, pa.py_buffer(headers), pa.py_buffer(room.headers[:used])]
        )

    def _set_row(self, number: int, row: Row) -> None:
        for column, name in enumerate(STRINGS):
            text = getattr(row, name)
            self._views.is_valid[column, number] = text is not None
            if text is not None:
                self._views.cells[column, number] = np.frombuffer(self._cell(text), np.int64)
        self._small[:, number] = row.facility, row.severity, row.flags, row.timestamp is not None, 0
        self._large[:, number] = row.timestamp or 0, 0, -1

    def _set_line_id(self, number: int, line_id: LineId) -> None:
        run = Run(line_id.host, line_id.start)
        if run not in self._run_numbers:
            self._run_numbers[run] = len(self._runs)
            self._runs.append(run)
        self._large[SEQUENCE, number], self._large[RUN, number] = line_id.sequence, self._run_numbers[run]

    def _cells(self, texts: Iterable[str]) -> Cells:
        return np.frombuffer(b"".join(map(self._cell, texts)), np.int64).reshape(-1, 2)

    def _cell(self, text: str) -> bytes:
        """The view of a text; one too long for a view is added to what was written."""
        value = text.encode()
        if len(value) <= INLINE_BYTES:
            return struct.pack("<i12s", len(value), value)
        start = len(self._written)
        self._written += value
        return struct.pack("<i4sii", len(value), value[:4], WRITTEN_BUFFER, start)


def _numbers(name: str, values: npt.NDArray[np.integer[Any]], is_valid: Flags | None = None) -> pa.Array:
    validity = None
    if is_valid is not None and not is_valid.all():
        validity = pa.py_buffer(np.packbits(is_valid, bitorder="little"))
    return pa.Array.from_buffers(_TYPES[name], len(values), [validity, pa.py_buffer(values)])
