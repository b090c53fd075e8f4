"""Services and their reports, as they travel over the bus."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from cloud.domain.service import Service, ServiceReport

SERVICE = Service(
    id=7,
    host="compute-01",
    binary="nova-compute",
    topic="compute",
    availability_zone="nova",
    is_enabled=False,
    disabled_reason="broken fan",
    created_at=datetime(2014, 10, 16, 12, 0, tzinfo=UTC),
    updated_at=datetime(2014, 10, 16, 12, 0, 10, 250001, tzinfo=UTC),
    report_count=2,
    is_up=True,
)


def test_report_arrives_as_it_was_sent() -> None:
    report = ServiceReport("compute-01", "nova-compute", "compute", "nova")
    values = report.as_dict()
    assert values == {
        "host": "compute-01",
        "binary": "nova-compute",
        "topic": "compute",
        "availability_zone": "nova",
    }
    assert ServiceReport.from_dict(json.loads(json.dumps(values))) == report


def test_service_arrives_as_it_was_sent() -> None:
    values = SERVICE.as_dict()
    assert values == {
        "id": 7,
        "host": "compute-01",
        "binary": "nova-compute",
        "topic": "compute",
        "availability_zone": "nova",
        "is_enabled": False,
        "disabled_reason": "broken fan",
        "created_at": "2014-10-16T12:00:00+00:00",
        "updated_at": "2014-10-16T12:00:10.250001+00:00",
        "report_count": 2,
        "is_up": True,
        "is_forced_down": False,
    }
    assert Service.from_dict(json.loads(json.dumps(values))) == SERVICE


@pytest.mark.parametrize("host", ["", "x" * 256, "a\0b", "a\nb", "\udcff", 5, None])
def test_report_that_no_database_could_store_is_refused(host: object) -> None:
    values = {"host": host, "binary": "nova-compute", "topic": "compute", "availability_zone": "nova"}
    with pytest.raises(ValueError, match=r"^a service's host is 1 to 255 printable characters$"):
        ServiceReport.from_dict(values)


@pytest.mark.parametrize("values", [{}, {"host": "a"}, {**SERVICE.as_dict(), "colour": "red"}])
def test_missing_and_unknown_keys_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(TypeError):
        Service.from_dict(values)


def test_services_without_a_database_do_not_import_sqlalchemy() -> None:
    code = "import sys, cloud.domain.service; print('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
