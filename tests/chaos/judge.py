"""What became of what was sent: a store's rows against the hosts' own logs."""

from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from cloud.logs.collector.storage.export import Wanted
from cloud.logs.query.store_admin import open_admin
from tests.chaos.accounts import Sent

_ROWS = """
    CREATE TABLE stored AS
    SELECT "cloudlog.host_start" AS start, "event.sequence" AS number, "cloudlog.row_id" AS row_id,
      "source.address" = 'backfill' AS is_filled
    FROM read_parquet($file) WHERE "host.name" IN (SELECT unnest($hosts)) AND "event.sequence" IS NOT NULL
"""
_MISSING = "SELECT count(*) FROM sent WHERE (start, number) NOT IN (SELECT (start, number) FROM stored)"
_DOUBLED = "SELECT count(*) - count(DISTINCT (start, number)) FROM stored"
_OUT_OF_ORDER = """
    SELECT count(*) FROM (
      SELECT number, max(number) OVER (
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


def export(data: Path, url: str, target: Path) -> None:
    """Every row of a store, by `cloud log store export`'s way: from its collector, or where that is down from its files."""
    target.unlink(missing_ok=True)
    with open_admin(data, url) as admin:
        admin.export(Wanted(), target)


def judge(rows: Path, hosts: list[str], sent: Sent) -> Verdict:
    """`rows` are those of an export; of `hosts` alone, which have sent what is in `sent`, and maybe more since."""
    starts, numbers = [], []
    for start, of_run in sent.numbers.items():
        starts += [start] * len(of_run)
        numbers += list(of_run)
    table = pa.table({"start": pa.array(starts, pa.string()), "number": pa.array(numbers, pa.uint64())})
    with duckdb.connect() as connection:
        connection.register("sent", table)
        connection.execute(_ROWS, {"file": str(rows), "hosts": hosts})
        missing, doubled, out_of_order = (
            int(connection.execute(question).fetchall()[0][0]) for question in (_MISSING, _DOUBLED, _OUT_OF_ORDER)
        )
    return Verdict(missing, doubled, out_of_order)
