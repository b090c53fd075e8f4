"""What an explanation could not see is said: silent hosts, gaps, clocks that are off, levels that drop stages, cuts."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.query.explain.explain import explain
from cloud.logs.query.explain.explanation import Certainty
from cloud.logs.query.search import Search
from tests.query.explain.wire import NOON_US, NOW, explained, line, table

UUID = "0a1b2c3d-1111-4aaa-8aaa-000000000001"
ERROR = "cannot move it: internal error: qemu unexpectedly closed the monitor"
KILLED = "Killed process 31877 (qemu-system-x86) total-vm:9412344kB, anon-rss:7340032kB"


def event(name: str, at_s: float, *, host: str = "controller", number: int | None = None, **fields: Any) -> bytes:
    step = name.split(".")[1]
    body = {
        "message": "step", "event": name, "level": "INFO", "logger": "nova.conductor", "step": step, "instance": UUID,
        "migration": 7, "request_id": "req-1", "source_compute": "compute-01", "dest_compute": "compute-02", **fields,
    }  # fmt: skip
    severity = 3 if name.endswith("failed") else 6
    text = f"@cee: {json.dumps(body)}"
    return line(text, at_s=at_s, host=host, service="nova-conductor", severity=severity, number=number)


WHOLE = [
    event(f"migration.{step}.{suffix}", at_s + (suffix == "completed"), number=2 * index + 1 + (suffix == "completed"))
    for index, (step, at_s) in enumerate(
        [("request", 0), ("source_check", 2), ("schedule", 4), ("claim", 6), ("dest_check", 8), ("pre", 10)]
    )
    for suffix in ("started", "completed")
]
FAILED = [
    event("migration.transfer.started", 12, number=13),
    event("migration.transfer.failed", 40, number=14, error=ERROR, cause="ComputeError", step_s=28.0),
]
ALIVE = [
    line("a line", at_s=at_s, host=host) for host in ("compute-02", "compute-01", "controller") for at_s in (0, 45)
]


def not_seen(store: DuckDbStore, *messages: bytes) -> tuple[str, ...]:
    store.append(table(messages, observed_us=NOON_US + 45_000_000))
    return explain("7", Search(store), now=NOW + timedelta(seconds=50)).not_seen


def test_where_all_is_there_nothing_is_said(store: DuckDbStore) -> None:
    assert not_seen(store, *WHOLE, *FAILED, *ALIVE) == ()


def test_a_host_that_is_silent_since_is_named(store: DuckDbStore) -> None:
    late = [event("migration.transfer.failed", 400, number=14, error=ERROR, cause="ComputeError")]
    store.append(table([*WHOLE, FAILED[0], *ALIVE], observed_us=NOON_US + 45_000_000))
    store.append(table(late, observed_us=NOON_US + 400_000_000))
    found = explain("7", Search(store), now=NOW + timedelta(seconds=401)).not_seen
    assert "host compute-02 is silent since 2027-01-15 12:00:45+00:00, which is before the end of this" in found


def test_a_host_without_a_line_is_named(store: DuckDbStore) -> None:
    found = not_seen(store, *WHOLE, *FAILED, *ALIVE[2:])
    assert found == ("host compute-02 has no line at all in this time",)


def test_numbers_that_are_missing_are_named_by_host_and_run(store: DuckDbStore) -> None:
    numbered = [line("a line", at_s=20 + n, host="compute-02", number=n) for n in (1, 2, 5, 9)]
    found = not_seen(store, *WHOLE, *FAILED, *numbered, *ALIVE)
    assert found == ("of host compute-02 lines 3-4, 6-8 are missing (run run-1): `cloud log backfill` may find them",)


def test_a_run_that_another_has_followed_is_not_known_to_be_whole(store: DuckDbStore) -> None:
    runs = [line("a line", at_s=20, host="compute-02", number=1, run=run) for run in ("run-1", "run-2")]
    (found,) = not_seen(store, *WHOLE, *FAILED, *runs, *ALIVE)
    assert found.startswith("rsyslogd of host compute-02 was started again in this time")


def test_a_clock_that_is_ahead_is_named_and_its_lines_are_put_where_they_belong(store: DuckDbStore) -> None:
    ahead = line(KILLED, at_s=39 + 100, host="compute-02", service="kernel", severity=3)
    store.append(table([*WHOLE, *FAILED, *ALIVE[2:], ahead], observed_us=NOON_US + 45_000_000))
    found = explain("7", Search(store), now=NOW + timedelta(seconds=50))
    assert any(sentence.startswith("the clock of host compute-02 is 94 s ahead") for sentence in found.not_seen)


def test_a_threshold_that_drops_stages_is_suspected_where_they_are_missing(store: DuckDbStore) -> None:
    (found,) = not_seen(store, FAILED[1], event("migration.request.started", 0), *ALIVE)
    assert found.startswith(
        "stages have no line of their beginning or end: source_check, schedule, claim, dest_check, pre"
    )
    assert "above INFO" in found


def test_a_time_range_that_cuts_it_is_named(store: DuckDbStore) -> None:
    store.append(table([*WHOLE, *FAILED, *ALIVE], observed_us=NOON_US + 45_000_000))
    since = datetime.fromtimestamp(NOON_US / 1_000_000, UTC)
    found = explain("7", Search(store), now=NOW + timedelta(seconds=50), since=since).not_seen
    assert found == ("the time range begins at 2027-01-15 12:00:00+00:00: what was before that is not looked at",)


def test_a_kernel_that_killed_qemu_lies_behind_the_error_and_is_likely_at_best(store: DuckDbStore) -> None:
    killed = line(KILLED, at_s=39, host="compute-02", service="kernel", severity=3)
    store.append(table([*WHOLE, *FAILED, killed, *ALIVE], observed_us=NOON_US + 45_000_000))
    (cause,) = explained(store, "7").causes
    assert (cause.id, cause.certainty, cause.seen_in.service) == ("oom-killed", Certainty.LIKELY, "kernel")
    assert "process 31877" in cause.meaning


@pytest.mark.parametrize(
    ("host", "at_s", "text"),
    [
        ("compute-03", 39, KILLED),
        ("compute-02", -100, KILLED),
        ("compute-02", 39, "Killed process 31877 (mysqld) total-vm:9412344kB"),
    ],
    ids=["another host", "long before", "another program"],
)
def test_what_has_nothing_to_do_with_it_is_no_cause(store: DuckDbStore, host: str, at_s: float, text: str) -> None:
    killed = line(text, at_s=at_s, host=host, service="kernel", severity=3)
    store.append(table([*WHOLE, *FAILED, killed, *ALIVE], observed_us=NOON_US + 45_000_000))
    assert explained(store, "7").causes == ()
