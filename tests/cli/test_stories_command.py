"""`cloud log trace`, `timeline`, `migrations` and `hosts` as processes."""

import csv
import io
import json
from collections.abc import Iterator

import pytest

from tests.cli.collecting import Collector, collecting

UUID = "8c1c5a6e-6c0f-4a55-9a36-0d5cbd8a2c11"


def said(message: str, **body: object) -> str:
    fields = {"message": message, "request_id": "req-1", "instance": UUID, "migration": 42, **body}
    return f"@cee: {json.dumps(fields)}"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as found:
        found.send("ctl", said("request accepted", event="migration.request.started", source_compute="compute-01"))
        found.send(
            "compute-02",
            said(
                "step failed",
                event="migration.dest_check.failed",
                error="no room",
                dest_compute="compute-02",
                instance_id=5561,
            ),
            severity=3,
        )
        found.send("ctl", said("migration ended", status="failed"), severity=3)
        yield found


def test_a_trace_tells_each_services_time_and_lines(collector: Collector) -> None:
    done = collector.run("trace", "req-1", "--utc")
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert lines[:5] == [
        "request req-1: 0.000 s by the emitters' clocks",
        "HOST        SERVICE       SECONDS  LINES  ERRORS",
        "ctl         nova-compute    0.000      2       1",
        "compute-02  nova-compute    0.000      1       1",
        "",
    ]
    assert [line.split()[5:7] for line in lines[5:]] == [
        ["request", "accepted"],
        ["step", "failed"],
        ["migration", "ended"],
    ]


def test_a_request_of_which_there_is_no_line_is_the_exit_code_1(collector: Collector) -> None:
    done = collector.run("trace", "req-0")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: the collector refuses: cannot find a line of request req-0 since ")


@pytest.mark.parametrize("name", [UUID, "i-000015b9", "5561"])
def test_a_timeline_is_found_by_every_name(collector: Collector, name: str) -> None:
    done = collector.run("timeline", name)
    assert done.returncode == 0
    head, _, *lines = done.stdout.splitlines()
    assert head == f"instance uuid {UUID}, domain instance-000015b9, ec2_id i-000015b9, instance_id 5561"
    assert len(lines) == 3


def test_migrations_are_a_table_or_json(collector: Collector) -> None:
    done = collector.run("migrations", "--utc")
    head, line = done.stdout.splitlines()
    assert head.split() == ["ID", "STATE", "TYPE", "BEGAN", "SECONDS", "SOURCE", "DEST", "INSTANCE", "STEP", "ERROR"]
    assert line.split() == [
        "42", "failed", "migration", "2026-01-31", "10:00:00.500", "0.000", "compute-01", "compute-02", UUID, "dest_check",
        "no", "room",
    ]  # fmt: skip
    [found] = map(json.loads, collector.run("migrations", "--output", "json").stdout.splitlines())
    assert (found["id"], found["state"], found["error"]) == ("42", "failed", "no room")


def test_csv_has_times_with_their_zone(collector: Collector) -> None:
    [migration] = csv.DictReader(io.StringIO(collector.run("migrations", "--output", "csv").stdout))
    assert migration["began"] == "2026-01-31T10:00:00.500000Z"
    for host in csv.DictReader(io.StringIO(collector.run("hosts", "--output", "csv").stdout)):
        assert host["last seen"].endswith("Z")


def test_hosts_are_a_table(collector: Collector) -> None:
    done = collector.run("hosts")
    head, *lines = done.stdout.splitlines()
    assert head.split("  ")[0] == "HOST"
    assert [line.split()[0] for line in lines] == ["compute-02", "ctl"]
    assert done.stderr == "cloud log hosts: the collector stores 0.0 s behind\n"
