"""DuckDB as this store runs it: settings, transactions, and what its errors mean."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb
import pyarrow as pa

from cloud.logs.collector.storage.settings import StoreSettings
from cloud.logs.collector.store import StoreBrokenError, StoreError

_LATEST_CHECKPOINT = 4  # times checkpoint_bytes: then a commit writes it, should nobody have done so beside it
_DAMAGE = (
    "Corrupt database file",
    "not a valid DuckDB database file",
    "Could not read enough bytes",
    "Failure while replaying WAL",
    "Failed to decode",
    "deserialize",
    "Deserialize",
)


def open_engine(temp: Path, settings: StoreSettings) -> duckdb.DuckDBPyConnection:
    """An instance without a database of its own; `duckdb.Error` where a setting is not one."""
    connection = duckdb.connect()
    values: dict[str, object] = {
        "threads": 1,  # one writer with one thread is the fastest; each reader runs on a thread of its own anyway
        "timezone": "UTC",
        "memory_limit": settings.memory_limit,
        "temp_directory": str(temp),
        "max_temp_directory_size": settings.temp_limit,
        # Of up to 50 rows the engine would look for the numbers first, which takes twice as long within a time range.
        "late_materialization_max_rows": 0,
        "write_buffer_row_group_count": 1,  # of 5, which take 300 MB more in a merge and are 4 % faster
        "checkpoint_threshold": f"{_LATEST_CHECKPOINT * settings.checkpoint_bytes}B",
        # What a checkpoint has freed stays with its thread otherwise: 130 MB beside the limit.
        "allocator_background_threads": True,
        "allocator_flush_threshold": "16MB",
        "allocator_bulk_deallocation_flush_threshold": "32MB",
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
    }
    try:
        for name, value in values.items():
            connection.execute(f"SET GLOBAL {name} = ?", [value])
    except duckdb.Error:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Commit at the end, or leave everything as it was."""
    connection.execute("BEGIN")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(duckdb.Error):  # a commit that failed has ended the transaction already
            connection.execute("ROLLBACK")
        raise


def insert_from(connection: duckdb.DuckDBPyConnection, incoming: pa.Table, sql: str) -> None:  # noqa: ARG001 - `sql` names it
    """Execute `sql`, which inserts from `incoming`: DuckDB finds the table by its name here.

    A registered view would cost another millisecond, which counts where commits are small. The connection holds the
    table until it executes something else.
    """
    connection.execute(sql)


def quoted(text: str | Path) -> str:
    """A string of SQL."""
    return "'" + str(text).replace("'", "''") + "'"


def is_damage(exc: Exception) -> bool:
    """Whether `exc` says that a file's bytes are not what was written; a full disk or a missing right is not that."""
    return isinstance(exc, duckdb.Error) and any(words in str(exc) for words in _DAMAGE)


def is_invalidated(exc: Exception) -> bool:
    """Whether `exc` says that DuckDB gave up a database whose checkpoint met a full disk; opened anew, it is whole."""
    return "invalidated" in str(exc)


def store_error(what: str, exc: duckdb.Error | OSError) -> StoreError:
    """The store's error for one of the engine or the system."""
    if isinstance(exc, duckdb.FatalException | duckdb.InternalException):
        return StoreBrokenError(f"{what}: {exc}")
    is_for_a_value = isinstance(exc, duckdb.DataError | duckdb.IntegrityError | duckdb.InvalidInputException)
    return StoreError(f"{what}: {exc}", is_lasting=is_for_a_value)
