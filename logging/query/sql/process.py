"""What the process of a statement does: an order on stdin, one line about the answer and the answer on stdout."""

import json
import math
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa

from cloud.logs.collector.row import COLUMNS
from cloud.logs.query.sql.confinement import Confinement
from cloud.logs.query.sql.order import MEMORY_BYTES, Order
from cloud.logs.query.sql.statement import TABLE, StatementError, check

GRACE_S = 2
PORTION_ROWS = 256
_SETTINGS: dict[str, object] = {
    "threads": 1,
    "timezone": "UTC",
    "memory_limit": "512MB",
    "temp_directory": "",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "allow_persistent_secrets": False,
    "python_enable_replacements": False,
    "python_scan_all_frames": False,
}
_LOCKS = {"enable_external_access": False, "lock_configuration": True}
_NAMES = ", ".join(column.name for column in COLUMNS)
_EVERY_TYPE = (
    "SELECT now(), now()::TIMESTAMP, current_date, '1:00'::TIME, 1::HUGEINT, 1.5::DECIMAL(9, 2), 1e0, uuid(),"
    " 'x'::BLOB, INTERVAL 1 HOUR, {'a': [1]}, MAP {'a': 1}, '1'::BIT, true, NULL, list_transform([1], lambda x: x + 1)"
)
"""What an answer may be made of."""


def run(confinement: Confinement) -> None:
    """Up to its end; `confinement` has begun."""
    with suppress(OSError):  # where the unit forbids it
        os.nice(10)  # the collector's own work comes first
    order = Order.from_json(sys.stdin.buffer.read())
    connection = opened(order)
    lock(connection)
    deadline = threading.Timer(order.deadline_s, connection.interrupt)
    deadline.daemon = True
    warm_up(connection)
    confinement.finish(MEMORY_BYTES, math.ceil(order.deadline_s) + GRACE_S, deadline.start)
    about, answer = _answer(connection, order)
    about["missing_walls"] = confinement.missing
    sys.stdout.buffer.write(json.dumps(about).encode() + b"\n" + answer)
    sys.stdout.buffer.flush()
    os._exit(0)  # an interpreter that ends in order opens files


def opened(order: Order) -> duckdb.DuckDBPyConnection:
    """An instance that has `logs`."""
    connection = duckdb.connect()
    for name, value in _SETTINGS.items():
        connection.execute(f"SET GLOBAL {name} = ?", [value])
    parts = []
    for file in order.sealed:
        path = file.path.replace("'", "''")
        connection.execute(f"ATTACH '{path}' AS {file.database} (READ_ONLY)")
        parts.append(f"SELECT {_NAMES} FROM {file.source}")  # noqa: S608 - our own names
    empty = pa.schema([(column.name, column.arrow) for column in COLUMNS]).empty_table()
    unsealed = empty
    if order.unsealed is not None:
        with pa.OSFile(order.unsealed) as stream:
            unsealed = pa.ipc.open_stream(stream).read_all()
    # As a capsule: for a table DuckDB would import all of Arrow's file systems, and this process is to have none.
    connection.register("incoming", unsealed.__arrow_c_stream__())
    connection.execute(f"CREATE TABLE unsealed AS SELECT {_NAMES} FROM incoming")  # noqa: S608
    connection.unregister("incoming")
    parts.append(f"SELECT {_NAMES} FROM unsealed")  # noqa: S608
    connection.execute(f"CREATE VIEW {TABLE} AS {' UNION ALL '.join(parts)}")
    return connection


def lock(connection: duckdb.DuckDBPyConnection) -> None:
    """From here on DuckDB itself opens nothing else, and its settings stay."""
    for name, value in _LOCKS.items():
        connection.execute(f"SET GLOBAL {name} = ?", [value])


def warm_up(connection: duckdb.DuckDBPyConnection) -> None:
    """What is imported on the way to an answer, is imported while files can still be opened."""
    _rows_of(connection, _EVERY_TYPE, 1, 1000)


def taken(connection: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """The tables and views that a bare name stands for, the catalog's own among them, in lower case."""
    found = connection.execute(
        "SELECT lower(view_name) FROM duckdb_views() WHERE schema_name <> 'information_schema'"
        " UNION SELECT lower(table_name) FROM duckdb_tables() WHERE database_name = current_database()"
    ).fetchall()
    return frozenset(name for (name,) in found)


def _answer(connection: duckdb.DuckDBPyConnection, order: Order) -> tuple[dict[str, Any], bytes]:
    """About the answer, and the answer; without one where `about` has an error."""
    try:
        order.statement.encode()  # half a character would reach DuckDB as no text at all
        [[serialized]] = connection.execute("SELECT json_serialize_sql(?)", [order.statement]).fetchall()
        check(serialized, taken(connection))
        connection.execute("BEGIN TRANSACTION READ ONLY")
        return _rows_of(connection, order.statement, order.max_rows, order.max_bytes)
    except StatementError as exc:
        return {"error": "statement", "detail": str(exc)}, b""
    except duckdb.InterruptException:
        return {"error": "deadline", "detail": f"the statement took more than {order.deadline_s:g} s"}, b""
    except (MemoryError, duckdb.OutOfMemoryException, pa.ArrowMemoryError):
        return {"error": "memory", "detail": "the statement took more memory than it may"}, b""
    except (duckdb.Error, pa.ArrowException, ValueError, OverflowError) as exc:
        return {"error": "statement", "detail": f"cannot run the statement: {exc}"[:4000]}, b""


def _rows_of(
    connection: duckdb.DuckDBPyConnection, statement: str, max_rows: int, max_bytes: int
) -> tuple[dict[str, Any], bytes]:
    relation = connection.sql(statement)
    columns = [{"name": name, "type": str(kind)} for name, kind in zip(relation.columns, relation.types, strict=True)]
    rows: list[bytes] = []
    size = 0
    is_cut = False
    for row in _values(relation.limit(max_rows + 1).to_arrow_reader(PORTION_ROWS)):
        text = json.dumps(row, ensure_ascii=False, allow_nan=False, default=str).encode(errors="replace")
        size += len(text) + 1
        is_cut = len(rows) == max_rows or size > max_bytes
        if is_cut:
            break
        rows.append(text)
    head = json.dumps({"columns": columns, "is_cut": is_cut}).encode()
    return {"rows": len(rows)}, head[:-1] + b', "rows": [' + b",".join(rows) + b"]}"


def _values(reader: pa.RecordBatchReader) -> Iterator[list[Any]]:
    """Row by row, by position: two columns may have one name."""
    for batch in reader:
        columns = [column.to_pylist() for column in batch.columns]
        for row in zip(*columns, strict=True):
            yield [_plain(value) for value in row]


def _plain(value: Any) -> Any:
    """What JSON has for it: times as RFC 3339, bytes in hexadecimal, what is no number as text."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and value.is_finite() else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g} s"
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, pa.MonthDayNano):
        return f"{value.months} months {value.days} days {value.nanoseconds / 1e9:g} s"
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
