"""DELETE /servers/{id}: who does it, and in which states."""

import pytest

from cloud.domain.instance import TaskState, VmState
from cloud.errors import InstanceNotFoundError
from cloud.rpc.errors import BusUnavailableError, NoSuchTargetError, RpcError
from tests.api.conftest import ADMIN, HOST, Site
from tests.services.said import Line


def test_the_host_is_told_and_the_server_is_being_deleted(site: Site) -> None:
    instance = site.running()
    site.delete(f"/servers/{instance.uuid}")
    assert site.compute.calls == [("delete_instance", HOST, instance.uuid)]
    server = site.get(f"/servers/{instance.uuid}")["server"]
    assert (server["status"], server["OS-EXT-STS:task_state"]) == ("ACTIVE", "deleting")
    assert [action.action for action in site.parts.actions.list(instance.uuid)] == ["delete", "create"]


def test_a_second_time_changes_nothing(site: Site) -> None:
    instance = site.running()
    site.delete(f"/servers/{instance.uuid}")
    site.delete(f"/servers/{instance.uuid}")
    assert len(site.compute.calls) == 1


@pytest.mark.parametrize("vm_state", [state for state in VmState if state is not VmState.DELETED])
@pytest.mark.parametrize("task_state", [None, TaskState.REBOOTING, TaskState.SPAWNING])
def test_in_every_state(site: Site, vm_state: VmState, task_state: TaskState | None) -> None:
    instance = site.running(vm_state=vm_state, task_state=task_state)
    site.delete(f"/servers/{instance.uuid}", "2.1")
    assert site.compute.calls == [("delete_instance", HOST, instance.uuid)]


def test_what_has_never_come_to_a_host_is_gone_at_once(site: Site) -> None:
    instance = site.boot()
    site.delete(f"/servers/{instance.uuid}")
    site.get(f"/servers/{instance.uuid}", status=404)
    assert site.compute.calls == []
    assert site.parts.instances.get(instance.uuid, deleted=True).vm_state is VmState.DELETED
    assert site.parts.instances.usage(instance.project_id).instances == 0


def test_what_is_on_a_host_that_is_down_is_gone_at_once_with_its_address(site: Site) -> None:
    instance = site.running()
    site.clock.advance(61)
    site.delete(f"/servers/{instance.uuid}")
    with pytest.raises(InstanceNotFoundError):
        site.parts.instances.get(instance.uuid)
    assert site.parts.fixed_ips.of([instance.uuid]) == {}


@pytest.mark.parametrize("is_forced", [True, False])
def test_a_host_that_is_down_finds_the_deletion_in_its_queue(site: Site, is_forced: bool) -> None:
    instance = site.running()
    if is_forced:
        site.parts.services.force_down(HOST, "nova-compute", is_forced=True)
    else:
        site.clock.advance(61)
    site.delete(f"/servers/{instance.uuid}")
    assert site.compute.calls == [("delete_instance", HOST, instance.uuid)]


@pytest.mark.parametrize("error", [BusUnavailableError("no broker"), NoSuchTargetError("nobody listens")])
def test_a_host_that_is_down_and_cannot_be_told_is_warned_of(site: Site, lines: list[Line], error: RpcError) -> None:
    instance = site.running()
    site.clock.advance(61)
    site.compute.errors["delete_instance"] = error
    site.delete(f"/servers/{instance.uuid}")
    site.get(f"/servers/{instance.uuid}", status=404)
    ((message, fields),) = [(message, fields) for level, message, fields in lines if level == "WARNING"]
    assert message == "cannot tell a host that is down of a deleted instance, which may run there on"
    assert (fields["instance"], fields["host"], fields["error"]) == (instance.uuid, HOST, str(error))


def test_a_locked_server_is_kept_from_its_owner_but_not_from_an_admin(site: Site) -> None:
    instance = site.running(locked_by="owner")
    answer = site.delete(f"/servers/{instance.uuid}", status=409)
    assert answer["conflictingRequest"]["message"] == f"Instance {instance.uuid} is locked"
    site.delete(f"/servers/{instance.uuid}", token=ADMIN)


def test_without_a_bus_it_is_as_it_was(site: Site) -> None:
    instance = site.running(task_state=TaskState.REBOOTING)
    site.compute.errors["delete_instance"] = BusUnavailableError("cannot reach the broker")
    site.delete(f"/servers/{instance.uuid}", status=503)
    assert site.parts.instances.get(instance.uuid).task_state is TaskState.REBOOTING
