"""Which events there must be, by what was asked, against those that are stored."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping

import duckdb

from cloud.logs.events import BUILD, COMPLETED, FAILED, STARTED

_OWN = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\bcompute-\d+\b|\b\d+(\.\d+)?(?= s\b)")
"""What an error says of one instance, host or moment alone."""
PerInstance = Mapping[str, Counter[str]]
"""By instance, how often each event."""


ON_HOST = ("network", "image", "spawn")
"""Steps of a build after whose failure another host is tried."""


def events_of_build(failed: Iterable[str] = ()) -> Counter[str]:
    """Of one that comes to its end, at the first attempt or after one elsewhere for each of the steps `failed`."""
    events = Counter(BUILD.event(step, suffix) for step in BUILD.steps for suffix in (STARTED, COMPLETED))
    first, *attempted = BUILD.steps
    assert first == "request"
    for last in failed:
        for step in attempted:
            events[BUILD.event(step, STARTED)] += 1
            events[BUILD.event(step, FAILED if step == last else COMPLETED)] += 1
            if step == last:
                break
    return events


def steps_that_failed(events: Counter[str]) -> list[str]:
    """Of a build, those after which it begins anew; as often as they did."""
    return [step for step in ON_HOST for _ in range(events[BUILD.event(step, FAILED)])]


def causes_of_retries(connection: duckdb.DuckDBPyConnection) -> Counter[tuple[str, str]]:
    """What failed on a host so that another was tried: step and error, without what differs from one to the next."""
    names = [BUILD.event(step, FAILED) for step in ON_HOST]
    found = connection.execute(
        "SELECT event, json_extract_string(fields, '/error') FROM stored WHERE event IN (SELECT unnest(?))", [names]
    ).fetchall()
    return Counter((event, _OWN.sub("...", error or "no error is named")) for event, error in found)


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
