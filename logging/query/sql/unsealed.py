"""What a statement reads: sealed day files as they are, and the rows of live ones as a bounded Arrow stream."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import duckdb
import pyarrow as pa

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.row import COLUMNS
from cloud.logs.collector.storage import directory
from cloud.logs.collector.storage.datafile import DataFile
from cloud.logs.collector.storage.engine import store_error
from cloud.logs.collector.upkeep import Upkeep
from cloud.logs.query.sql.order import Sealed

MAX_ROWS = 200_000
MAX_BYTES = 128 << 20
PORTION_ROWS = 8192
_NAMES = ", ".join(column.name for column in COLUMNS)


@dataclass(frozen=True, slots=True)
class Given:
    """What one statement is given to read."""

    sealed: Sequence[Sealed]
    unsealed: Path | None
    left_out: int
    """Rows of live files that are too many to be given: the oldest of them."""


@contextmanager
def given(store: DuckDbStore, upkeep: Upkeep) -> Iterator[Given]:
    """All that is stored, readable by another process until the context is left. `StoreError`."""
    if sum(file.rows for file in store.live()) > MAX_ROWS:
        upkeep.seal()
    shelf = store.files.shelf
    with ExitStack() as stack:
        with shelf.reading() as files:
            sealed = [file for file in files if not file.is_writable and file.rows]
            live = [file for file in files if file.is_writable and file.rows]
            unsealed, left_out = _written(store, live)
            if unsealed is not None:
                stack.callback(unsealed.unlink, missing_ok=True)
            stack.enter_context(shelf.holding(sealed))  # live ones are let go: they are to be sealed meanwhile
        yield Given([Sealed(str(file.path), file.database, file.source) for file in sealed], unsealed, left_out)


def _written(store: DuckDbStore, live: Sequence[DataFile]) -> tuple[Path | None, int]:
    """The newest rows of the live files, in a file of their own, and how many had no room in it."""
    total = sum(file.rows for file in live)
    if not total:
        return None, 0
    temp = store.files.path / directory.TEMP
    path = temp / f"sql-{uuid4()}.arrow"
    written = size = 0
    try:
        temp.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        schema = pa.schema([(column.name, column.arrow) for column in COLUMNS])
        with os.fdopen(descriptor, "wb") as file, pa.ipc.new_stream(file, schema) as stream:
            for batch in _newest_first(store, live):
                size += batch.nbytes
                if size > MAX_BYTES:
                    break
                stream.write_batch(batch.cast(schema))
                written += batch.num_rows
    except (duckdb.Error, OSError, pa.ArrowException) as exc:
        path.unlink(missing_ok=True)
        raise store_error("cannot give a statement the newest rows", exc) from exc
    return path, max(0, total - written)


def _newest_first(store: DuckDbStore, live: Sequence[DataFile]) -> Iterator[pa.RecordBatch]:
    room = MAX_ROWS
    for file in live:  # the one with the newest rows comes first
        if room <= 0:
            return
        with store.files.connection.cursor() as cursor:
            # A bound as a constant: a limit alone would sort the whole file.
            cursor.execute(
                f"SELECT {_NAMES} FROM {file.source}"  # noqa: S608 - our own names
                f" WHERE row_id > {max(0, file.last_row_id - room)} ORDER BY row_id DESC LIMIT {room}"
            )
            for batch in cursor.to_arrow_reader(PORTION_ROWS):
                room -= batch.num_rows
                yield batch
