"""The vocabulary's names, as code, configuration, queries and rules spell them."""

import re

import pytest

from cloud.logs.events import EVENTS, FAMILIES, INSTANCE, MIGRATION, SERVICE
from cloud.logs.facilities import FACILITIES, facility_number
from cloud.logs.generator.render import event_pattern


@pytest.mark.parametrize(
    "event",
    [
        "migration.request.started",
        "migration.rollback.failed",
        "build.spawn.completed",
        "evacuate.schedule.failed",
        "resize.transfer.progress",
        "instance.create",
        "service.down",
        "rpc.timeout",
        "config.applied",
        "canary",
    ],
)
def test_event_is_in_the_vocabulary_and_found_by_the_forward_filter(event: str) -> None:
    assert event in EVENTS
    assert re.search(event_pattern(), event)


def test_every_event_is_found_by_the_forward_filter_and_others_are_not() -> None:
    assert all(re.search(event_pattern(), event) for event in EVENTS)
    for other in ("", "migration", "xmigration.pre.started", "canary.x", "rpcxtimeout", "config.applied.x", "a canary"):
        assert not re.search(event_pattern(), other)


def test_names_are_built_from_the_vocabulary_only() -> None:
    assert MIGRATION.event("dest_check", "failed") == "migration.dest_check.failed"
    assert INSTANCE.event("stop") == "instance.stop"
    with pytest.raises(ValueError, match=r"cannot name event migration\.fly\.failed"):
        MIGRATION.event("fly", "failed")
    with pytest.raises(ValueError, match=r"cannot name event migration\.pre\.done"):
        MIGRATION.event("pre", "done")
    with pytest.raises(ValueError, match=r"cannot name event service\.explode"):
        SERVICE.event("explode")


def test_families_and_facilities_are_the_documented_ones() -> None:
    assert FAMILIES == ("migration", "build", "evacuate", "resize", "instance", "service")
    assert facility_number(FACILITIES["nova-api"]) == 16
    assert facility_number(FACILITIES["identity"]) == 22
    assert facility_number("user") == 1
    with pytest.raises(ValueError, match="cannot use facility 'local9'"):
        facility_number("local9")
