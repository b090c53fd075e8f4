"""confirmResize and revertResize: once, of a server whose resize waits for it; and what becomes of one that is deleted."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from cloud.domain.instance import Instance, TaskState, VmState
from cloud.domain.migration import Migration, MigrationStatus
from cloud.rpc.errors import BusUnavailableError
from tests.api.conftest import ADMIN, CIRROS, HOST, MEMBER, NOBODY, OTHER, PROJECT, Site
from tests.services.said import Line

CONFIRM, REVERT = "confirmResize", "revertResize"
ENDINGS = [
    (CONFIRM, 204, "resize_confirming", "confirming", "VERIFY_RESIZE", True),
    (REVERT, 202, "resize_reverting", "reverting", "REVERT_RESIZE", False),
]


def act(
    site: Site, instance: Instance, action: str, status: int, *, token: str = MEMBER, version: str | None = None
) -> Any:
    return site.post(f"/servers/{instance.uuid}/action", {action: None}, version, token=token, status=status)


@pytest.mark.parametrize("version", [None, "2.1", "2.30"])
@pytest.mark.parametrize(("action", "status", "task_state", "migration_status", "shown", "is_handed_over"), ENDINGS)
def test_a_resize_that_waits_comes_to_its_end(
    site: Site,
    lines: list[Line],
    version: str | None,
    action: str,
    status: int,
    task_state: str,
    migration_status: str,
    shown: str,
    is_handed_over: bool,
) -> None:
    instance, before = site.resized()
    act(site, instance, action, status, version=version)
    server = site.get(f"/servers/{instance.uuid}", version)["server"]
    assert (server["status"], server["OS-EXT-STS:task_state"]) == (shown, task_state)
    migration = site.parts.migrations.get(before.id)
    assert (migration.status, migration.is_handed_over, migration.step) == (migration_status, is_handed_over, None)
    assert site.conductor.moves == [before.id]
    (noted, *_) = site.parts.actions.list(instance.uuid)
    assert (noted.action, noted.request_id) == (action, migration.request_id)
    events = [fields for _, _, fields in lines if str(fields.get("event")).startswith("resize.")]
    assert [(each["event"], each["action"], each["migration"]) for each in events] == [
        ("resize.request.started", action, before.id),
        ("resize.request.completed", action, before.id),
    ]


@pytest.mark.parametrize("vm_state", [state for state in VmState if state not in ("resized", "deleted")])
@pytest.mark.parametrize("action", [CONFIRM, REVERT])
def test_in_another_state_it_is_409(site: Site, vm_state: VmState, action: str) -> None:
    instance, migration = site.resized(vm_state=vm_state)
    message = f"Cannot '{action}' instance {instance.uuid} while it is in vm_state {vm_state}"
    assert act(site, instance, action, 409)["conflictingRequest"]["message"] == message
    assert site.parts.migrations.get(migration.id) == migration
    assert site.conductor.moves == []


@pytest.mark.parametrize("action", [CONFIRM, REVERT])
@pytest.mark.parametrize("status", [None, MigrationStatus.ERROR, MigrationStatus.CONFIRMED])
def test_where_no_resize_waits_it_is_400(site: Site, action: str, status: MigrationStatus | None) -> None:
    if status is None:
        instance = site.running(vm_state=VmState.RESIZED)
    else:
        instance, migration = site.resized()
        site.parts.migrations.update(migration.id, {"status": status})
    answer = act(site, instance, action, 400)
    assert answer == {"badRequest": {"message": "Instance has not been resized.", "code": 400}}


@pytest.mark.parametrize("action", [CONFIRM, REVERT])
def test_one_end_is_enough(site: Site, action: str) -> None:
    instance, _ = site.resized()
    act(site, instance, action, 204 if action == CONFIRM else 202)
    for further in (CONFIRM, REVERT):
        act(site, instance, further, 409)
    assert len(site.conductor.moves) == 1


def test_of_many_at_the_same_time_one_gets_it(site: Site) -> None:
    instance, _ = site.resized()
    path = f"/v2/{{T}}/servers/{instance.uuid}/action"
    with ThreadPoolExecutor(8) as pool:
        asked = pool.map(lambda number: site.ask("POST", path, {(CONFIRM, REVERT)[number % 2]: None}), range(8))
        statuses = sorted(answer.status_code for answer in asked)
    assert statuses[1:] == [409] * 7
    assert statuses[0] in (202, 204)
    assert len(site.conductor.moves) == 1


@pytest.mark.parametrize("status", [MigrationStatus.CONFIRMING, MigrationStatus.ERROR])
def test_a_migration_that_went_on_since_it_was_looked_at_is_409(
    site: Site, monkeypatch: pytest.MonkeyPatch, status: MigrationStatus
) -> None:
    instance, migration = site.resized()
    newest = site.parts.migrations.newest
    table = type(site.parts.migrations)

    def read(*arguments: Any) -> Any:
        found = newest(*arguments[1:])
        site.parts.migrations.update(migration.id, {"status": status})
        return found

    monkeypatch.setattr(table, "newest", read)
    act(site, instance, CONFIRM, 409)
    assert site.parts.instances.get(instance.uuid).task_state is None


@pytest.mark.parametrize("action", [CONFIRM, REVERT])
def test_without_a_conductor_it_waits_as_before(site: Site, action: str) -> None:
    instance, migration = site.resized()
    site.conductor.errors["move_instance"] = BusUnavailableError("cannot reach the broker")
    act(site, instance, action, 503)
    now = site.parts.migrations.get(migration.id)
    assert replace(now, updated_at=migration.updated_at) == migration
    assert site.parts.instances.get(instance.uuid).task_state is None
    assert site.parts.actions.list(instance.uuid)[0].message == "Error"
    del site.conductor.errors["move_instance"]
    act(site, instance, action, 204 if action == CONFIRM else 202)


@pytest.mark.parametrize("action", [CONFIRM, REVERT])
def test_what_a_conductor_has_taken_all_the_same_goes_on(
    site: Site, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    instance, migration = site.resized()

    def take_and_fail(migration_id: int) -> None:
        site.parts.migrations.update(migration_id, {"step": "confirm"})
        raise BusUnavailableError("the broker was gone before it had answered")

    monkeypatch.setattr(site.conductor, "move_instance", take_and_fail, raising=False)
    act(site, instance, action, 503)
    assert site.parts.migrations.get(migration.id).status in (MigrationStatus.CONFIRMING, MigrationStatus.REVERTING)
    assert site.parts.instances.get(instance.uuid).task_state is not None


@pytest.mark.parametrize("action", [CONFIRM, REVERT])
def test_owners_and_admins_may(site: Site, action: str) -> None:
    instance, _ = site.resized()
    path = f"/v2/{{T}}/servers/{instance.uuid}/action"
    statuses = {token: site.ask("POST", path, {action: None}, token=token).status_code for token in (OTHER, NOBODY)}
    assert statuses == {OTHER: 404, NOBODY: 403}
    site.parts.instances.update(instance.uuid, {"locked_by": "owner"})
    act(site, instance, action, 409)
    act(site, instance, action, 204 if action == CONFIRM else 202, token=ADMIN)


@pytest.mark.parametrize("is_down", [True, False])
def test_what_is_deleted_is_removed_from_its_old_host_too(site: Site, lines: list[Line], is_down: bool) -> None:
    instance, migration = site.resized()
    if is_down:
        site.down()
    site.delete(f"/servers/{instance.uuid}")
    assert site.compute.calls == [("delete_instance", HOST, instance.uuid)]
    assert site.conductor.moves == [migration.id]
    assert site.parts.migrations.get(migration.id).status is MigrationStatus.CONFIRMING
    (said,) = [fields for _, message, fields in lines if message.startswith("resized instance is deleted")]
    assert (said["migration"], said["source_compute"]) == (migration.id, "HostC")


def test_of_a_resize_that_ended_in_error_what_is_left_is_removed_with_the_instance(site: Site) -> None:
    instance, migration = site.resized()
    site.parts.migrations.update(migration.id, {"status": MigrationStatus.ERROR})
    site.parts.instances.update(instance.uuid, {"vm_state": VmState.ERROR})
    site.delete(f"/servers/{instance.uuid}")
    assert site.conductor.moves == [migration.id]
    assert site.parts.migrations.get(migration.id).status is MigrationStatus.CONFIRMING


def test_what_is_deleted_twice_is_removed_there_once(site: Site) -> None:
    instance, _ = site.resized()
    site.delete(f"/servers/{instance.uuid}")
    site.delete(f"/servers/{instance.uuid}")
    assert len(site.conductor.moves) == 1


def test_deleting_does_not_fail_for_want_of_a_conductor(site: Site) -> None:
    instance, migration = site.resized()
    site.conductor.errors["move_instance"] = BusUnavailableError("cannot reach the broker")
    site.delete(f"/servers/{instance.uuid}")
    assert site.parts.migrations.get(migration.id).status is MigrationStatus.CONFIRMING  # and will be taken up


def test_until_its_end_a_resize_may_be_taken_back_within_the_quota(site: Site) -> None:
    instance, _ = site.resized(old="3", new="2")
    used = site.parts.instances.usage(PROJECT)
    assert (instance.flavor.vcpus, used.cores, used.ram_mb) == (1, 2, 4096)
    site.parts.quotas.set(PROJECT, {"cores": 2})
    site.post("/servers", {"server": {"name": "vm2", "imageRef": CIRROS, "flavorRef": "1"}}, status=413)


def test_a_state_that_was_reset_ends_no_resize(site: Site) -> None:
    instance, migration = site.resized()
    site.post(f"/servers/{instance.uuid}/action", {"os-resetState": {"state": "active"}}, token=ADMIN)
    act(site, instance, CONFIRM, 409)
    assert site.parts.migrations.get(migration.id) == migration
    assert site.parts.instances.get(instance.uuid).task_state is not TaskState.RESIZE_CONFIRMING


def unfinished(site: Site, vm_state: VmState = VmState.ERROR, **changes: Any) -> tuple[Instance, Migration]:
    """Its new host has it, and could not start it."""
    instance, migration = site.resized(vm_state=vm_state, **changes)
    return instance, site.parts.migrations.update(migration.id, {"status": MigrationStatus.ERROR, "error": "no"})


@pytest.mark.parametrize(
    ("action", "vm_state", "status", "begun"),
    [(REVERT, VmState.ERROR, 202, "reverting"), (CONFIRM, VmState.ACTIVE, 204, "confirming")],
)
def test_a_resize_that_ended_in_error_is_reverted_or_once_it_runs_confirmed(
    site: Site, action: str, vm_state: VmState, status: int, begun: str
) -> None:
    instance, before = unfinished(site, vm_state)
    act(site, instance, action, status)
    migration = site.parts.migrations.get(before.id)
    assert (migration.status, migration.is_handed_over, migration.error) == (begun, action == CONFIRM, None)
    assert site.parts.instances.get(instance.uuid).vm_state is vm_state
    assert site.conductor.moves == [before.id]
    (listed,) = site.get(f"/os-migrations?instance_uuid={instance.uuid}", token=ADMIN)["migrations"]
    assert listed["status"] == begun
    act(site, instance, action, 409)


def test_of_one_in_error_it_is_said_that_it_can_be_reverted(site: Site) -> None:
    instance, migration = unfinished(site)
    message = act(site, instance, CONFIRM, 409)["conflictingRequest"]["message"]
    assert message == (
        f"Cannot 'confirmResize' instance {instance.uuid}: its resize failed when it was to be started, "
        "what it was before is kept: revert it, or confirm it when a hard reboot has started it"
    )
    assert site.parts.migrations.get(migration.id) == migration


def test_one_that_runs_all_the_same_is_not_reverted(site: Site) -> None:
    instance, _ = unfinished(site, VmState.ACTIVE)
    message = act(site, instance, REVERT, 409)["conflictingRequest"]["message"]
    assert message == f"Cannot 'revertResize' instance {instance.uuid} while it is in vm_state active"


@pytest.mark.parametrize("changes", [{"host": "HostC"}, {"task_state": TaskState.REBOOTING_HARD}, {"flavor": None}])
@pytest.mark.parametrize(("action", "vm_state"), [(REVERT, VmState.ERROR), (CONFIRM, VmState.ACTIVE)])
def test_what_is_not_as_the_resize_has_left_it_is_409(
    site: Site, action: str, vm_state: VmState, changes: dict[str, Any]
) -> None:
    instance, migration = unfinished(site, vm_state)
    site.parts.instances.update(instance.uuid, {"flavor": migration.old_flavor} if "flavor" in changes else changes)
    act(site, instance, action, 409)
    assert site.conductor.moves == []


@pytest.mark.parametrize(("action", "vm_state"), [(REVERT, VmState.ERROR), (CONFIRM, VmState.ACTIVE)])
def test_without_a_conductor_one_that_ended_in_error_is_as_before(site: Site, action: str, vm_state: VmState) -> None:
    instance, migration = unfinished(site, vm_state)
    site.conductor.errors["move_instance"] = BusUnavailableError("cannot reach the broker")
    act(site, instance, action, 503)
    now = site.parts.migrations.get(migration.id)
    assert replace(now, updated_at=migration.updated_at) == migration
    again = site.parts.instances.get(instance.uuid)
    assert (again.vm_state, again.task_state) == (vm_state, None)
