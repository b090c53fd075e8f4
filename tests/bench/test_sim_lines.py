"""Lines and events of a simulation: those that there should be against those that are stored."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from bench.sim.cloud import CloudSettings, HostProcess
from bench.sim.counts import CountFile
from bench.sim.events import event_differences, events_of_build, steps_that_failed, stored_events
from bench.sim.hosts import speakers_of
from bench.sim.lines import differences, emitted_lines, stored_lines_by_service
from cloud.logs.emit.counts import Outcome

HOSTS = ("compute-01", "compute-02")
COMPUTE, NETWORK = ("compute-01", "nova-compute"), ("compute-01", "nova-network")
API = ("controller-01", "nova-api")


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """With an empty `stored` of the columns that are looked at."""
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE stored (hostname VARCHAR, app_name VARCHAR, event VARCHAR, fields VARCHAR, instance VARCHAR, migration VARCHAR)"
        )
        yield connection


def store(connection: duckdb.DuckDBPyConnection, service: tuple[str, str], lines: int, **columns: str) -> None:
    for _ in range(lines):
        connection.execute(
            "INSERT INTO stored (hostname, app_name, event, fields, instance) VALUES (?, ?, ?, ?, ?)",
            [*service, columns.get("event"), columns.get("fields"), columns.get("instance")],
        )


def test_counts_outlive_whoever_counts_and_go_on(tmp_path: Path) -> None:
    speakers = list(speakers_of(HOSTS))
    first = CountFile(tmp_path / "counts", speakers)
    first.counts(speakers[0]).add(Outcome.SENT)
    first.counts(None).add(Outcome.QUEUE_FULL, 2)
    del first
    second = CountFile(tmp_path / "counts", speakers)
    second.counts(speakers[0]).add(Outcome.SENT)
    assert [second.counts(speaker).sent for speaker in speakers] == [2, 0, 0, 0]
    assert second.counts(None).dropped == {"queue_full": 2}


def test_lines_are_those_that_hosts_count_and_controllers_name_last(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    counts = CountFile(tmp_path / "counts", list(speakers_of(HOSTS)))
    compute, *_ = speakers_of(HOSTS)
    counts.counts(compute).add(Outcome.SENT, 5)
    counts.counts(compute).add(Outcome.NOT_SENT, 1)
    store(connection, API, 3)
    store(connection, API, 1, event="service.stop", fields='{"lines": 3, "lines_dropped": {"queue_full": 7}}')
    store(connection, COMPUTE, 4)
    store(connection, COMPUTE, 1, event="service.stop", fields='{"lines": 99, "lines_dropped": {}}')
    emitted = emitted_lines([HostProcess(1, HOSTS, counts)], connection)
    assert +emitted.sent == Counter({COMPUTE: 5, API: 4})
    assert emitted.dropped == {"not_sent": 1, "queue_full": 7}
    assert list(differences(emitted.sent, stored_lines_by_service(connection))) == []


def test_lines_that_are_missing_or_too_many_are_named() -> None:
    sent = {COMPUTE: 5, API: 4, NETWORK: 1}
    stored = {COMPUTE: 4, API: 4, ("compute-01", "nobody"): 2}
    assert list(differences(sent, stored)) == [
        "nobody on compute-01 logged 0 lines, 2 are stored",
        "nova-compute on compute-01 logged 5 lines, 4 are stored",
        "nova-network on compute-01 logged 1 lines, 0 are stored",
    ]


def test_build_has_each_of_its_steps_once() -> None:
    steps = ("request", "schedule", "claim", "network", "image", "spawn")
    expected = {f"build.{step}.{suffix}": 1 for step in steps for suffix in ("started", "completed")}
    assert events_of_build() == expected


def test_build_that_was_tried_on_another_host_has_the_events_of_both_attempts() -> None:
    events = events_of_build(["image"])
    twice = ("build.schedule.completed", "build.claim.completed", "build.network.completed", "build.image.started")
    once = ("build.request.completed", "build.image.failed", "build.image.completed", "build.spawn.completed")
    assert [events[event] for event in twice] == [2, 2, 2, 2]
    assert [events[event] for event in once] == [1, 1, 1, 1]
    assert events["build.spawn.started"] == 1
    assert steps_that_failed(events) == ["image"]
    assert steps_that_failed(events_of_build()) == []


def test_failure_without_another_attempt_behind_it_is_a_difference() -> None:
    ended = Counter({"build.request.started": 1, "build.request.completed": 1})
    ended.update({"build.schedule.started": 1, "build.schedule.completed": 1, "build.claim.started": 1})
    ended.update({"build.claim.completed": 1, "build.network.started": 1, "build.network.failed": 1})
    expected = {"a": events_of_build(steps_that_failed(ended))}
    [difference] = event_differences(expected, {"a": ended})
    assert "missing build.claim.completed 1, build.claim.started 1, build.image.completed 1" in difference


def test_events_that_are_missing_or_twice_are_named(connection: duckdb.DuckDBPyConnection) -> None:
    for event in events_of_build():
        store(connection, API, 1, event=event, instance="good")
        if event != "build.claim.completed":
            store(connection, API, 1 + (event == "build.spawn.started"), event=event, instance="bad")
    store(connection, API, 1, event="rpc.timeout", instance="good")
    stored = stored_events(connection, ("build",))
    assert list(event_differences(dict.fromkeys(("good", "bad"), events_of_build()), stored)) == [
        "bad: missing build.claim.completed 1; not expected build.spawn.started 1"
    ]


def test_hosts_are_shared_out_over_the_processes_and_lone_ones_have_their_own() -> None:
    settings = CloudSettings(hosts=7, processes=2, lone_hosts=2)
    assert list(settings.shares()) == [
        ("compute-0001", "compute-0003", "compute-0005"),
        ("compute-0002", "compute-0004"),
        ("compute-0006",),
        ("compute-0007",),
    ]
