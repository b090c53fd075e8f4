"""Rows as Parquet, under the names of the Elastic Common Schema, which OpenTelemetry took over."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from cloud.logs.collector.storage.engine import quoted, store_error
from cloud.logs.collector.storage.files import Files

NAMES = {
    "timestamp": "@timestamp",
    "observed_timestamp": "event.ingested",
    "hostname": "host.name",
    "peer": "source.address",
    "facility": "log.syslog.facility.code",
    "severity": "log.syslog.severity.code",
    "app_name": "service.name",
    "procid": "log.syslog.procid",
    "msgid": "log.syslog.msgid",
    "structured_data": "log.syslog.structured_data",
    "message": "message",
    "logger": "log.logger",
    "level": "log.level",
    "request_id": "http.request.id",
    "instance": "cloud.instance.id",
    "project": "cloud.project.id",
    "event": "event.action",
    "migration": "cloudlog.migration",
    "fields": "cloudlog.fields",
    "host_start": "cloudlog.host_start",
    "sequence": "event.sequence",
    "flags": "cloudlog.flags",
    "row_id": "cloudlog.row_id",
    "batch": "cloudlog.batch",
}
"""Our columns and what they are called outside; what has no name there begins with `cloudlog.`."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows, by time of arrival; None wants all."""

    since: datetime | None = None
    until: datetime | None = None
    """Rows before this moment."""
    host: str | None = None


def export_parquet(files: Files, wanted: Wanted, target: Path) -> int:
    """Write the rows to the new file `target`, in order of arrival within each day's, and give their number.

    `StoreError` and no file when it cannot be written.
    """
    columns = ", ".join(f'{column} AS "{name}"' for column, name in NAMES.items())
    parameters: dict[str, object] = {}
    clauses = ["true"]
    for name, clause, value in (
        ("since", "observed_timestamp >= $since", wanted.since),
        ("until", "observed_timestamp < $until", wanted.until),
        ("host", "hostname = $host", wanted.host),
    ):
        if value is not None:
            clauses.append(clause)
            parameters[name] = value
    if target.exists():
        raise store_error("cannot export", FileExistsError(f"{target} exists"))
    try:
        with files.shelf.reading() as held, files.connection.cursor() as cursor:
            sources = [file.source for file in sorted(held, key=lambda file: file.name)]
            if not sources:
                raise duckdb.InvalidInputException("the store is empty")
            rows = " UNION ALL ".join(
                f"SELECT {columns} FROM {source} WHERE {' AND '.join(clauses)}"  # noqa: S608 - our own names
                for source in sources
            )
            [(count,)] = cursor.execute(
                f"COPY ({rows}) TO {quoted(target)} (FORMAT parquet, COMPRESSION zstd)", parameters
            ).fetchall()
            target.chmod(0o600)
    except (duckdb.Error, OSError) as exc:
        target.unlink(missing_ok=True)
        raise store_error(f"cannot export to {target}", exc) from exc
    return int(count)
