"""migrate: a cold migration, which an admin asks for and the scheduler finds a host for."""

from typing import Any

import pytest

from cloud.domain.instance import Instance, TaskState, VmState
from cloud.domain.migration import MigrationStatus, MigrationType
from cloud.rpc.errors import BusUnavailableError
from tests.api.conftest import ADMIN, HOST, MEMBER, NOBODY, OTHER, Site
from tests.services.said import Line

MIGRATE = {"migrate": None}


def act(site: Site, instance: Instance, status: int = 202, version: str | None = None) -> Any:
    return site.post(f"/servers/{instance.uuid}/action", MIGRATE, version, token=ADMIN, status=status)


@pytest.mark.parametrize("vm_state", list(VmState)[:-1])
def test_what_is_active_or_stopped_is_moved_and_all_else_is_409(site: Site, vm_state: VmState) -> None:
    instance = site.running(vm_state=vm_state, progress=7)
    if vm_state in ("active", "stopped"):
        assert act(site, instance) is None
        server = site.get(f"/servers/{instance.uuid}")["server"]
        assert (server["status"], server["progress"]) == ("RESIZE", 0)
        assert server["OS-EXT-STS:task_state"] == "resize_prep"
    else:
        message = f"Cannot 'migrate' instance {instance.uuid} while it is in vm_state {vm_state}"
        assert act(site, instance, 409)["conflictingRequest"]["message"] == message
        assert site.conductor.moves == []


@pytest.mark.parametrize("version", [None, "2.1", "2.30"])
def test_the_scheduler_finds_another_host_for_the_same_flavor(
    site: Site, lines: list[Line], version: str | None
) -> None:
    instance = site.running(vm_state=VmState.STOPPED)
    act(site, instance, version=version)
    migration = site.parts.migrations.newest(instance.uuid)
    assert migration is not None
    assert (migration.type, migration.status) == (MigrationType.COLD, MigrationStatus.ACCEPTED)
    assert (migration.source_compute, migration.dest_compute) == (HOST, None)
    assert (migration.old_vm_state, migration.new_flavor) == (VmState.STOPPED, instance.flavor)
    ((migration_id, request),) = site.moves()
    assert migration_id == migration.id
    assert (request.forced_host, request.requested_host, request.ignored_hosts) == (None, None, (HOST,))
    assert site.parts.actions.list(instance.uuid)[0].action == "migrate"
    events = [fields for _, _, fields in lines if str(fields.get("event")).startswith("resize.")]
    assert [each["event"] for each in events] == ["resize.request.started", "resize.request.completed"]
    assert {each["type"] for each in events} == {"migration"}


def test_every_server_of_a_host_is_moved_as_novaclient_does_it(site: Site) -> None:
    instances = [site.running("vm1"), site.running("vm2", vm_state=VmState.STOPPED)]
    site.report("HostC")
    site.running("vm3", host="HostC")
    (hypervisor,) = site.get(f"/os-hypervisors/{HOST}/servers", token=ADMIN)["hypervisors"]
    for server in hypervisor["servers"]:
        site.post(f"/servers/{server['uuid']}/action", MIGRATE, token=ADMIN)
    moved = {request.instance_uuid for _, request in site.moves()}
    assert moved == {instance.uuid for instance in instances}
    (listed,) = site.get(f"/os-hypervisors/{HOST}/servers", token=ADMIN)["hypervisors"]
    assert len(listed["servers"]) == 2  # until they are handed over they are here


def test_while_something_is_done_to_it_it_is_not_moved(site: Site) -> None:
    act(site, site.running(task_state=TaskState.IMAGE_UPLOADING), 409)


def test_what_is_on_a_host_that_is_down_is_not_moved(site: Site) -> None:
    instance = site.running()
    site.down()
    assert act(site, instance, 400)["badRequest"]["code"] == 400
    assert site.parts.instances.get(instance.uuid) == instance


def test_without_a_conductor_all_is_as_it_was(site: Site) -> None:
    instance = site.running(vm_state=VmState.STOPPED)
    site.conductor.errors["move_instance"] = BusUnavailableError("cannot reach the broker")
    act(site, instance, 503)
    assert site.parts.instances.get(instance.uuid).task_state is None
    migration = site.parts.migrations.newest(instance.uuid)
    assert migration is not None
    assert migration.status is MigrationStatus.FAILED


def test_admins_alone_may(site: Site) -> None:
    path = f"/v2/{{T}}/servers/{site.running().uuid}/action"
    statuses = {token: site.ask("POST", path, MIGRATE, token=token).status_code for token in (MEMBER, OTHER, NOBODY)}
    assert statuses == {MEMBER: 403, OTHER: 404, NOBODY: 403}
