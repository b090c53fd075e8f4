"""POST /servers/{id}/action: what each action asks of whom, and when it may not."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from cloud.domain.instance import Instance, PowerState, TaskState, VmState
from cloud.domain.system_metadata import description_of, tags_of, with_tags
from cloud.errors import ConflictError, ImageUnavailableError
from cloud.rpc.errors import BusUnavailableError, RpcTimeoutError
from tests.api.conftest import ADMIN, CIRROS, HOST, MEMBER, OTHER, PROJECT, Site, image

SOFT = {"reboot": {"type": "SOFT"}}
HARD = {"reboot": {"type": "HARD"}}
STOP = {"os-stop": None}
START = {"os-start": None}
SNAPSHOT = {"createImage": {"name": "snap1", "metadata": {"purpose": "backup"}}}
REBUILD = {"rebuild": {"imageRef": CIRROS}}
LOCK, UNLOCK = {"lock": None}, {"unlock": None}
CHANGES: list[tuple[dict[str, Any], str, str, set[str]]] = [
    (SOFT, "reboot", "rebooting", {"active"}),
    (HARD, "reboot", "rebooting_hard", {"active", "stopped", "paused", "suspended", "error"}),
    (STOP, "stop", "powering-off", {"active", "rescued", "error"}),
    (START, "start", "powering-on", {"stopped"}),
    (SNAPSHOT, "createImage", "image_snapshot", {"active", "stopped", "paused", "suspended"}),
    (REBUILD, "rebuild", "rebuilding", {"active", "stopped", "error"}),
]
LIVING = [state for state in VmState if state is not VmState.DELETED]


def act(
    site: Site, instance: Instance, body: object, status: int = 202, *, token: str = MEMBER, version: str | None = None
) -> Any:
    return site.post(f"/servers/{instance.uuid}/action", body, version, token=token, status=status)


@pytest.mark.parametrize(("body", "action", "task_state", "allowed"), CHANGES)
@pytest.mark.parametrize("vm_state", LIVING)
def test_an_action_begins_in_its_states_and_is_409_in_all_others(
    site: Site, vm_state: VmState, body: dict[str, Any], action: str, task_state: str, allowed: set[str]
) -> None:
    instance = site.running(vm_state=vm_state)
    if vm_state in allowed:
        act(site, instance, body)
        assert site.parts.instances.get(instance.uuid).task_state == task_state
        ((_, host, uuid, *_),) = site.compute.calls
        assert (host, uuid) == (HOST, instance.uuid)
        assert site.parts.actions.list(instance.uuid)[0].action == action
    else:
        answer = act(site, instance, body, 409)
        message = f"Cannot '{action}' instance {instance.uuid} while it is in vm_state {vm_state}"
        assert answer == {"conflictingRequest": {"message": message, "code": 409}}
        assert site.parts.instances.get(instance.uuid) == instance
        assert site.compute.calls == []
        assert list(site.images.images) == [CIRROS]


@pytest.mark.parametrize(("body", "action", "task_state", "allowed"), CHANGES)
def test_while_something_is_done_to_it_nothing_else_is(
    site: Site, body: dict[str, Any], action: str, task_state: str, allowed: set[str]
) -> None:
    instance = site.running(vm_state=VmState(min(allowed)), task_state=TaskState.IMAGE_UPLOADING)
    answer = act(site, instance, body, 409)
    message = f"Cannot '{action}' instance {instance.uuid} while it is in task_state image_uploading"
    assert answer["conflictingRequest"]["message"] == message
    assert site.parts.instances.get(instance.uuid) == instance


def test_a_hard_reboot_helps_where_a_soft_one_hangs(site: Site) -> None:
    instance = site.running(task_state=TaskState.REBOOTING)
    act(site, instance, SOFT, 409)
    act(site, instance, HARD)
    assert site.compute.calls == [("reboot_instance", HOST, instance.uuid, "HARD")]
    act(site, instance, HARD, 409)


@pytest.mark.parametrize(("body", "action", "task_state", "allowed"), CHANGES)
def test_a_locked_server_is_changed_by_admins_alone(
    site: Site, body: dict[str, Any], action: str, task_state: str, allowed: set[str]
) -> None:
    instance = site.running(vm_state=VmState(min(allowed)), locked_by="owner")
    assert act(site, instance, body, 409)["conflictingRequest"]["message"] == f"Instance {instance.uuid} is locked"
    act(site, instance, body, token=ADMIN)


@pytest.mark.parametrize(("body", "action", "task_state", "allowed"), CHANGES)
def test_where_no_host_can_be_told_all_is_as_it_was(
    site: Site, body: dict[str, Any], action: str, task_state: str, allowed: set[str]
) -> None:
    instance = site.running(vm_state=VmState(min(allowed)), progress=7)
    methods = {"reboot": "reboot_instance", "createImage": "snapshot_instance"}
    site.compute.errors[methods.get(action, f"{action}_instance")] = BusUnavailableError("cannot reach the broker")
    assert act(site, instance, body, 503)["serviceUnavailable"]["code"] == 503
    now = site.parts.instances.get(instance.uuid)
    assert replace(now, updated_at=instance.updated_at) == instance
    assert list(site.images.images) == [CIRROS]
    assert site.parts.actions.list(instance.uuid)[0].message == "Error"


@pytest.mark.parametrize(("body", "action", "task_state", "allowed"), CHANGES)
def test_what_has_never_come_to_a_host_is_not_ready(
    site: Site, body: dict[str, Any], action: str, task_state: str, allowed: set[str]
) -> None:
    instance = site.boot()
    site.parts.instances.update(instance.uuid, {"vm_state": min(allowed), "task_state": None})
    assert act(site, instance, body, 409)["conflictingRequest"]["message"] == f"Instance {instance.uuid} is not ready"


def test_of_many_at_the_same_time_one_gets_it(site: Site) -> None:
    instance = site.running()
    with ThreadPoolExecutor(8) as pool:
        statuses = list(
            pool.map(
                lambda _: site.ask("POST", f"/v2/{{T}}/servers/{instance.uuid}/action", STOP).status_code, range(8)
            )
        )
    assert sorted(statuses) == [202] + [409] * 7
    assert site.compute.calls == [("stop_instance", HOST, instance.uuid)]


@pytest.mark.parametrize("kind", ["SOFT", "Soft", "soft", "HARD", "hard"])
def test_reboot_types_in_any_case(site: Site, kind: str) -> None:
    instance = site.running()
    act(site, instance, {"reboot": {"type": kind}}, version="2.1")
    assert site.compute.calls == [("reboot_instance", HOST, instance.uuid, kind.upper())]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"reboot": None},
        {"reboot": {}},
        {"reboot": {"type": "WARM"}},
        {"reboot": {"type": None}},
        {"reboot": {"type": ["HARD"]}},
        {"reboot": {"type": "HARD"}, "os-stop": None},
        {"resize": None},
        {"resize": {}},
        {"resize": {"flavorRef": ""}},
        {"resize": {"flavorRef": None}},
        {"resize": {"flavorRef": "1"}},
        {"resize": {"flavorRef": "none"}},
        {"resize": {"flavorRef": "2", "OS-DCF:diskConfig": "BOTH"}},
        {"createImage": {}},
        {"createImage": {"name": ""}},
        {"createImage": {"name": "a", "metadata": {"k": 1}}},
        {"rebuild": {}},
        {"rebuild": {"imageRef": "x"}},
        {"rebuild": {"imageRef": ""}},
        {"rebuild": {"imageRef": "d1df1b5a-70c4-4fed-98b7-423362f2c47c"}},
        {"rebuild": {"imageRef": CIRROS, "name": ""}},
        {"os-getConsoleOutput": {"length": "x"}},
        {"os-getConsoleOutput": {"length": -2}},
        {"os-getConsoleOutput": {"length": 1.5}},
        {"os-getConsoleOutput": {"length": 10**40}},
        {"os-getConsoleOutput": None},
        ["os-stop"],
        "os-stop",
        None,
    ],
)
@pytest.mark.parametrize("branch", ["v2", "v2.1"])
def test_what_makes_no_sense_is_400(site: Site, branch: str, body: object) -> None:
    instance = site.running()
    content = None if body is not None else b"null"
    answer = site.ask("POST", f"/{branch}/{{T}}/servers/{instance.uuid}/action", body, content=content)
    assert answer.status_code == 400, answer.text
    assert answer.json()["badRequest"]["code"] == 400
    assert site.parts.instances.get(instance.uuid) == instance


def test_an_action_that_is_not_served_is_named(site: Site) -> None:
    message = act(site, site.running(), {"pause": None}, 400)["badRequest"]["message"]
    assert message == "invalid input for the body: There is no such action: pause"


def test_unknown_keys_are_refused_since_2_1_only(site: Site) -> None:
    instance = site.running()
    act(site, instance, {"reboot": {"type": "SOFT", "when": "now"}}, 400, version="2.1")
    act(site, instance, {"reboot": {"type": "SOFT", "when": "now"}})


@pytest.mark.parametrize(("length", "asked"), [(None, None), ("5", 5), (5, 5), (0, 0), (-1, None)])
def test_the_console_is_shown_without_control_characters(site: Site, length: object, asked: int | None) -> None:
    site.compute.answers["get_console_output"] = "one\ttab\r\n\x1b[1mtwo\x00\n"
    instance = site.running()
    assert act(site, instance, {"os-getConsoleOutput": {"length": length}}, 200) == {"output": "one\ttab\n[1mtwo\n"}
    assert site.compute.calls == [("get_console_output", HOST, instance.uuid, asked)]


def test_the_console_as_openstackclient_asks_for_it(site: Site) -> None:
    site.compute.answers["get_console_output"] = "hello"
    assert act(site, site.running(), {"os-getConsoleOutput": {}}, 200, version="2.1") == {"output": "hello"}


def test_a_console_that_is_not_there(site: Site) -> None:
    act(site, site.boot(), {"os-getConsoleOutput": {}}, 409)
    instance = site.running()
    site.compute.errors["get_console_output"] = ConflictError("cannot show console: there is none yet")
    act(site, instance, {"os-getConsoleOutput": {}}, 409)
    site.compute.errors["get_console_output"] = RpcTimeoutError("no reply in 10 s")
    assert act(site, instance, {"os-getConsoleOutput": {}}, 504)["computeFault"]["code"] == 504


def test_an_admin_says_what_state_a_server_is_in(site: Site) -> None:
    instance = site.running(task_state=TaskState.REBOOTING, locked_by="owner")
    act(site, instance, {"os-resetState": {"state": "error"}}, 403)
    act(site, instance, {"os-resetState": {"state": "error"}}, token=ADMIN)
    now = site.parts.instances.get(instance.uuid)
    assert (now.vm_state, now.task_state) == (VmState.ERROR, None)
    act(site, instance, {"os-resetState": {"state": "active"}}, token=ADMIN)
    assert site.parts.instances.get(instance.uuid).vm_state is VmState.ACTIVE
    act(site, instance, {"os-resetState": {"state": "paused"}}, 400, token=ADMIN)
    act(site, instance, {"os-resetState": None}, 400, token=ADMIN)


def test_an_owner_locks_and_unlocks(site: Site) -> None:
    instance = site.running()
    act(site, instance, LOCK)
    act(site, instance, LOCK)
    assert site.parts.instances.get(instance.uuid).locked_by == "owner"
    act(site, instance, UNLOCK)
    act(site, instance, UNLOCK)
    assert site.parts.instances.get(instance.uuid).locked_by is None


def test_what_an_admin_has_locked_only_admins_unlock(site: Site) -> None:
    instance = site.boot(token=OTHER)
    act(site, instance, LOCK, token=ADMIN)
    act(site, instance, LOCK, token=OTHER)
    assert site.parts.instances.get(instance.uuid).locked_by == "admin"
    act(site, instance, UNLOCK, 403, token=OTHER)
    act(site, instance, UNLOCK, token=ADMIN)
    act(site, instance, LOCK, token=OTHER)
    act(site, instance, LOCK, token=ADMIN)
    assert site.parts.instances.get(instance.uuid).locked_by == "admin"


def test_a_snapshot_is_a_queued_image_that_says_what_it_is_of(site: Site) -> None:
    instance = site.running()
    answer = site.ask("POST", f"/v2/{{T}}/servers/{instance.uuid}/action", SNAPSHOT)
    (made,) = (image for image in site.images.images.values() if image.id != CIRROS)
    assert (answer.status_code, answer.headers["location"]) == (202, f"http://api:8774/v2/{PROJECT}/images/{made.id}")
    assert (made.name, made.status, made.is_public, made.min_disk_gb) == ("snap1", "queued", False, 1)
    assert made.properties == {
        "architecture": "x86_64",
        "purpose": "backup",
        "image_type": "snapshot",
        "instance_uuid": instance.uuid,
        "user_id": "joecool",
        "base_image_ref": CIRROS,
    }
    assert site.compute.calls == [("snapshot_instance", HOST, instance.uuid, made.id)]


def test_without_the_image_service_there_is_no_snapshot(site: Site) -> None:
    instance = site.running()
    site.images.error = ImageUnavailableError("cannot ask the image service")
    act(site, instance, SNAPSHOT, 503)
    assert site.parts.instances.get(instance.uuid).task_state is None
    assert site.compute.calls == []


def test_metadata_of_a_snapshot_has_a_quota(site: Site) -> None:
    site.parts.quotas.set(PROJECT, {"metadata_items": 0})
    act(site, site.running(), SNAPSHOT, 413)


def test_a_rebuild_changes_what_was_sent_and_what_is_known_of_the_image(site: Site) -> None:
    other = "d1df1b5a-70c4-4fed-98b7-423362f2c47c"
    site.images.images[other] = image(other, properties={"os_distro": "debian"})
    instance = site.running(metadata={"a": "1"}, power_state=PowerState.RUNNING)
    rebuild = {"imageRef": other, "name": "vm2", "metadata": {"b": "2"}, "accessIPv4": "192.0.2.7", "adminPass": "pw"}
    answer = site.ask("POST", f"/v2/{{T}}/servers/{instance.uuid}/action", {"rebuild": rebuild})
    assert answer.headers["location"] == f"http://api:8774/v2/{PROJECT}/servers/{instance.uuid}"
    server = answer.json()["server"]
    assert (server["status"], server["name"], server["adminPass"]) == ("REBUILD", "vm2", "pw")
    assert (server["image"]["id"], server["metadata"], server["accessIPv4"]) == (other, {"b": "2"}, "192.0.2.7")
    now = site.parts.instances.get(instance.uuid)
    assert now.system_metadata["image_os_distro"] == "debian"
    assert "image_architecture" not in now.system_metadata
    assert site.compute.calls == [("rebuild_instance", HOST, instance.uuid, other)]


def test_a_rebuild_asks_of_the_image_what_a_boot_does(site: Site) -> None:
    instance = site.running()
    site.images.images[CIRROS] = image(CIRROS, min_ram_mb=1024)
    act(site, instance, REBUILD, 400)
    site.images.images[CIRROS] = image(CIRROS, status="queued")
    act(site, instance, REBUILD, 400)
    site.parts.quotas.set(PROJECT, {"injected_files": 0})
    site.images.images[CIRROS] = image(CIRROS)
    act(site, instance, {"rebuild": {"imageRef": CIRROS, "personality": [{"path": "/a", "contents": ""}]}}, 413)


def test_a_rebuild_that_says_nothing_else_keeps_everything_else(site: Site) -> None:
    instance = site.running(metadata={"a": "1"}, launched_at=datetime(2014, 10, 1, tzinfo=UTC))
    server = act(site, instance, REBUILD)["server"]
    assert (server["name"], server["metadata"], len(server["adminPass"])) == ("vm1", {"a": "1"}, 12)


def test_a_rebuild_keeps_the_tags_that_others_set_at_the_same_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    instance = site.running()
    site.meanwhile(monkeypatch, lambda now: {"system_metadata": with_tags(now.system_metadata, ["theirs"])})
    act(site, instance, {"rebuild": {"imageRef": CIRROS, "description": "web"}}, version="2.19")
    now = site.parts.instances.get(instance.uuid)
    assert (description_of(now), tags_of(now)) == ("web", ("theirs",))


def test_a_rebuild_that_is_taken_back_takes_back_nothing_else(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    instance = site.running(metadata={"a": "1"})

    def fail(_host: str, uuid: str, _image_id: str) -> None:
        now = site.parts.instances.get(uuid)
        tags = with_tags(now.system_metadata, ["theirs"])
        site.parts.instances.update(uuid, {"system_metadata": tags, "metadata": {**now.metadata, "x": "theirs"}})
        raise BusUnavailableError("cannot reach the broker")

    monkeypatch.setattr(site.compute, "rebuild_instance", fail, raising=False)
    site.images.images[CIRROS] = image(CIRROS, properties={"os_distro": "debian"})
    rebuild = {"imageRef": CIRROS, "description": "web", "metadata": {"b": "2"}}
    act(site, instance, {"rebuild": rebuild}, 503, version="2.19")
    now = site.parts.instances.get(instance.uuid)
    assert now.metadata == {"a": "1", "x": "theirs"}
    assert now.system_metadata == with_tags(instance.system_metadata, ["theirs"])
    assert now.task_state is None
