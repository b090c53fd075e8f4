"""One file of the data directory: made, attached, and asked what it holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from cloud.logs.collector.row import COLUMNS, FOLDED, HEADER, STORED, column_of_header, header_of_columns
from cloud.logs.collector.storage import directory, marks
from cloud.logs.collector.storage.engine import is_damage, quoted
from cloud.logs.collector.storage.names import UNFINISHED, FileName
from cloud.logs.collector.store import Table

SCHEMA_VERSION = 2
"""Of the tables in a file. Any change counts it up. 0: no `about`, no `marks`, and columns may be missing. 1: a table
`logs` with each column as it is, rather than a view of `lines`."""
_LINES = ", ".join(f"{column.name} {column.sql}" for column in STORED)
_LOGS = ", ".join(
    f"{column_of_header(column.name)} AS {column.name}" if column.name in FOLDED else column.name
    for column in (*COLUMNS, HEADER)
)
_ABOUT = "schema_version UINTEGER, created_us BIGINT, replaces VARCHAR[], is_thinned BOOLEAN, last_row_id UBIGINT"


class NewerFileError(Exception):
    """A file that a newer collector or DuckDB has written; it is as it was."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """An attached file."""

    path: Path
    name: FileName
    database: str
    """The name under which it is attached."""
    schema_version: int
    created_us: int
    replaces: tuple[str, ...]
    """Files whose rows are in this one: where they are still there, they are to be deleted."""
    is_thinned: bool
    """Whether rows of it have expired by their severity."""
    source: str
    """What stands for its rows in a FROM, with all columns of today and `header`."""
    rows: int
    first_row_id: int
    last_row_id: int
    last_batch: int
    is_writable: bool

    @property
    def end(self) -> datetime:
        """When its day is over: none of its rows arrived later."""
        return datetime.strptime(self.name.day, "%Y-%m-%d").replace(tzinfo=UTC) + timedelta(days=1)

    @property
    def table(self) -> Table:
        lines = f"{self.database}.lines" if self.schema_version == SCHEMA_VERSION else None
        return Table(self.name.day, self.source, self.first_row_id, self.last_row_id, lines)


@dataclass(frozen=True, slots=True)
class Origin:
    """What a file says about itself when it is made."""

    created_us: int
    replaces: Sequence[str] = ()
    is_thinned: bool = False
    last_row_id: int = 0


def build(connection: duckdb.DuckDBPyConnection, path: Path, database: str, origin: Origin) -> Path:
    """Attach a new file as `database` for the one that shall be called `path`; it has another name until published."""
    unfinished = path.with_name(f"{UNFINISHED}{path.name}")
    connection.execute(f"DETACH DATABASE IF EXISTS {database}")
    for each in (unfinished, directory.write_ahead_log(unfinished)):
        each.unlink(missing_ok=True)
    connection.execute(f"ATTACH {quoted(unfinished)} AS {database} (STORAGE_VERSION 'latest')")
    connection.execute(f"CREATE TABLE {database}.lines ({_LINES})")
    # `lines` alone: it is looked for beside the view, whatever name the file is attached under.
    connection.execute(f"CREATE VIEW {database}.logs AS SELECT {_LOGS} FROM lines")  # noqa: S608 - our own names
    connection.execute(f"CREATE TABLE {database}.marks ({marks.COLUMNS})")
    connection.execute(f"CREATE TABLE {database}.about ({_ABOUT})")
    connection.execute(
        f"INSERT INTO {database}.about VALUES (?, ?, ?, ?, ?)",  # noqa: S608 - our own name
        [SCHEMA_VERSION, origin.created_us, list(origin.replaces), origin.is_thinned, origin.last_row_id],
    )
    return unfinished


def create(connection: duckdb.DuckDBPyConnection, path: Path, database: str, origin: Origin) -> None:
    """Make an empty file `path`, whole and not attached."""
    unfinished = build(connection, path, database, origin)
    # Detaching writes the log only when no other connection, as one that looks at all databases, holds this one too.
    connection.execute(f"CHECKPOINT {database}")
    connection.execute(f"DETACH {database}")
    directory.publish(unfinished, path)


def attach(connection: duckdb.DuckDBPyConnection, path: Path, database: str, *, is_writable: bool) -> DataFile:
    """The file `path` as `database`. `NewerFileError` for one of a later version; `duckdb.Error`, as in `is_damage`."""
    name = FileName.parse(path.name)
    if name is None:
        raise ValueError(f"cannot attach {path}: not a name of a data file")
    mode = "STORAGE_VERSION 'latest'" if is_writable else "READ_ONLY"
    try:
        connection.execute(f"ATTACH {quoted(path)} AS {database} ({mode})")
    except duckdb.Error as exc:
        if "with version number" in str(exc) and not is_damage(exc):
            raise NewerFileError(f"cannot read {path}: {exc}") from exc
        raise
    try:
        return _described(connection, path, name, database, is_writable)
    except BaseException:
        connection.execute(f"DETACH DATABASE IF EXISTS {database}")
        raise


def last_row_id(connection: duckdb.DuckDBPyConnection, database: str) -> int:
    """The highest row_id of an attached file; 0 while empty."""
    found: int = connection.execute(f"SELECT coalesce(max(row_id), 0) FROM {database}.logs").fetchall()[0][0]  # noqa: S608
    return found


def read_whole(connection: duckdb.DuckDBPyConnection, file: DataFile) -> int:
    """Read every value of an attached file, against its checksums, and give its number of rows; `duckdb.Error`."""
    rows: int = connection.execute(
        f"SELECT count(*), {', '.join(f'bit_xor(hash({column.name}))' for column in COLUMNS)} FROM {file.source}"  # noqa: S608
    ).fetchall()[0][0]
    if file.schema_version:
        connection.execute(
            f"SELECT bit_xor(hash(host, start, first, last, kind)) FROM {file.database}.marks"  # noqa: S608
        ).fetchall()
    return rows


def _described(
    connection: duckdb.DuckDBPyConnection, path: Path, name: FileName, database: str, is_writable: bool
) -> DataFile:
    columns: dict[str, set[str]] = {}
    for table, column in connection.execute(
        "SELECT table_name, column_name FROM duckdb_columns() WHERE database_name = ?", [database]
    ).fetchall():
        columns.setdefault(table, set()).add(column)
    if "logs" not in columns:  # a file of the first version whose collector was killed before it made its table
        columns["logs"] = set()
    about: tuple[int, int, list[str], bool, int] = (0, 0, [], False, 0)
    if "about" in columns:
        version = connection.execute(f"SELECT schema_version FROM {database}.about").fetchall()[0][0]  # noqa: S608
        if version > SCHEMA_VERSION:
            raise NewerFileError(f"cannot read {path}: its schema is {version}, newer than {SCHEMA_VERSION}")
        about = connection.execute(
            f"SELECT schema_version, created_us, replaces, is_thinned, last_row_id FROM {database}.about"  # noqa: S608
        ).fetchall()[0]
    source = _source(database, columns["logs"])
    rows, first, last, batch = connection.execute(
        f"SELECT count(*), coalesce(min(row_id), 0), coalesce(max(row_id), 0), coalesce(max(batch), 0) FROM {source}"  # noqa: S608
    ).fetchall()[0]
    return DataFile(
        path, name, database, about[0], about[1], tuple(about[2]), about[3],
        source, rows, first or name.first, max(last, about[4]), batch, is_writable,
    )  # fmt: skip


def _source(database: str, columns: set[str]) -> str:
    """The view `logs` where there is one: the engine finds the newest rows of that without reading them all."""
    if columns.issuperset(column.name for column in (*COLUMNS, HEADER)):
        return f"{database}.logs"
    wanted = [
        column.name if column.name in columns else f"NULL::{column.sql.split()[0]} AS {column.name}"
        for column in COLUMNS
    ]
    if not columns:
        return f"(SELECT {', '.join(wanted)}, NULL::VARCHAR AS header WHERE false)"
    return f"(SELECT *, {header_of_columns()} AS header FROM (SELECT {', '.join(wanted)} FROM {database}.logs))"  # noqa: S608
