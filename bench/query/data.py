"""Data directories full of past days: filled by the store's own code, sealed, merged, and kept for the next time."""

import json
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bench.query.variants import DISTINCT, Variants
from cloud.logs.collector.columns.parser import BatchParser
from cloud.logs.collector.columns.rows import Rows
from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.lines import LineAccounts
from cloud.logs.collector.row import TIMESTAMP
from cloud.logs.collector.upkeep import Upkeep

VERSION = 1
"""Of what is made; data of another one is made again."""
BEGIN = datetime(2026, 1, 15, tzinfo=UTC)
TEMPLATE_BEGIN = datetime(2026, 1, 15, 8, tzinfo=UTC)
SEALS = 24
"""So many files were sealed, beside those of the ends of days, before they were merged."""
RARE_WORD = "quarantined"
RARE_LINES, MENTIONS = 20, 10
OTHER_REQUEST = "req-0b5f7c3e-6d0a-4c55-9a51-7f1e2d3c4b5a"
"""Only the text of some lines has it."""
_TOGETHER = 32  # lines that arrive in one read
_LATE_US = 20_000
_FACTS = "facts.json"
_Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Layout:
    """Over how many days the rows are spread."""

    name: str
    days: int

    @property
    def end(self) -> datetime:
        return BEGIN + timedelta(days=self.days)


LAYOUTS = (Layout("one day", 1), Layout("30 days", 30))


@dataclass(frozen=True, slots=True)
class Made:
    """A data directory, and what is in it."""

    layout: Layout
    data: Path
    rows: int
    request_id: str
    """Of one request in the middle."""
    files: int
    stored_bytes: int
    took_s: float

    @property
    def index_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.data.glob("logs-*.index"))


def made(directory: Path, rows: int, seed: int, tell: Callable[[str], None], distinct: int = DISTINCT) -> list[Made]:
    """A data directory of each layout below `directory`; those that are there from the last time are not made again."""
    missing = [layout for layout in LAYOUTS if _kept(directory, layout, rows, seed) is None]
    if missing:
        tell(f"making {rows:,} rows: {', '.join(layout.name for layout in missing)}")
        _make(directory, missing, Variants(rows, seed, distinct))
    kept = [each for layout in LAYOUTS if (each := _kept(directory, layout, rows, seed)) is not None]
    for each in kept:
        _index(each, tell)
    return kept


def _kept(directory: Path, layout: Layout, rows: int, seed: int) -> Made | None:
    place = _place(directory, layout)
    try:
        facts = json.loads((place / _FACTS).read_text())
    except FileNotFoundError:
        return None
    if (facts.pop("version"), facts.pop("seed"), facts["rows"]) != (VERSION, seed, rows):
        return None
    return Made(layout, place / "data", **facts)


def _place(directory: Path, layout: Layout) -> Path:
    return directory / layout.name.replace(" ", "-")


def _make(directory: Path, layouts: list[Layout], variants: Variants) -> None:
    begun_s, rows, seed = time.monotonic(), variants.lines, variants.seed
    for layout in layouts:
        shutil.rmtree(_place(directory, layout), ignore_errors=True)
        _place(directory, layout).mkdir(parents=True)
    parser = BatchParser()
    with ExitStack() as stack:
        fillings = [_Filling(_place(directory, layout) / "data", layout, rows, stack) for layout in layouts]
        # All of a batch has arrived at a moment that its lines' own times are close to; then each gets its own.
        for batch in variants.batches(int((TEMPLATE_BEGIN + timedelta(minutes=1)).timestamp() * 1e6), planted(rows)):
            parsed = parser.read(batch)
            for filling in fillings:
                filling.add(parsed)
        for filling in fillings:
            filling.finish()
    for layout in layouts:
        _describe(_place(directory, layout), rows, seed, time.monotonic() - begun_s)


def planted(rows: int) -> Mapping[int, bytes]:
    """Lines that are looked for, by their numbers: the rare ones are half of them in the last thirtieth of all."""
    half = RARE_LINES // 2
    rare = [rows * (2 * number + 1) // RARE_LINES for number in range(half)]
    rare += [rows * 29 // 30 + rows * (2 * number + 1) // (30 * RARE_LINES) for number in range(half)]
    mentions = [rows * (3 * number + 1) // (3 * MENTIONS) for number in range(MENTIONS)]
    lines = {number: _nova_line(f"volume is {RARE_WORD}: path {at} failed") for at, number in enumerate(rare)}
    return lines | {number: _nova_line(f"lock held by {OTHER_REQUEST}, {at}") for at, number in enumerate(mentions)}


def _nova_line(text: str) -> bytes:
    line = f"<134>1 2026-01-15T08:00:00Z compute-04 nova-compute 4242 - - nova.compute.manager [- - - - - -] {text}"
    return line.encode()


class _Filling:
    """A store that takes lines as the collector's writer gives them, at an even rate over the days of a layout."""

    def __init__(self, data: Path, layout: Layout, rows: int, stack: ExitStack) -> None:
        after_s = (layout.end + timedelta(days=1)).timestamp()  # or files of today would be gone on with
        self._store = DuckDbStore(data, now_s=lambda: after_s)
        stack.callback(self._store.close)
        self._upkeep = Upkeep(self._store)
        stack.callback(self._upkeep.stop)
        self._accounts = LineAccounts(())
        self._gap_us = layout.days * 86_400_000_000 / (rows + 2 * _TOGETHER)
        self._seal_rows = max(1, rows // SEALS)
        self._first = 0
        self._unsealed = 0

    def add(self, parsed: Rows) -> None:
        numbers = np.arange(self._first, self._first + len(parsed), dtype=np.int64)
        begin_us = int(BEGIN.timestamp() * 1e6)
        emitted_us = begin_us + (numbers * self._gap_us).astype(np.int64)
        last_of_read = numbers // _TOGETHER * _TOGETHER + _TOGETHER - 1
        observed_us = begin_us + (last_of_read * self._gap_us).astype(np.int64) + _LATE_US
        for rows in _at(parsed, observed_us, emitted_us).by_day():
            fresh = self._accounts.fresh(rows.runs, rows.run, rows.sequence)
            self._store.append(rows.table, fresh.marks, fresh.keep)
            self._accounts.committed(fresh.marks)
        self._upkeep.checkpoint()
        self._first += len(parsed)
        self._unsealed += len(parsed)
        if self._unsealed >= self._seal_rows:
            self._upkeep.seal()
            self._unsealed = 0

    def finish(self) -> None:
        self._upkeep.seal()
        self._upkeep.merge()


def _at(rows: Rows, observed_us: _Numbers, emitted_us: _Numbers) -> Rows:
    """The same rows at other times; those without a time of their emitter's have none here either."""
    table = rows.table
    emitted = pc.if_else(pc.is_valid(table["timestamp"]), pa.array(emitted_us), None).cast(TIMESTAMP)
    for name, values in (("timestamp", emitted), ("observed_timestamp", pa.array(observed_us).cast(TIMESTAMP))):
        table = table.set_column(table.column_names.index(name), name, values)
    return replace(rows, table=table, observed_us=observed_us)


def _index(each: Made, tell: Callable[[str], None]) -> None:
    """Let all indexes be made that the product would make by and by."""
    store = DuckDbStore(each.data)
    try:
        indexer = Upkeep(store).indexer
        begun_s = time.monotonic()
        if names := indexer.build_due():
            tell(f"{each.layout.name}: {len(names)} index(es) made in {time.monotonic() - begun_s:.1f} s")
        if pending := indexer.counts().pending:
            raise RuntimeError(f"cannot ask: {pending} files have no index")
    finally:
        store.close()


def _describe(place: Path, rows: int, seed: int, took_s: float) -> None:
    """Write down what was made, last: what has no such file was not finished."""
    store = DuckDbStore(place / "data")
    try:
        with store.tables() as tables:
            union = " UNION ALL ".join(f"SELECT row_id, request_id FROM {table.sql_name}" for table in tables)  # noqa: S608 - our own names
            wanted = f"row_id >= {rows // 2} AND request_id IS NOT NULL ORDER BY row_id LIMIT 1"
            [found] = store.query(f"SELECT request_id FROM ({union}) WHERE {wanted}", {}).to_pylist()  # noqa: S608
            sizes = [path.stat().st_size for path in (place / "data").glob("logs-*.duckdb")]
            stored = sum(table.last_row_id - table.first_row_id + 1 for table in tables)
    finally:
        store.close()
    if stored != rows:
        raise RuntimeError(f"cannot use what was made: {stored} rows instead of {rows}")
    of_made = {"rows": rows, "request_id": found["request_id"], "files": len(sizes), "stored_bytes": sum(sizes)}
    (place / _FACTS).write_text(
        json.dumps({"version": VERSION, "seed": seed, **of_made, "took_s": took_s}, indent=1) + "\n"
    )
