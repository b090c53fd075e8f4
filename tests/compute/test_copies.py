"""Copies that a host keeps: of guests that are nobody's or another host's, and never of its own."""

import pytest

from cloud.domain.instance import PowerState, TaskState, VmState
from cloud.domain.migration import MigrationStatus, MigrationType
from cloud.errors import ComputeError, InstanceStateError
from cloud.services.compute.copies import Copies
from cloud.services.compute.locks import KeyLocks
from cloud.services.compute.work import Host
from tests.compute.neighbours import HERE, THERE, Neighbours
from tests.compute.site import UUID
from tests.services.said import Line

RUNNING, OFF = PowerState.RUNNING, PowerState.SHUTDOWN


@pytest.fixture
def copies(neighbours: Neighbours) -> Copies:
    return Copies(neighbours.here.host)


def put_elsewhere(neighbours: Neighbours) -> None:
    """By hand, so that the guest here is not its own."""
    neighbours.run()
    neighbours.take_by_hand()


def set_aside(neighbours: Neighbours) -> None:
    """By a resize, and its instance is the other host's."""
    put_elsewhere(neighbours)
    driver = neighbours.here.open_driver()
    driver.power_off(UUID)
    driver.set_aside(UUID)


def test_guest_that_is_not_its_own_is_powered_off_and_kept(
    neighbours: Neighbours, copies: Copies, lines: list[Line]
) -> None:
    put_elsewhere(neighbours)
    for _ in range(2):
        copies.keep(UUID)
        assert neighbours.guests() == (None, None)
        (copy,) = copies.all()
        assert (copy.uuid, copy.is_for_revert) == (UUID, False)
    said = [(level, fields["event"], fields["copy"]) for level, _, fields in lines if "copy" in fields]
    assert said == [("WARNING", "instance.keep", copy.name)]
    copies.remove(UUID, copy.name, keeps_disk=False)
    assert copies.all() == []


def test_guest_of_a_deleted_instance_may_be_kept(neighbours: Neighbours, copies: Copies) -> None:
    neighbours.run()
    neighbours.tables.instances.delete(UUID)
    copies.keep(UUID)
    assert [copy.uuid for copy in copies.all()] == [UUID]


def test_its_own_runs_on_whatever_is_asked(neighbours: Neighbours, copies: Copies) -> None:
    neighbours.run()
    with pytest.raises(
        InstanceStateError, match=f"cannot keep a copy of instance {UUID} on {HERE}: it is on host {HERE}"
    ):
        copies.keep(UUID)
    assert neighbours.guests() == (RUNNING, None)


def test_what_is_on_its_way_is_neither_kept_nor_removed(neighbours: Neighbours, copies: Copies) -> None:
    set_aside(neighbours)
    neighbours.tables.instances.update(UUID, {"host": HERE})
    neighbours.hand_over(neighbours.begin(kind=MigrationType.RESIZE, status=MigrationStatus.CONFIRMING))
    with pytest.raises(InstanceStateError, match="and it is being moved"):
        copies.keep(UUID)
    with pytest.raises(InstanceStateError, match="and it is being moved"):
        copies.remove(UUID, UUID, keeps_disk=False)
    assert [copy.uuid for copy in copies.all()] == [UUID]


def test_what_waits_for_a_revert_is_not_removed(neighbours: Neighbours, copies: Copies) -> None:
    set_aside(neighbours)
    neighbours.tables.instances.update(UUID, {"host": HERE})
    neighbours.hand_over(neighbours.begin(kind=MigrationType.RESIZE, status=MigrationStatus.RUNNING))
    neighbours.end(neighbours.tables.migrations.newest(UUID), MigrationStatus.FINISHED)  # type: ignore[arg-type]
    neighbours.tables.instances.update(UUID, {"vm_state": VmState.RESIZED})
    with pytest.raises(InstanceStateError):
        copies.remove(UUID, UUID, keeps_disk=False)
    neighbours.tables.instances.update(UUID, {"vm_state": VmState.ACTIVE})
    copies.remove(UUID, UUID, keeps_disk=False)
    assert copies.all() == []


def test_what_its_own_instance_may_be_made_of_again_is_not_removed(neighbours: Neighbours, copies: Copies) -> None:
    set_aside(neighbours)
    neighbours.tables.instances.update(UUID, {"host": HERE, "task_state": TaskState.REBOOTING_HARD})
    with pytest.raises(InstanceStateError, match="cannot remove a copy"):
        copies.remove(UUID, UUID, keeps_disk=False)
    assert [copy.uuid for copy in copies.all()] == [UUID]


@pytest.mark.parametrize("step", ["keep", "power_off"])
def test_hypervisor_that_fails_is_an_error_of_its_host(neighbours: Neighbours, copies: Copies, step: str) -> None:
    put_elsewhere(neighbours)
    neighbours.here.turn(fail=[f"{step}:1"])
    with pytest.raises(ComputeError, match=f"step {step} fails"):
        copies.keep(UUID)
    copies.keep(UUID)
    assert [copy.uuid for copy in copies.all()] == [UUID]


def test_hypervisor_that_keeps_nothing_has_none_and_says_so(neighbours: Neighbours) -> None:
    class Plain:
        pass

    put_elsewhere(neighbours)
    here = neighbours.here
    copies = Copies(Host(HERE, Plain(), here.records, KeyLocks(wait_s=1.0)))  # type: ignore[arg-type]
    assert copies.all() == ()
    with pytest.raises(ComputeError, match="its hypervisor does not do that"):
        copies.keep(UUID)
    assert neighbours.tables.instances.get(UUID).host == THERE
