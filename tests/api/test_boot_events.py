"""What nova-api says of a build in the log."""

from collections.abc import Iterator
from typing import Any

import pytest
from loguru import logger

from cloud.rpc.errors import BusUnavailableError
from tests.api.conftest import CIRROS, Site


@pytest.fixture
def events() -> Iterator[list[dict[str, Any]]]:
    """The fields of each line that has an event, with its level."""
    said: list[dict[str, Any]] = []

    def take(message: Any) -> None:
        record = message.record
        if "event" in record["extra"]:
            said.append({**record["extra"], "level": record["level"].name})

    logger.remove()
    sink = logger.add(take, level=0, catch=False)
    yield said
    logger.remove(sink)


def test_a_request_is_started_and_completed_for_each_instance(site: Site, events: list[dict[str, Any]]) -> None:
    site.post("/servers", {"server": {"name": "vm", "imageRef": CIRROS, "flavorRef": "1", "min_count": 2}})
    first, second = (build.instance_uuid for build in site.conductor.builds)
    assert [(line["event"], line["instance"], line["level"]) for line in events] == [
        ("build.request.started", first, "INFO"),
        ("build.request.completed", first, "INFO"),
        ("build.request.started", second, "INFO"),
        ("build.request.completed", second, "INFO"),
    ]
    assert {"step_s" in line for line in events if line["event"] == "build.request.completed"} == {True}


def test_a_request_that_cannot_be_handed_over_fails_with_its_cause(site: Site, events: list[dict[str, Any]]) -> None:
    site.conductor.errors["build_instance"] = BusUnavailableError("cannot reach the broker")
    site.boot()
    assert events[-1] == {
        "event": "build.request.failed",
        "instance": events[-1]["instance"],
        "error": "cannot reach the broker",
        "cause": "BusUnavailableError",
        "step_s": events[-1]["step_s"],
        "level": "ERROR",
    }


def test_a_refused_request_is_no_event(site: Site, events: list[dict[str, Any]]) -> None:
    site.post("/servers", {"server": {"name": "vm", "imageRef": CIRROS, "flavorRef": "99"}}, status=400)
    assert events == []


def test_a_server_that_is_deleted_here_is_said_here(site: Site, events: list[dict[str, Any]]) -> None:
    waiting, running = site.boot(), site.running()
    events.clear()
    site.delete(f"/servers/{waiting.uuid}")
    site.delete(f"/servers/{running.uuid}")
    assert [(line["event"], line["instance"]) for line in events] == [("instance.delete", waiting.uuid)]
