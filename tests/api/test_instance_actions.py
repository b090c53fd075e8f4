"""os-instance-actions: what has been asked of a server, and what came of it."""

import pytest

from cloud.domain.action import EventResult
from cloud.domain.instance import Instance
from cloud.logs.emit import request_context
from tests.api.conftest import ADMIN, NOBODY, OTHER, PROJECT, Site

REQUEST = "req-3293a3f1-b44c-4609-b8d2-d81b105636b8"
ACTION = {
    "action": "reboot",
    "request_id": REQUEST,
    "user_id": "joecool",
    "project_id": PROJECT,
    "start_time": "2014-10-16T12:01:01.000000",
    "message": "Error",
}
EVENT = {
    "event": "compute_reboot_instance",
    "start_time": "2014-10-16T12:01:01.000000",
    "finish_time": "2014-10-16T12:01:03.000000",
    "result": "Error",
    "traceback": "the hypervisor said no",
}


@pytest.fixture
def instance(site: Site) -> Instance:
    """One whose reboot has failed, and that waits for a second one."""
    instance = site.running()
    site.clock.advance(60)
    with request_context(request_id=REQUEST, user="joecool", project=PROJECT):
        site.parts.actions.start(instance.uuid, "reboot")
        site.parts.actions.start_event(instance.uuid, "compute_reboot_instance", host="HostB")
        site.clock.advance(2)
        site.parts.actions.finish_event(
            instance.uuid, "compute_reboot_instance", result=EventResult.ERROR, details="the hypervisor said no"
        )
        site.parts.actions.finish(instance.uuid, message="Error")
    return instance


@pytest.mark.parametrize("version", [None, "2.1", "2.21"])
def test_actions_are_listed_newest_first(site: Site, instance: Instance, version: str | None) -> None:
    listed = site.get(f"/servers/{instance.uuid}/os-instance-actions", version)["instanceActions"]
    assert [action["action"] for action in listed] == ["reboot", "create"]
    assert listed[0] == {**ACTION, "instance_uuid": instance.uuid}


def test_action_is_shown_with_its_events_to_admins(site: Site, instance: Instance) -> None:
    path = f"/servers/{instance.uuid}/os-instance-actions/{REQUEST}"
    for version in (None, "2.1"):
        shown = site.get(path, version, token=ADMIN)["instanceAction"]
        assert shown == {**ACTION, "instance_uuid": instance.uuid, "events": [EVENT]}
        assert site.get(path, version)["instanceAction"] == {**ACTION, "instance_uuid": instance.uuid}


def test_event_that_runs_has_no_end(site: Site, instance: Instance) -> None:
    with request_context(request_id="req-2", user="joecool", project=PROJECT):
        site.parts.actions.start(instance.uuid, "stop")
        site.parts.actions.start_event(instance.uuid, "compute_stop_instance")
    shown = site.get(f"/servers/{instance.uuid}/os-instance-actions/req-2", token=ADMIN)["instanceAction"]
    assert shown["message"] is None
    assert [(event["finish_time"], event["result"], event["traceback"]) for event in shown["events"]] == [
        (None, None, None)
    ]


def test_actions_of_a_deleted_server_are_shown_since_2_21(site: Site, instance: Instance) -> None:
    site.parts.instances.delete(instance.uuid)
    path = f"/servers/{instance.uuid}/os-instance-actions"
    for version in (None, "2.1", "2.20"):
        site.get(path, version, status=404)
        site.get(f"{path}/{REQUEST}", version, status=404)
    assert len(site.get(path, "2.21")["instanceActions"]) == 2
    site.get(f"{path}/{REQUEST}", "2.21")
    site.get(path, "2.21", token=OTHER, status=404)


@pytest.mark.parametrize("request_id", ["req-1", "x" * 300, "%20"])
def test_unknown_request_is_404(site: Site, instance: Instance, request_id: str) -> None:
    site.get(f"/servers/{instance.uuid}/os-instance-actions/{request_id}", status=404)


def test_servers_of_others_and_of_nobody_are_404(site: Site, instance: Instance) -> None:
    for uuid, token in ((instance.uuid, OTHER), ("70a599e0-31e7-49b7-b260-868f441e862b", ADMIN), ("x" * 300, ADMIN)):
        site.get(f"/servers/{uuid}/os-instance-actions", token=token, status=404)
        site.get(f"/servers/{uuid}/os-instance-actions/{REQUEST}", token=token, status=404)


def test_whoever_has_no_role_in_the_project_sees_none(site: Site, instance: Instance) -> None:
    site.get(f"/servers/{instance.uuid}/os-instance-actions", token=NOBODY, status=403)
