"""Which events there must be, by what was asked, against those that are stored."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping

import duckdb

from cloud.logs.events import BUILD, COMPLETED, STARTED

PerInstance = Mapping[str, Counter[str]]
"""By instance, how often each event."""


def events_of_build() -> Counter[str]:
    """Of one that comes to its end at the first attempt."""
    return Counter(BUILD.event(step, suffix) for step in BUILD.steps for suffix in (STARTED, COMPLETED))


def stored_events(
    connection: duckdb.DuckDBPyConnection, families: Collection[str], by: str = "instance"
) -> PerInstance:
    """The events of `families` (what stands before the first dot), for each value of the column `by`."""
    found = connection.execute(
        f"SELECT {by}, event, count(*) FROM stored WHERE split_part(event, '.', 1) IN (SELECT unnest(?))"  # noqa: S608 - our own name
        " GROUP BY ALL",
        [list(families)],
    ).fetchall()
    counts: dict[str, Counter[str]] = {}
    for key, event, count in found:
        counts.setdefault(str(key), Counter())[event] = count
    return counts


def totals(events: PerInstance) -> Counter[str]:
    """Of all instances together."""
    return sum(events.values(), Counter())


def event_differences(expected: PerInstance, stored: PerInstance) -> Iterator[str]:
    """A text for each instance whose events are others."""
    for key in sorted({*expected, *stored}):
        wanted, found = expected.get(key, Counter()), stored.get(key, Counter())
        if wanted != found:
            missing, more = wanted - found, found - wanted
            yield f"{key}: missing {_listed(missing)}; not expected {_listed(more)}"


def _listed(events: Counter[str]) -> str:
    return ", ".join(f"{event} {count}" for event, count in sorted(events.items())) or "nothing"
