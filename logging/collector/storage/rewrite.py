"""Sealed files into one: the parts of a past day, and what is left of a file when rows of a severity have expired."""

from collections.abc import Callable, Sequence
from contextlib import suppress

import duckdb

from cloud.logs.collector.row import STORED
from cloud.logs.collector.storage import directory
from cloud.logs.collector.storage.datafile import DataFile, Origin, attach, build
from cloud.logs.collector.storage.engine import transaction
from cloud.logs.collector.storage.files import Files
from cloud.logs.collector.storage.marks import compact
from cloud.logs.collector.storage.names import UNFINISHED, FileName
from cloud.logs.collector.storage.removals import Removal

_COLUMN_LIST = ", ".join(column.name for column in STORED)


class RewriteStoppedError(Exception):
    """Whoever asked for it has no more time; everything is as it was."""


def rewrite(
    files: Files,
    cursor: duckdb.DuckDBPyConnection,
    parts: Sequence[DataFile],
    *,
    without: Sequence[int] = (),
    reached: Callable[[str], None] = lambda _: None,
) -> DataFile:
    """Put one file in the place of sealed `parts` of one day, without the severities `without`.

    Atomic: the new file names the parts that it replaces, and counts from the moment in which it gets its name; a
    start deletes those that are still there. Until then nothing has changed, also with `duckdb.Error` or `OSError`.
    Takes memory for a few row groups, and can be interrupted by `cursor`. `reached` hears of each step before it,
    and may raise to end it.
    """
    parts = sorted(parts, key=lambda part: part.name)
    name = FileName(parts[0].name.day, parts[0].name.first, 1 + max(part.name.generation for part in parts))
    path = files.path / str(name)
    origin = Origin(
        parts[0].created_us,
        [part.path.name for part in parts],
        is_thinned=bool(without) or any(part.is_thinned for part in parts),
        last_row_id=max(part.last_row_id for part in parts),  # also when the row that had it has expired
    )
    database = files.next_database()
    kept = f"WHERE severity NOT IN ({', '.join(map(str, without))})" if without else ""
    try:
        reached("build")
        unfinished = build(cursor, path, database, origin)
        for part in parts:
            reached("copy")
            cursor.execute(
                f"INSERT INTO {database}.lines ({_COLUMN_LIST})"  # noqa: S608 - our own names and numbers
                f" SELECT {_COLUMN_LIST} FROM {part.source} {kept}"
            )
            if part.schema_version:
                cursor.execute(f"INSERT INTO {database}.marks SELECT * FROM {part.database}.marks")  # noqa: S608
        with transaction(cursor):
            compact(cursor, database)
        cursor.execute(f"CHECKPOINT {database}")
        cursor.execute(f"DETACH {database}")
        reached("publish")
        directory.publish(unfinished, path)
    except BaseException:
        with suppress(duckdb.Error):
            cursor.execute(f"DETACH DATABASE IF EXISTS {database}")
        for each in files.path.glob(f"{UNFINISHED}{path.name}*"):
            each.unlink()
        raise
    reached("replace")
    made = attach(cursor, path, database, is_writable=False)
    if without:
        for part in parts:
            files.removals.add(Removal(part.end, part.last_row_id))
    files.replace(parts, [made])
    return made
