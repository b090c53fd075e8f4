"""The stored record: its columns in order, their types in DuckDB and Arrow, and its flags. The one place for both."""

from dataclasses import dataclass, fields
from enum import IntFlag

import pyarrow as pa

TIMESTAMP = pa.timestamp("us", "UTC")


class Flag(IntFlag):
    """What a reader should know of a row, beside its text."""

    TRUNCATED = 1  # the middle of the message is gone: at the sender, or over the listener's maximum size
    UNPARSED = 2  # the message is the raw frame: no header could be read from it
    HOST_UNVERIFIED = 4  # hostname and certificate disagree
    SKEWED = 8  # the emitter's clock and ours are more than SKEW_S apart


SKEW_S = 300


@dataclass(frozen=True, slots=True)
class Row:
    """One received message; None where the sender did not say. The store adds row_id and batch."""

    observed_timestamp: int
    """Arrival at the collector, microseconds since 1970, UTC."""
    peer: str
    facility: int
    severity: int
    message: str
    timestamp: int | None = None
    """The emitter's time, microseconds since 1970, UTC."""
    hostname: str | None = None
    app_name: str | None = None
    procid: str | None = None
    msgid: str | None = None
    structured_data: str | None = None
    """As received, without the line's identity."""
    logger: str | None = None
    level: str | None = None
    request_id: str | None = None
    instance: str | None = None
    project: str | None = None
    event: str | None = None
    migration: str | None = None
    fields: str | None = None
    """The rest of a JSON body, as a JSON object."""
    host_start: str | None = None
    sequence: int | None = None
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `logs`; `sql` carries its compression where the default is not the best measured one."""

    name: str
    sql: str
    arrow: pa.DataType


COLUMNS = (
    Column("row_id", "UBIGINT NOT NULL", pa.uint64()),
    Column("observed_timestamp", "TIMESTAMPTZ NOT NULL", TIMESTAMP),
    Column("timestamp", "TIMESTAMPTZ", TIMESTAMP),
    Column("hostname", "VARCHAR", pa.string()),
    Column("peer", "VARCHAR NOT NULL", pa.string()),
    Column("facility", "UTINYINT NOT NULL", pa.uint8()),
    Column("severity", "UTINYINT NOT NULL", pa.uint8()),
    Column("app_name", "VARCHAR", pa.string()),
    Column("procid", "VARCHAR", pa.string()),
    Column("msgid", "VARCHAR", pa.string()),
    Column("structured_data", "VARCHAR", pa.string()),
    Column("message", "VARCHAR NOT NULL USING COMPRESSION 'zstd'", pa.string()),
    Column("logger", "VARCHAR", pa.string()),
    Column("level", "VARCHAR", pa.string()),
    Column("request_id", "VARCHAR", pa.string()),
    Column("instance", "VARCHAR", pa.string()),
    Column("project", "VARCHAR", pa.string()),
    Column("event", "VARCHAR", pa.string()),
    Column("migration", "VARCHAR", pa.string()),
    Column("fields", "VARCHAR USING COMPRESSION 'zstd'", pa.string()),
    Column("host_start", "VARCHAR", pa.string()),
    Column("sequence", "UBIGINT", pa.uint64()),
    Column("flags", "UTINYINT NOT NULL", pa.uint8()),
    Column("batch", "UBIGINT NOT NULL", pa.uint64()),
)

RECEIVED = tuple(column for column in COLUMNS if column.name in {field.name for field in fields(Row)})
"""The columns that a parser fills; the store adds the others."""


FOLDED = ("app_name", "msgid", "peer", "host_start", "logger", "level", "event")
"""Columns of few different values, stored as one text: each column of text adds a thirtieth to the cost of a row."""
SEPARATOR = "\x1f"
"""Between the values of `header`. None holds it, none is empty; where there would be nothing, there is none."""
HEADER = Column("header", "VARCHAR NOT NULL", pa.string())
STORED = (*(column for column in COLUMNS if column.name not in FOLDED), HEADER)
"""The columns of the table `lines`; the view `logs` of it has those of COLUMNS, and the header."""


def column_of_header(name: str) -> str:
    """SQL: one of FOLDED, out of `header`."""
    return f"nullif(split_part(header, chr({ord(SEPARATOR)}), {FOLDED.index(name) + 1}), '')"


def columns_of_header(header: str) -> dict[str, str | None]:
    """FOLDED, out of the `header` of a row."""
    return {name: value or None for name, value in zip(FOLDED, header.split(SEPARATOR), strict=True)}


def header_of_columns() -> str:
    """SQL: `header`, out of FOLDED."""
    values = ", ".join(f"coalesce({name}, '')" for name in FOLDED)
    return f"concat_ws(chr({ord(SEPARATOR)}), {values})"


def flag_names(flags: int) -> list[str]:
    """The flags of a row in words, as queries and readers write them."""
    return [flag.name.lower() for flag in Flag if flags & flag and flag.name]
