"""os-migrateLive: which migration is entered, whom it is handed to, and when it may not begin."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from cloud.domain.instance import Instance, TaskState, VmState
from cloud.domain.migration import Migration, MigrationStatus, MigrationType
from cloud.rpc.errors import BusUnavailableError
from tests.api.conftest import ADMIN, HOST, MEMBER, NOBODY, OTHER, Site
from tests.services.said import Line

TARGET = "HostC"
LIVE = {"host": TARGET, "block_migration": False, "disk_over_commit": False}
AUTO = {"host": TARGET, "block_migration": "auto"}


@pytest.fixture
def site(site: Site) -> Site:
    """The same with a second host."""
    site.report(TARGET)
    return site


def act(site: Site, instance: Instance, body: object, status: int = 202, version: str | None = None) -> Any:
    path = f"/servers/{instance.uuid}/action"
    return site.post(path, {"os-migrateLive": body}, version, token=ADMIN, status=status)


def newest(site: Site, instance: Instance) -> Migration:
    migration = site.parts.migrations.newest(instance.uuid)
    assert migration is not None
    return migration


@pytest.mark.parametrize("vm_state", list(VmState)[:-1])
def test_what_is_active_or_paused_is_moved_and_all_else_is_409(site: Site, vm_state: VmState) -> None:
    instance = site.running(vm_state=vm_state)
    if vm_state in ("active", "paused"):
        assert act(site, instance, LIVE) is None
        server = site.get(f"/servers/{instance.uuid}")["server"]
        assert (server["status"], server["OS-EXT-STS:task_state"]) == ("MIGRATING", "migrating")
        assert (server["progress"], server["OS-EXT-STS:vm_state"]) == (0, vm_state)
    else:
        message = f"Cannot 'os-migrateLive' instance {instance.uuid} while it is in vm_state {vm_state}"
        assert act(site, instance, LIVE, 409) == {"conflictingRequest": {"message": message, "code": 409}}
        assert site.parts.migrations.newest(instance.uuid) is None
        assert site.conductor.moves == []


def test_the_migration_says_what_was_asked_for(site: Site) -> None:
    instance = site.running()
    answer = site.ask("POST", f"/v2/{{T}}/servers/{instance.uuid}/action", {"os-migrateLive": LIVE}, token=ADMIN)
    migration = newest(site, instance)
    assert (answer.status_code, answer.content) == (202, b"")
    assert migration.request_id == answer.headers["x-compute-request-id"]
    assert (migration.type, migration.status) == (MigrationType.LIVE, MigrationStatus.ACCEPTED)
    assert (migration.source_compute, migration.source_node) == (HOST, "HostB.example.org")
    assert (migration.dest_compute, migration.old_vm_state) == (TARGET, VmState.ACTIVE)
    assert migration.old_flavor == migration.new_flavor == instance.flavor
    assert migration.options == {
        "block_migration": False,
        "disk_over_commit": False,
        "host": TARGET,
        "is_forced": True,
        "may_stay": False,
    }
    assert site.parts.actions.list(instance.uuid)[0].action == "live-migration"


@pytest.mark.parametrize(
    ("version", "body", "forced", "requested", "block", "over_commit"),
    [
        (None, LIVE, TARGET, None, False, False),
        (None, {**LIVE, "host": None}, None, None, False, False),
        (None, {**LIVE, "block_migration": "True", "disk_over_commit": "1"}, TARGET, None, True, True),
        ("2.1", {**LIVE, "block_migration": True, "disk_over_commit": True}, TARGET, None, True, True),
        ("2.24", LIVE, TARGET, None, False, False),
        ("2.25", AUTO, TARGET, None, None, False),
        ("2.25", {"host": TARGET, "block_migration": True}, TARGET, None, True, False),
        ("2.29", AUTO, TARGET, None, None, False),
        ("2.30", AUTO, None, TARGET, None, False),
        ("2.30", {**AUTO, "force": False}, None, TARGET, None, False),
        ("2.30", {**AUTO, "force": True}, TARGET, None, None, False),
        ("2.30", {**AUTO, "host": None}, None, None, None, False),
    ],
)
def test_a_host_that_is_named_is_forced_before_2_30_and_asked_about_since(
    site: Site,
    version: str | None,
    body: dict[str, Any],
    forced: str | None,
    requested: str | None,
    block: bool | None,
    over_commit: bool,
) -> None:
    instance = site.running()
    act(site, instance, body, version=version)
    migration = newest(site, instance)
    ((migration_id, request),) = site.moves()
    assert (migration_id, request.instance_uuid, request.flavor) == (migration.id, instance.uuid, instance.flavor)
    assert (request.forced_host, request.requested_host, request.ignored_hosts) == (forced, requested, (HOST,))
    assert request.image_properties == {"architecture": "x86_64"}
    assert (migration.options["block_migration"], migration.options["disk_over_commit"]) == (block, over_commit)


@pytest.mark.parametrize(
    ("version", "body"),
    [
        *(
            (version, {key: LIVE[key] for key in LIVE if key != left_out})
            for version in (None, "2.1", "2.24")
            for left_out in LIVE
        ),
        *(
            (version, {**LIVE, key: value})
            for version in (None, "2.1")
            for key in ("block_migration", "disk_over_commit")
            for value in (None, "", "maybe", 2, "auto")
        ),
        (None, None),
        (None, {**LIVE, "host": ""}),
        (None, {**LIVE, "host": 7}),
        ("2.1", {**LIVE, "host": "a host"}),
        ("2.1", {**LIVE, "force": True}),
        ("2.24", AUTO),
        ("2.24", {**LIVE, "block_migration": "auto"}),
        ("2.25", LIVE),
        ("2.25", {**AUTO, "disk_over_commit": False}),
        ("2.25", {**AUTO, "block_migration": None}),
        ("2.25", {"host": TARGET}),
        ("2.25", {"block_migration": "auto"}),
        ("2.29", {**AUTO, "force": True}),
        ("2.30", {**AUTO, "force": None}),
        ("2.30", {**AUTO, "host": None, "force": True}),
    ],
)
def test_a_body_that_is_none_is_400(site: Site, version: str | None, body: object) -> None:
    instance = site.running()
    assert act(site, instance, body, 400, version)["badRequest"]["code"] == 400
    assert site.parts.instances.get(instance.uuid) == instance


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("HostX", "cannot use host HostX: its nova-compute is down, or it has none"),
        ("HostD", "cannot use host HostD: its nova-compute is down, or it has none"),
        (HOST, "cannot move instance {uuid} to host HostB: it is there already"),
    ],
)
@pytest.mark.parametrize("version", [None, "2.24"])
def test_a_host_that_will_not_do_is_400(site: Site, version: str | None, host: str, message: str) -> None:
    site.report("HostD")
    site.down("HostD")
    instance = site.running()
    answer = act(site, instance, {**LIVE, "host": host}, 400, version)
    assert answer["badRequest"]["message"] == message.format(uuid=instance.uuid)
    assert site.parts.instances.get(instance.uuid) == instance


def test_what_is_on_a_host_that_is_down_is_not_moved_but_evacuated(site: Site) -> None:
    instance = site.running()
    site.down()
    act(site, instance, LIVE, 400)
    assert site.parts.instances.get(instance.uuid) == instance


def test_while_something_is_done_to_it_it_is_not_moved(site: Site) -> None:
    instance = site.running(task_state=TaskState.REBOOTING)
    act(site, instance, LIVE, 409)
    waiting = site.boot()
    site.parts.instances.update(waiting.uuid, {"vm_state": "active", "task_state": None})
    act(site, waiting, LIVE, 409)
    assert site.conductor.moves == []


@pytest.mark.parametrize(
    "changes", [{"task_state": TaskState.REBOOTING}, {"vm_state": VmState.STOPPED}, {"host": TARGET}]
)
def test_what_changed_since_it_was_looked_at_is_not_moved(
    site: Site, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    instance = site.running()
    site.meanwhile(monkeypatch, lambda _: changes)
    act(site, instance, LIVE, 409)
    assert site.parts.migrations.newest(instance.uuid) is None
    assert site.conductor.moves == []


def test_of_many_at_the_same_time_one_gets_it(site: Site) -> None:
    instance = site.running()
    path = f"/v2/{{T}}/servers/{instance.uuid}/action"
    with ThreadPoolExecutor(8) as pool:
        asked = pool.map(lambda _: site.ask("POST", path, {"os-migrateLive": LIVE}, token=ADMIN).status_code, range(8))
        statuses = sorted(asked)
    assert statuses == [202] + [409] * 7
    ((migration_id, _),) = site.moves()
    assert newest(site, instance).id == migration_id
    assert [action.action for action in site.parts.actions.list(instance.uuid)] == ["live-migration", "create"]


def test_whatever_state_an_admin_says_it_has_it_is_not_moved_twice_at_a_time(site: Site) -> None:
    instance = site.running()
    act(site, instance, LIVE)
    site.post(f"/servers/{instance.uuid}/action", {"os-resetState": {"state": "active"}}, token=ADMIN)
    message = act(site, instance, LIVE, 409)["conflictingRequest"]["message"]
    assert message == f"cannot os-migrateLive instance {instance.uuid}: its migration 1 is in progress"
    assert site.parts.instances.get(instance.uuid).task_state is None


def test_without_a_conductor_all_is_as_it_was_and_the_migration_has_failed(site: Site, lines: list[Line]) -> None:
    instance = site.running(vm_state=VmState.PAUSED)
    site.conductor.errors["move_instance"] = BusUnavailableError("cannot reach the broker")
    act(site, instance, LIVE, 503)
    now = site.parts.instances.get(instance.uuid)
    assert replace(now, updated_at=instance.updated_at) == instance
    migration = newest(site, instance)
    assert (migration.status, migration.error) == (MigrationStatus.FAILED, "cannot reach the broker")
    assert site.parts.actions.list(instance.uuid)[0].message == "Error"
    events = [
        (level, fields["event"]) for level, _, fields in lines if str(fields.get("event")).startswith("migration")
    ]
    assert events == [("INFO", "migration.request.started"), ("ERROR", "migration.request.failed")]


def test_what_a_conductor_has_taken_all_the_same_goes_on(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    instance = site.running()

    def take_and_fail(migration_id: int) -> None:
        site.parts.migrations.update(migration_id, {"status": MigrationStatus.PREPARING})
        raise BusUnavailableError("the broker was gone before it had answered")

    monkeypatch.setattr(site.conductor, "move_instance", take_and_fail, raising=False)
    act(site, instance, LIVE, 503)
    assert newest(site, instance).status is MigrationStatus.PREPARING
    assert site.parts.instances.get(instance.uuid).task_state is TaskState.MIGRATING
    assert site.parts.actions.list(instance.uuid)[0].message is None


def test_the_log_says_what_was_asked_for_of_what_by_whom(site: Site, lines: list[Line]) -> None:
    instance = site.running()
    act(site, instance, LIVE)
    migration = newest(site, instance)
    (started, completed) = [fields for _, _, fields in lines if str(fields.get("event")).startswith("migration.")]
    known = {
        "migration": migration.id,
        "instance": instance.uuid,
        "type": "live-migration",
        "source_compute": HOST,
        "dest_compute": TARGET,
        "action": "live-migration",
    }
    assert started == {**known, "event": "migration.request.started"}
    assert completed == {**known, "event": "migration.request.completed", "step_s": completed["step_s"]}


def test_admins_alone_may(site: Site) -> None:
    instance = site.running()
    path = f"/v2/{{T}}/servers/{instance.uuid}/action"
    asked = {token: site.ask("POST", path, {"os-migrateLive": LIVE}, token=token) for token in (MEMBER, OTHER, NOBODY)}
    assert {token: answer.status_code for token, answer in asked.items()} == {MEMBER: 403, OTHER: 404, NOBODY: 403}
    assert site.conductor.moves == []


def test_a_lock_keeps_no_admin_from_it(site: Site) -> None:
    act(site, site.running(locked_by="owner"), LIVE)


def test_deleting_is_not_kept_from_what_is_being_moved(site: Site) -> None:
    instance = site.running()
    act(site, instance, LIVE)
    site.delete(f"/servers/{instance.uuid}")
    assert site.parts.instances.get(instance.uuid).task_state is TaskState.DELETING
    assert site.compute.calls == [("delete_instance", HOST, instance.uuid)]
