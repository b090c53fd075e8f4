"""Rows as the writer hands them to the store, without a parser."""

from collections.abc import Sequence

import pyarrow as pa

from cloud.logs.collector.lines import Mark, MarkKind, Run
from cloud.logs.collector.row import RECEIVED

NOON_US = 1_800_014_400_000_000  # 2027-01-15 12:00:00 UTC
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
START = "4c9ad5a8-5b65-4a35-a0d5-5a7f5a3a2f0e"


def rows_of(
    messages: Sequence[str],
    *,
    observed_us: int = NOON_US,
    severities: Sequence[int] | None = None,
    host: str = "compute-01",
    first: int | None = None,
    start: str = START,
) -> pa.Table:
    """A row for each of `messages`; numbered from `first` on in the host's run where that is given."""
    count = len(messages)
    values: dict[str, list[object]] = {
        "observed_timestamp": [observed_us] * count,
        "hostname": [host] * count,
        "peer": ["192.0.2.7"] * count,
        "facility": [16] * count,
        "severity": list(severities or [6] * count),
        "app_name": ["nova-api"] * count,
        "message": list(messages),
        "flags": [0] * count,
    }
    if first is not None:
        values |= {"host_start": [start] * count, "sequence": list(range(first, first + count))}
    return pa.table({c.name: pa.array(values.get(c.name, [None] * count), c.arrow) for c in RECEIVED})


def counted(first: int, count: int, *, observed_us: int = NOON_US, host: str = "compute-01") -> pa.Table:
    """Rows whose messages and numbers in their run are those from `first` on."""
    return rows_of([str(n) for n in range(first, first + count)], observed_us=observed_us, first=first, host=host)


def mark(
    first: int, last: int, *, host: str = "compute-01", start: str = START, kind: MarkKind = MarkKind.STORED
) -> Mark:
    return Mark(Run(host, start), first, last, kind)
