"""The marks of a data file: which numbers of which runs it accounts for."""

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from cloud.logs.collector.lines import Mark, MarkKind, Run
from cloud.logs.collector.storage.engine import insert_from

COLUMNS = "host VARCHAR, start VARCHAR, first UBIGINT, last UBIGINT, kind VARCHAR, since UBIGINT"
"""Since: the row_id behind which the mark was made, which tells an old run from a new one."""
MAX_EXPIRED_RUNS = 20_000
_SCHEMA = pa.schema(
    [
        ("host", pa.string()),
        ("start", pa.string()),
        ("first", pa.uint64()),
        ("last", pa.uint64()),
        ("kind", pa.string()),
    ]
)


def insert_marks(connection: duckdb.DuckDBPyConnection, database: str, marks: Sequence[Mark], since: int) -> None:
    """Add `marks` to an attached file, in the transaction that is under way."""
    columns = zip(*((m.run.host, m.run.start, m.first, m.last, m.kind.value) for m in marks), strict=True)
    incoming = pa.table(
        [pa.array(values, field.type) for values, field in zip(columns, _SCHEMA, strict=True)], schema=_SCHEMA
    )
    insert_from(connection, incoming, f"INSERT INTO {database}.marks SELECT *, {since} FROM incoming")  # noqa: S608


def joined(source: str) -> str:
    """SQL for the marks of `source`, where those of one run and kind that touch or overlap are one."""
    run = "PARTITION BY host, start, kind ORDER BY first, last"
    return f"""
        SELECT host, start, min(first) AS first, max(last) AS last, kind, min(since) AS since FROM (
            SELECT *, sum(is_new) OVER ({run} ROWS UNBOUNDED PRECEDING) AS island FROM (
                SELECT *, coalesce(first > 1 + max(last) OVER (
                    {run} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), true)::INTEGER AS is_new FROM {source}))
        GROUP BY host, start, kind, island"""  # noqa: S608 - our own names


def compact(connection: duckdb.DuckDBPyConnection, database: str) -> None:
    """Join the marks of an attached file that nobody appends to any more, in the transaction that is under way."""
    connection.execute(f"CREATE TEMP TABLE compacted AS {joined(f'{database}.marks')}")
    try:
        connection.execute(f"DELETE FROM {database}.marks")  # noqa: S608
        connection.execute(f"INSERT INTO {database}.marks SELECT * FROM compacted ORDER BY since, host, first")  # noqa: S608
    finally:
        connection.execute("DROP TABLE compacted")


def read_marks(connection: duckdb.DuckDBPyConnection, databases: Sequence[str]) -> list[Mark]:
    """The marks of attached files, the oldest runs first."""
    if not databases:
        return []
    everything = " UNION ALL ".join(f"SELECT * FROM {database}.marks" for database in databases)  # noqa: S608
    rows = connection.execute(
        f"SELECT host, start, first, last, kind FROM ({joined(f'({everything})')})"  # noqa: S608
        " ORDER BY min(since) OVER (PARTITION BY host, start), host, start, first"
    ).fetchall()
    return [Mark(Run(host, start), first, last, MarkKind(kind)) for host, start, first, last, kind in rows]


def hand_on_marks(connection: duckdb.DuckDBPyConnection, expired: Sequence[str], database: str) -> None:
    """Add the marks of files that are to be deleted to another one, as expired, in the transaction that is under way.

    Of the newest 20,000 runs: an account that grows for ever would be no help to a run that is long over.
    """
    everything = " UNION ALL ".join(f"SELECT * FROM {name}.marks" for name in expired)  # noqa: S608
    as_expired = (
        "(SELECT * REPLACE (CASE WHEN kind = 'stored' THEN 'expired' ELSE kind END AS kind)"  # noqa: S608
        f" FROM ({everything}))"
    )
    connection.execute(
        f"INSERT INTO {database}.marks SELECT host, start, first, last, kind, since FROM ("  # noqa: S608
        f" SELECT *, dense_rank() OVER (ORDER BY newest DESC, host, start) AS place FROM ("
        f" SELECT *, max(since) OVER (PARTITION BY host, start) AS newest FROM ({joined(as_expired)})))"
        f" WHERE place <= {MAX_EXPIRED_RUNS}"
    )
