"""/servers/{id}/migrations: the live migration that runs, seen, forced to its end and called off."""

from typing import Any

import pytest

from cloud.domain.instance import Instance, TaskState, VmState
from cloud.domain.migration import Migration, MigrationStatus, MigrationType
from tests.api.conftest import ADMIN, HOST, MEMBER, NOBODY, OTHER, Site

FORCE = {"force_complete": None}
RUNNING = ("preparing", "running", "post-migrating")


def moving(site: Site, status: MigrationStatus = MigrationStatus.RUNNING, **changes: Any) -> tuple[Instance, Migration]:
    """A server that is being moved to HostC."""
    instance = site.running(**{"task_state": TaskState.MIGRATING, **changes})
    return instance, site.migrating(instance, status=status, dest_compute="HostC")


def path_of(migration: Migration) -> str:
    return f"/servers/{migration.instance_uuid}/migrations/{migration.id}"


def force(site: Site, migration: Migration, status: int = 202, version: str | None = "2.22", token: str = ADMIN) -> Any:
    return site.post(f"{path_of(migration)}/action", FORCE, version, token=token, status=status)


def abort(site: Site, migration: Migration, status: int = 202, version: str | None = "2.24", token: str = ADMIN) -> Any:
    return site.delete(path_of(migration), version, token=token, status=status)


def test_one_that_runs_says_how_far_it_is(site: Site) -> None:
    instance, migration = moving(site)
    amounts = {
        "memory_total_bytes": 536_870_912,
        "memory_processed_bytes": 400_000_000,
        "memory_remaining_bytes": 136_870_912,
        "disk_total_bytes": 6 << 30,
        "disk_processed_bytes": 5 << 30,
        "disk_remaining_bytes": 1 << 30,
    }
    site.parts.migrations.update(migration.id, {**amounts, "dest_node": "HostC.example.org", "dest_host": "10.0.1.3"})
    expected = {
        "id": migration.id,
        "server_uuid": instance.uuid,
        "status": "running",
        "source_compute": HOST,
        "source_node": "HostB.example.org",
        "dest_compute": "HostC",
        "dest_node": "HostC.example.org",
        "dest_host": "10.0.1.3",
        **amounts,
        "created_at": "2014-10-16T12:00:01.000000",
        "updated_at": "2014-10-16T12:00:01.000000",
    }
    assert site.get(path_of(migration), "2.23", token=ADMIN) == {"migration": expected}
    listed = site.get(f"/servers/{instance.uuid}/migrations", "2.23", token=ADMIN)
    assert listed == {"migrations": [expected]}


@pytest.mark.parametrize("status", list(MigrationStatus))
def test_live_ones_are_shown_while_they_run(site: Site, status: MigrationStatus) -> None:
    instance, migration = moving(site, status)
    is_running = status in RUNNING
    listed = site.get(f"/servers/{instance.uuid}/migrations", "2.23", token=ADMIN)["migrations"]
    assert [each["id"] for each in listed] == ([migration.id] if is_running else [])
    site.get(path_of(migration), "2.23", token=ADMIN, status=200 if is_running else 404)


@pytest.mark.parametrize("kind", [MigrationType.COLD, MigrationType.RESIZE, MigrationType.EVACUATION])
def test_those_of_other_kinds_are_not_shown(site: Site, kind: MigrationType) -> None:
    instance = site.running()
    migration = site.migrating(instance, kind, status=MigrationStatus.RUNNING)
    assert site.get(f"/servers/{instance.uuid}/migrations", "2.23", token=ADMIN) == {"migrations": []}
    site.get(path_of(migration), "2.23", token=ADMIN, status=404)
    site.parts.instances.update(instance.uuid, {"task_state": TaskState.MIGRATING})
    force(site, migration, 400)
    abort(site, migration, 400)


@pytest.mark.parametrize("migration_id", ["99", "0", "-1", "x", "1.0", "9" * 40])
def test_an_id_of_none_is_404_and_of_anothers_too(site: Site, migration_id: str) -> None:
    instance, _ = moving(site)
    _, others = moving(site)
    for number in (migration_id, str(others.id)):
        path = f"/servers/{instance.uuid}/migrations/{number}"
        site.get(path, "2.23", token=ADMIN, status=404)
        site.delete(path, "2.24", token=ADMIN, status=404)
        site.post(f"{path}/action", FORCE, "2.22", token=ADMIN, status=400)
    assert not site.parts.migrations.get(others.id).is_abort_wanted


def test_whoever_works_on_it_finds_that_it_is_to_end(site: Site) -> None:
    instance, migration = moving(site)
    assert force(site, migration) is None
    now = site.parts.migrations.get(migration.id)
    assert (now.is_force_complete_wanted, now.is_abort_wanted) == (True, False)
    (action, *_) = site.parts.actions.list(instance.uuid)
    assert (action.action, action.finished_at is None) == ("live_migration_force_complete", False)


def test_whoever_works_on_it_finds_that_it_is_called_off(site: Site) -> None:
    instance, migration = moving(site)
    assert abort(site, migration) is None
    now = site.parts.migrations.get(migration.id)
    assert (now.is_force_complete_wanted, now.is_abort_wanted) == (False, True)
    assert site.parts.actions.list(instance.uuid)[0].action == "live_migration_cancel"
    assert site.parts.instances.get(instance.uuid).task_state is TaskState.MIGRATING  # until it is given up


@pytest.mark.parametrize("status", [status for status in MigrationStatus if status is not MigrationStatus.RUNNING])
def test_what_does_not_run_is_400(site: Site, status: MigrationStatus) -> None:
    _, migration = moving(site, status)
    message = f"cannot change migration {migration.id} of instance {migration.instance_uuid}: its status is {status}"
    assert force(site, migration, 400)["badRequest"]["message"] == message
    assert abort(site, migration, 400)["badRequest"]["message"] == message
    assert site.parts.migrations.get(migration.id) == migration


def test_what_is_handed_over_meanwhile_is_400(site: Site) -> None:
    instance, migration = moving(site)
    site.parts.migrations.update(migration.id, {"is_handed_over": True})
    force(site, migration, 400)
    abort(site, migration, 400)
    assert [action.action for action in site.parts.actions.list(instance.uuid)] == ["create"]


@pytest.mark.parametrize(
    ("changes", "forced", "aborted"),
    [
        ({"task_state": None}, 409, 409),
        ({"task_state": TaskState.DELETING}, 409, 409),
        ({"vm_state": VmState.PAUSED}, 409, 202),
        ({"vm_state": VmState.ERROR}, 409, 202),
    ],
)
def test_a_server_in_another_state_is_409(site: Site, changes: dict[str, Any], forced: int, aborted: int) -> None:
    _, migration = moving(site, **changes)
    force(site, migration, forced)
    abort(site, migration, aborted)


@pytest.mark.parametrize("body", [{}, None, {"force_complete": {}}, {"force_complete": None, "x": 1}, {"abort": None}])
def test_a_body_that_is_none_is_400(site: Site, body: object) -> None:
    _, migration = moving(site)
    site.post(f"{path_of(migration)}/action", body, "2.22", token=ADMIN, status=400)
    assert site.parts.migrations.get(migration.id) == migration


@pytest.mark.parametrize("version", [None, "2.1", "2.21"])
def test_before_their_versions_these_calls_are_404(site: Site, version: str | None) -> None:
    instance, migration = moving(site)
    force(site, migration, 404, version)
    for earlier in (version, "2.22"):
        site.get(f"/servers/{instance.uuid}/migrations", earlier, token=ADMIN, status=404)
        site.get(path_of(migration), earlier, token=ADMIN, status=404)
    for earlier in (version, "2.23"):
        abort(site, migration, 404, earlier)
    assert site.parts.migrations.get(migration.id) == migration


def test_admins_alone_may(site: Site) -> None:
    instance, migration = moving(site)
    for token, status in ((MEMBER, 403), (OTHER, 404), (NOBODY, 403)):
        site.get(f"/servers/{instance.uuid}/migrations", "2.23", token=token, status=status)
        site.get(path_of(migration), "2.23", token=token, status=status)
        force(site, migration, status, token=token)
        abort(site, migration, status, token=token)
    assert site.parts.migrations.get(migration.id) == migration


def test_a_server_that_is_not_there_is_404(site: Site) -> None:
    site.get("/servers/none/migrations", "2.23", token=ADMIN, status=404)
    site.get("/servers/none/migrations/1", "2.23", token=ADMIN, status=404)
