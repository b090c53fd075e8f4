"""A log call in a service is a row in the collector: through the rendered files and a real rsyslogd."""

import os
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from cloud.logs.query.client import CollectorClient, Parameters
from cloud.up.machine import Machine
from tests.e2e.conftest import speak
from tests.waiting import wait_until

pytestmark = pytest.mark.server


def rows_of(client: CollectorClient, request_id: str, expected: int) -> list[dict[str, Any]]:
    """The rows of a request once `expected` have arrived."""
    parameters: Parameters = {"request_id": request_id, "n": 1000}
    wait_until(lambda: len(client.rows(parameters)) >= expected, 15, f"{expected} rows of {request_id}")
    return client.rows(parameters)


def new_request() -> str:
    return f"req-{uuid.uuid4()}"


def test_each_level_arrives_with_all_that_the_service_said(machine: Machine, client: CollectorClient) -> None:
    request_id, instance = new_request(), str(uuid.uuid4())
    before = datetime.now(UTC)
    said = speak(
        machine.tree("compute-01"),
        "nova-compute",
        "import os\n"
        "logging.getLogger('nova').setLevel('DEBUG')\n"
        f"with request_context(request_id='{request_id}', project='demo', user='operator'):\n"
        "    for level in ('DEBUG', 'INFO', 'SUCCESS', 'AUDIT', 'WARNING', 'ERROR', 'CRITICAL'):\n"
        f"        logger.bind(instance='{instance}', event='instance.start', step_s=1.5).log(level, 'said ' + level)\n"
        "print(os.getpid())\n",
    )
    after = datetime.now(UTC)
    rows = rows_of(client, request_id, 7)

    assert [(row["message"], row["level"], row["severity"]) for row in rows] == [
        ("said DEBUG", "DEBUG", "debug"),
        ("said INFO", "INFO", "info"),
        ("said SUCCESS", "SUCCESS", "notice"),
        ("said AUDIT", "AUDIT", "notice"),
        ("said WARNING", "WARNING", "warning"),
        ("said ERROR", "ERROR", "err"),
        ("said CRITICAL", "CRITICAL", "crit"),
    ]
    for row in rows:
        assert row["facility"] == "local1"
        assert row["hostname"] == "compute-01"
        assert row["app_name"] == "nova-compute"
        assert row["procid"] == said.stdout.strip()
        assert before <= datetime.fromisoformat(row["timestamp"]) <= after
        assert (row["request_id"], row["project"], row["instance"]) == (request_id, "demo", instance)
        assert (row["event"], row["msgid"]) == ("instance.start", "instance.start")
        assert row["fields"]["user"] == "operator"
        assert row["fields"]["step_s"] == 1.5
        assert "flags" not in row


def test_numbers_count_up_without_a_hole(machine: Machine, client: CollectorClient) -> None:
    request_id = new_request()
    speak(
        machine.tree("compute-01"),
        "nova-compute",
        f"with request_context(request_id='{request_id}'):\n    for n in range(300): logger.info('line')\n",
    )
    rows = rows_of(client, request_id, 300)
    assert len({row["host_start"] for row in rows}) == 1
    numbers = [row["sequence"] for row in rows]
    assert numbers == sorted(set(numbers))
    everything = client.rows({"host": "compute-01", "n": 10_000})
    counted = [row["sequence"] for row in everything if row.get("host_start") == rows[0]["host_start"]]
    assert counted == list(range(counted[0], counted[0] + len(counted)))


def test_an_exception_is_one_record_with_its_traceback(machine: Machine, client: CollectorClient) -> None:
    request_id = new_request()
    speak(
        machine.tree("compute-01"),
        "nova-compute",
        f"with request_context(request_id='{request_id}'):\n"
        "    try: raise ValueError('no such\\nbridge br100')\n"
        "    except ValueError: logger.exception('cannot plug interface')\n"
        "    logger.info('last')\n",
    )
    rows = rows_of(client, request_id, 2)
    assert [row["message"] for row in rows] == ["cannot plug interface", "last"]
    fields = rows[0]["fields"]
    assert (fields["exc_type"], fields["exc_message"]) == ("ValueError", "no such\nbridge br100")
    assert fields["traceback"].startswith("Traceback (most recent call last):\n")
    assert fields["traceback"].endswith("ValueError: no such\nbridge br100")


def test_a_long_traceback_arrives_whole_and_a_huge_one_with_head_and_tail(
    machine: Machine, client: CollectorClient
) -> None:
    request_id = new_request()
    speak(
        machine.tree("compute-01"),
        "nova-compute",
        f"with request_context(request_id='{request_id}'):\n"
        "    for size in (60_000, 1_000_000):\n"
        "        try: raise ValueError('<' + 'é' * (size // 2) + '>')\n"
        "        except ValueError: logger.exception('failed')\n",
    )
    whole, cut = rows_of(client, request_id, 2)
    assert whole["fields"]["traceback"].endswith("ValueError: <" + "é" * 30_000 + ">")
    assert "flags" not in whole
    assert cut["flags"] == ["truncated"]
    assert cut["fields"]["traceback"].startswith("Traceback (most recent call last):\n")
    assert " bytes cut ...]\n" in cut["fields"]["traceback"]
    assert cut["fields"]["traceback"].endswith("é>")


def test_the_daemon_tells_its_life(machine: Machine, client: CollectorClient) -> None:
    rows = client.rows({"service": "nova-compute", "host": "compute-02", "n": 10_000})
    said = [row for row in rows if row["logger"].startswith(("nova.daemon", "nova.compute"))]
    assert [row.get("event") for row in said[:2]] == ["service.start", None]
    audit = said[1]
    assert (audit["logger"], audit["level"], audit["severity"]) == ("nova.compute.manager", "AUDIT", "notice")
    assert audit["fields"]["vcpus"] == len(os.sched_getaffinity(0))
    assert audit["fields"]["free_memory_mb"] > 0


def test_a_secret_never_reaches_the_hosts_file(machine: Machine, client: CollectorClient) -> None:
    request_id = new_request()
    speak(
        machine.tree("compute-01"),
        "nova-compute",
        f"with request_context(request_id='{request_id}'):\n"
        "    logger.bind(admin_password='tiger-7x').info('connecting to mysql://nova:tiger-7x@db/nova')\n",
    )
    (row,) = rows_of(client, request_id, 1)
    assert row["message"] == "connecting to mysql://nova:***@db/nova"
    assert row["fields"]["admin_password"] == "***"
    assert "tiger-7x" not in (machine.tree("compute-01") / "var/log/nova/nova.log").read_text()
