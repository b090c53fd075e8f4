"""The process that makes one index file: an order on stdin, exit code 0 when `target` is whole."""

import json
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from cloud.logs.collector.index.kernel import add_grams
from cloud.logs.collector.index.layout import (
    BITS,
    BLOCK_COLUMNS,
    SEGMENT_BLOCKS,
    About,
    Segment,
    Version,
    write_about,
    write_segment,
)
from cloud.logs.collector.storage.engine import quoted
from cloud.logs.query.sql.confinement import end_with_parent

NICE = 19
MEMORY_BYTES = 1 << 30
"""Of address space beyond that of the loaded program; it takes 200 MB."""
CPU_S = 1800
PORTION_ROWS = 2048
"""DuckDB's own: the texts of a part of one are unpacked with all the others."""
MAX_BLOCK_ROWS = 2048
STEP_ROWS = 512
FULL_SHARE = 0.5
"""Of a block's bits: it takes no more steps then, or every text would be thought to be in it."""
TEXTS = ("message", "request_id", "instance", "fields")
"""Where plain words are looked for. `fields` as JSON: what no escape is in, is the same in its values."""
_SETTINGS: dict[str, object] = {
    "threads": 1,
    "timezone": "UTC",
    "memory_limit": "128MB",
    "temp_directory": "",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "python_enable_replacements": False,
}


@dataclass(frozen=True, slots=True)
class BuildOrder:
    """Which data file, and where its index goes."""

    path: str
    target: str
    version: Version

    def to_json(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, text: bytes) -> "BuildOrder":
        content = json.loads(text)
        return cls(content["path"], content["target"], Version(**content["version"]))


class BuildError(Exception):
    """The data file is not the one that was meant."""


def main() -> None:
    end_with_parent()
    with suppress(OSError):  # where the unit forbids it
        os.nice(NICE)
    order = BuildOrder.from_json(sys.stdin.buffer.read())
    _confine()
    build(order)


def build(order: BuildOrder) -> None:
    """Write `order.target`; `BuildError`, `duckdb.Error` or `OSError`, and then what is there is not whole."""
    segments: list[Segment] = []
    blocks: list[_Block] = []
    with open(order.target, "xb", opener=_private) as file:
        waiting = np.empty((SEGMENT_BLOCKS, BITS // 8), np.uint8)
        waits = 0
        for block in _blocks(order):
            blocks.append(block)
            waiting[waits] = block.bits
            waits += 1
            if waits == SEGMENT_BLOCKS:
                segments.append(write_segment(file, waiting))
                waits = 0
                file.flush()
                os.fdatasync(file.fileno())  # a little at a time: who commits meanwhile waits for no more than that
        if waits:
            segments.append(write_segment(file, waiting[:waits]))
        if sum(block.rows for block in blocks) != order.version.rows:
            raise BuildError(f"cannot index {order.path}: it has not {order.version.rows} rows")
        columns = [[block.first_row_id, block.last_row_id, block.first_us, block.last_us] for block in blocks]
        table = np.array(columns, np.int64).reshape(-1, len(BLOCK_COLUMNS)).T
        write_about(file, About(order.version, segments, table))
        file.flush()
        os.fsync(file.fileno())


@dataclass(slots=True)
class _Block:
    bits: np.ndarray
    rows: int = 0
    set_bits: int = 0
    first_row_id: int = np.iinfo(np.int64).max
    last_row_id: int = 0
    first_us: int = np.iinfo(np.int64).max
    last_us: int = np.iinfo(np.int64).min

    @property
    def is_full(self) -> bool:
        return self.rows + STEP_ROWS > MAX_BLOCK_ROWS or self.set_bits > FULL_SHARE * BITS

    def add(self, rows: pa.RecordBatch) -> None:
        self.rows += rows.num_rows
        row_ids, times = rows.column("row_id").to_numpy(), rows.column("us").to_numpy()
        self.first_row_id = min(self.first_row_id, int(row_ids.min()))
        self.last_row_id = max(self.last_row_id, int(row_ids.max()))
        self.first_us = min(self.first_us, int(times.min()))
        self.last_us = max(self.last_us, int(times.max()))
        for name in TEXTS:
            self.set_bits += add_grams(*_bytes_of(rows.column(name)), self.bits)


def _blocks(order: BuildOrder) -> Iterator[_Block]:
    """The blocks of the data file, in its order; each is to be used before the next one is asked for."""
    bits = np.zeros(BITS // 8, np.uint8)
    block = _Block(bits)
    with duckdb.connect() as connection:
        for name, value in _SETTINGS.items():
            connection.execute(f"SET GLOBAL {name} = ?", [value])
        connection.execute(f"ATTACH {quoted(order.path)} AS data (READ_ONLY)")
        sql = f"SELECT row_id, epoch_us(observed_timestamp) AS us, {', '.join(TEXTS)} FROM data.logs"  # noqa: S608 - our own names
        for portion in connection.sql(sql).to_arrow_reader(PORTION_ROWS):
            for begin in range(0, portion.num_rows, STEP_ROWS):
                if block.is_full:
                    yield block
                    bits[:] = 0
                    block = _Block(bits)
                block.add(portion.slice(begin, STEP_ROWS))
        if block.rows:
            yield block


def _bytes_of(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """The bytes of all texts and where each begins; one that is NULL has no length."""
    _, offsets, data = texts.buffers()
    return (
        np.frombuffer(data, np.uint8) if data is not None else np.frombuffer(b"", np.uint8),
        np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1],
    )


def _confine() -> None:
    pages = int(Path("/proc/self/statm").read_bytes().split()[0])
    limits = {
        resource.RLIMIT_AS: pages * resource.getpagesize() + MEMORY_BYTES,
        resource.RLIMIT_CPU: CPU_S,
        resource.RLIMIT_CORE: 0,
    }
    for limit, value in limits.items():
        with suppress(OSError, ValueError):  # where the unit forbids it, or has a lower one
            resource.setrlimit(limit, (value, value))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


if __name__ == "__main__":
    main()
