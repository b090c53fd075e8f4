"""What a store holds and whether all of it can be read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb

from cloud.logs.collector.index.indexes import index_path
from cloud.logs.collector.index.layout import IndexDamagedError
from cloud.logs.collector.storage import directory
from cloud.logs.collector.storage.datafile import DataFile, read_whole
from cloud.logs.collector.storage.engine import is_damage
from cloud.logs.collector.storage.files import Files
from cloud.logs.collector.storage.marks import joined

MAX_HOSTS = 100


@dataclass(frozen=True, slots=True)
class FileStats:
    """One file of the store."""

    name: str
    state: str
    """live, sealed, refused or damaged."""
    rows: int
    size_bytes: int
    first_time: str | None = None
    last_time: str | None = None
    note: str = ""
    is_indexed: bool = False
    """Whether it has an index of its texts, whose bytes are not in `size_bytes`."""
    index_bytes: int = 0


@dataclass(frozen=True, slots=True)
class HostStats:
    """A host's share of the rows."""

    host: str | None
    rows: int


@dataclass(frozen=True, slots=True)
class Stats:
    """All of it."""

    files: Sequence[FileStats]
    rows: int
    size_bytes: int
    hosts: Sequence[HostStats]
    """Those with the most rows first, 100 at most."""

    @property
    def bytes_per_row(self) -> float:
        return self.size_bytes / self.rows if self.rows else 0.0


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found in reading everything."""

    rows: int
    problems: Sequence[str]


def stats(files: Files) -> Stats:
    """Sizes, times and hosts' shares of what is there now."""
    found = []
    hosts: dict[str | None, int] = {}
    rows = 0
    with files.shelf.reading() as held, files.connection.cursor() as cursor:
        for file in sorted(held, key=lambda file: file.name):
            first, last = cursor.execute(
                "SELECT epoch_us(min(observed_timestamp)), epoch_us(max(observed_timestamp))"  # noqa: S608 - our name
                f" FROM {file.source}"
            ).fetchall()[0]
            for host, count in cursor.execute(
                f"SELECT hostname, count(*) FROM {file.source} GROUP BY ALL"  # noqa: S608 - our own name
            ).fetchall():
                hosts[host] = hosts.get(host, 0) + count
            rows += file.rows
            state = "live" if file.is_writable else "sealed"
            size = directory.total_bytes(file.path)
            index = files.indexes.of(file)
            indexed = 0 if index is None else index.size_bytes
            found.append(
                FileStats(
                    file.path.name, state, file.rows, size, _text(first), _text(last),
                    is_indexed=index is not None, index_bytes=indexed,
                )
            )  # fmt: skip
    size = sum(file.size_bytes for file in found)
    for name, why in sorted(files.refused.items()):
        found.append(FileStats(name, "refused", 0, directory.total_bytes(files.path / name), note=why))
    damaged = directory.damaged_files(files.path)
    found += [FileStats(path.name, "damaged", 0, path.stat().st_size) for path in damaged]
    most = sorted(hosts.items(), key=lambda share: (-share[1], share[0] or ""))[:MAX_HOSTS]
    return Stats(found, rows, size, [HostStats(host, count) for host, count in most])


def check(files: Files) -> Checked:
    """Read every value against its checksum, and compare rows with marks; nothing is changed."""
    problems = [f"{path.name}: was damaged and is set aside" for path in directory.damaged_files(files.path)]
    problems += [f"{name}: {why}" for name, why in sorted(files.refused.items())]
    rows = 0
    with files.shelf.reading() as held, files.connection.cursor() as cursor:
        readable = []
        for file in sorted(held, key=lambda file: file.name):
            try:
                rows += read_whole(cursor, file)
                readable.append(file)
            except duckdb.Error as exc:
                what = "damaged" if is_damage(exc) else "cannot be read"
                problems.append(f"{file.path.name}: {what}: {exc}")
        for file in readable:
            problems += _wrong_ids(cursor, file)
            problems += _wrong_marks(cursor, file)
            problems += _wrong_index(files, file)
    return Checked(rows, problems)


def _text(time_us: int | None) -> str | None:
    if time_us is None:
        return None
    return datetime.fromtimestamp(time_us / 1e6, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _wrong_index(files: Files, file: DataFile) -> list[str]:
    index = files.indexes.of(file)
    try:
        if index is not None:
            index.check()
    except (IndexDamagedError, OSError) as exc:
        return [f"{index_path(file.path).name}: {exc}"]
    return []


def _wrong_ids(cursor: duckdb.DuckDBPyConnection, file: DataFile) -> list[str]:
    [(count, distinct)] = cursor.execute(
        f"SELECT count(*), count(*) FILTER (row_id > before OR before IS NULL)"  # noqa: S608 - our own name
        f" FROM (SELECT row_id, lag(row_id) OVER (ORDER BY row_id) AS before FROM {file.source})"
    ).fetchall()
    return [f"{file.path.name}: {count - distinct} row_ids stand there twice"] if count > distinct else []


def _wrong_marks(cursor: duckdb.DuckDBPyConnection, file: DataFile) -> list[str]:
    """Numbered rows and marks of one transaction are in one file, so that they agree within each."""
    if not file.schema_version:
        return []
    marked = joined(f"(SELECT * FROM {file.database}.marks WHERE kind = 'stored')")  # noqa: S608 - our own name
    found = cursor.execute(
        f"""SELECT coalesce(r.start, m.start), coalesce(r.numbers, 0), coalesce(m.numbers, 0), coalesce(r.rows, 0)
            FROM (SELECT host_start AS start, count(*) AS rows, count(DISTINCT sequence) AS numbers
                  FROM {file.source} WHERE host_start IS NOT NULL GROUP BY ALL) r
            FULL JOIN (SELECT start, sum(last - first + 1) AS numbers FROM ({marked}) GROUP BY ALL) m
            ON r.start = m.start ORDER BY 1"""  # noqa: S608 - our own names
    ).fetchall()
    problems = []
    for start, numbers, marks, rows in found:
        if rows > numbers:
            problems.append(f"{file.path.name}: {rows - numbers} lines of run {start} stand there twice")
        if marks > numbers and not file.is_thinned:
            problems.append(f"{file.path.name}: {marks - numbers} marked lines of run {start} are not there")
    return problems
