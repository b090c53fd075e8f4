"""What became of what was sent: a store's rows against the hosts' own logs."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from cloud.logs.collector.storage.export import Wanted
from cloud.logs.query.store_admin import open_admin
from tests.chaos.accounts import Line, Sent

_ROWS = """
    CREATE TABLE stored AS
    SELECT "cloudlog.host_start" AS start, "event.sequence" AS number, "cloudlog.row_id" AS row_id,
      "source.address" = 'backfill' AS is_filled
    FROM read_parquet($file) WHERE "host.name" IN (SELECT unnest($hosts)) AND "event.sequence" IS NOT NULL
"""
_MISSING = "SELECT count(*) FROM sent WHERE (start, number) NOT IN (SELECT (start, number) FROM stored)"
_DOUBLED = "SELECT count(*) - count(DISTINCT (start, number)) FROM stored"
_OUT_OF_ORDER = """
    SELECT count(*), count(*) FILTER ((start, number) NOT IN (SELECT (start, number) FROM respooled)) FROM (
      SELECT start, number, max(number) OVER (
        PARTITION BY start ORDER BY row_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS highest
      FROM stored WHERE NOT is_filled)
    WHERE number < highest
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """All zero where each line is stored once, and in the order in which its host has numbered it."""

    missing: int
    doubled: int
    out_of_order: int
    """Stored, other than by backfill, after a higher number of the same start id."""
    unexplained: int
    """Those of them that their rsyslogd had not itself put behind higher numbers."""


def export(data: Path, url: str, target: Path) -> None:
    """Every row of a store, by `cloud log store export`'s way: from its collector, or where that is down from its files."""
    target.unlink(missing_ok=True)
    with open_admin(data, url) as admin:
        admin.export(Wanted(), target)


def judge(rows: Path, hosts: list[str], sent: Sent, respooled: Collection[Line]) -> Verdict:
    """`rows` are those of an export; of `hosts` alone, which have sent what is in `sent`, and maybe more since."""
    with duckdb.connect() as connection:
        connection.register("sent", _table((start, n) for start, of_run in sent.numbers.items() for n in of_run))
        connection.register("respooled", _table(respooled))
        connection.execute(_ROWS, {"file": str(rows), "hosts": hosts})
        [(missing,)] = connection.execute(_MISSING).fetchall()
        [(doubled,)] = connection.execute(_DOUBLED).fetchall()
        [(out_of_order, unexplained)] = connection.execute(_OUT_OF_ORDER).fetchall()
    return Verdict(missing, doubled, out_of_order, unexplained)


def _table(lines: Iterable[Line]) -> pa.Table:
    starts, numbers = zip(*lines, strict=True) if (lines := list(lines)) else ((), ())
    return pa.table({"start": pa.array(starts, pa.string()), "number": pa.array(numbers, pa.uint64())})
