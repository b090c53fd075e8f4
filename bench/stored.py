"""What a collector that has ended left in its data directory, read from the files themselves."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb


@dataclass(frozen=True, slots=True)
class Run:
    """The stored lines of one host in one life of its rsyslogd."""

    host: str
    start: str
    lines: int
    distinct: int
    first: int
    last: int

    @property
    def doubled(self) -> int:
        return self.lines - self.distinct

    @property
    def missing(self) -> int:
        """Numbers that should be between 1 and the last one that is there."""
        return self.last - self.distinct


@dataclass(frozen=True, slots=True)
class Stored:
    """All rows there are."""

    runs: tuple[Run, ...]
    unnumbered: int


@contextmanager
def stored_lines(data: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the view `stored`: all that the `logs` views below `data` hold, which nobody else has open.

    There is no such view where nothing was stored.
    """
    files = sorted(data.rglob("logs-*.duckdb"))
    with duckdb.connect() as connection:
        for number, file in enumerate(files):
            quoted = str(file).replace("'", "''")
            connection.execute(f"ATTACH '{quoted}' AS file_{number} (READ_ONLY)")
        connection.execute(f"SET temp_directory = '{str(data.parent).replace(chr(39), chr(39) * 2)}/spill'")
        tables = connection.execute("SELECT database_name FROM duckdb_tables() WHERE table_name = 'lines'").fetchall()
        if tables:
            union = " UNION ALL ".join(f"SELECT * FROM {name}.logs" for (name,) in tables)  # noqa: S608 - our own names
            connection.execute(f"CREATE VIEW stored AS {union}")
        yield connection


def read_stored(data: Path) -> Stored:
    """Count the lines by the numbers that hosts gave them."""
    with stored_lines(data) as connection:
        if not connection.execute("SELECT 1 FROM duckdb_views() WHERE view_name = 'stored'").fetchall():
            return Stored((), 0)
        found = connection.execute(
            "SELECT hostname, host_start FROM stored WHERE sequence IS NOT NULL GROUP BY ALL ORDER BY ALL"
        ).fetchall()
        runs = [Run(host, start, *_numbers(connection, host, start)) for host, start in found]
        unnumbered = connection.execute("SELECT count(*) FROM stored WHERE sequence IS NULL").fetchall()[0][0]
    return Stored(tuple(runs), unnumbered)


def _numbers(connection: duckdb.DuckDBPyConnection, host: str, start: str) -> tuple[int, int, int, int]:
    """One run at a time: all numbers of a long soak at once do not fit into memory."""
    lines, distinct, first, last = connection.execute(
        "SELECT count(*), count(DISTINCT sequence), min(sequence), max(sequence) FROM stored"
        " WHERE hostname = ? AND host_start = ?",
        [host, start],
    ).fetchall()[0]
    return int(lines), int(distinct), int(first), int(last)
