"""What an evacuation asks of the host that an instance goes to."""

from typing import Any

import pytest

from cloud.domain.instance import PowerState, TaskState, VmState
from cloud.errors import ComputeError, ImageNotFoundError, InstanceNotFoundError, InstanceStateError
from cloud.virt.moving import ColdMigrating
from tests.compute.conftest import on_either_storage, on_shared_storage
from tests.compute.image_store import IMAGE
from tests.compute.neighbours import HERE, THERE, Neighbours
from tests.compute.site import ADDRESS, UUID

RUNNING, OFF = PowerState.RUNNING, PowerState.SHUTDOWN


def evacuate(neighbours: Neighbours, *, is_running: bool = True) -> PowerState:
    """What the conductor asks for, once the instance is handed over."""
    shares_disk = neighbours.there.shared_disks is not None
    return neighbours.there.evacuations.evacuate_here(UUID, [ADDRESS], shares_disk=shares_disk, is_running=is_running)


def definition(neighbours: Neighbours) -> Any:
    return neighbours.there.driver.definition(UUID)  # type: ignore[attr-defined]


@on_either_storage
def test_host_sees_the_disk_where_it_shares_the_storage(neighbours: Neighbours) -> None:
    neighbours.run()
    neighbours.begin()
    assert neighbours.there.evacuations.sees_disk(UUID) is (neighbours.there.shared_disks is not None)
    assert neighbours.guests() == (RUNNING, None)


def test_a_guest_of_it_that_is_there_already_is_a_reason_to_go_elsewhere(neighbours: Neighbours) -> None:
    neighbours.run()
    neighbours.there.driver.spawn(neighbours.tables.instances.get(UUID), None, [ADDRESS], lambda _percent: None)
    with pytest.raises(ComputeError, match=f"to host {THERE}: there is a guest of it, and its power state is RUNNING"):
        neighbours.there.evacuations.sees_disk(UUID)


def test_what_a_resize_has_set_aside_there_is_one_too(neighbours: Neighbours) -> None:
    neighbours.run()
    driver = neighbours.there.driver
    assert isinstance(driver, ColdMigrating)
    driver.spawn(neighbours.tables.instances.get(UUID), None, [ADDRESS], lambda _percent: None)
    driver.power_off(UUID)
    driver.set_aside(UUID)
    with pytest.raises(ComputeError, match=f"to host {THERE}: a resize has set it aside there"):
        neighbours.there.evacuations.sees_disk(UUID)


@on_either_storage
@pytest.mark.parametrize(("is_running", "power_state"), [(True, RUNNING), (False, OFF)])
def test_instance_begins_anew_with_its_addresses_and_runs_or_not_as_it_is_told(
    neighbours: Neighbours, *, is_running: bool, power_state: PowerState
) -> None:
    neighbours.run()
    neighbours.hand_over(neighbours.begin())
    neighbours.here.fence.report()
    for _ in range(2):  # whoever asked may not have lived to hear of it
        assert evacuate(neighbours, is_running=is_running) is power_state
        assert neighbours.guests() == (OFF, power_state)
    assert definition(neighbours)["interfaces"] == [ADDRESS.as_dict()]


@on_either_storage
def test_disk_is_the_old_one_where_it_is_shared_and_else_that_of_its_image(neighbours: Neighbours) -> None:
    neighbours.run()
    (disk,) = neighbours.here.directory.parent.rglob("disk")
    written = b"what its owner has written"
    with disk.open("r+b") as file:
        file.write(written)
    neighbours.hand_over(neighbours.begin())
    evacuate(neighbours)
    is_shared = neighbours.there.shared_disks is not None
    with open(definition(neighbours)["disk"], "rb") as file:  # noqa: PTH123 - it is a text
        content = file.read(len(written))
    assert content.startswith(written if is_shared else b"boot sector")


@on_either_storage
def test_what_was_done_halfway_is_done_to_the_end(neighbours: Neighbours) -> None:
    neighbours.run(vm_state=VmState.STOPPED)
    neighbours.hand_over(neighbours.begin())
    neighbours.there.turn(fail=["power_off:1"])
    with pytest.raises(ComputeError, match="step power_off fails"):
        evacuate(neighbours, is_running=False)
    assert evacuate(neighbours, is_running=False) is OFF


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"task_state": None}, f"its task_state is None, its host {THERE}"),
        ({"task_state": TaskState.DELETING}, f"its task_state is deleting, its host {THERE}"),
        ({"host": HERE}, f"its task_state is rebuilding, its host {HERE}"),
    ],
)
def test_what_nobody_wants_there_is_not_made_there(neighbours: Neighbours, changes: dict[str, Any], found: str) -> None:
    neighbours.run()
    neighbours.hand_over(neighbours.begin())
    neighbours.tables.instances.update(UUID, changes)
    with pytest.raises(InstanceStateError, match=found):
        evacuate(neighbours)
    neighbours.tables.instances.delete(UUID)
    with pytest.raises(InstanceNotFoundError):
        evacuate(neighbours)
    assert neighbours.guests() == (RUNNING, None)


def test_without_its_image_nothing_is_made(neighbours: Neighbours) -> None:
    neighbours.run()
    neighbours.hand_over(neighbours.begin())
    neighbours.there.images.delete(IMAGE)
    with pytest.raises(ImageNotFoundError):
        evacuate(neighbours)
    assert neighbours.guests() == (RUNNING, None)


@pytest.mark.parametrize("step", ["spawn.disk", "spawn.boot"])
def test_a_hypervisor_that_fails_leaves_nothing_and_may_be_asked_again(neighbours: Neighbours, step: str) -> None:
    neighbours.run()
    neighbours.hand_over(neighbours.begin())
    neighbours.there.turn(fail=[f"{step}:1"])
    with pytest.raises(ComputeError, match=f"step {step} fails"):
        evacuate(neighbours)
    assert neighbours.guests() == (RUNNING, None)
    assert evacuate(neighbours) is RUNNING


@on_shared_storage
@pytest.mark.parametrize("step", ["define_again", "define_again.disk", "power_on"])
def test_a_hypervisor_that_fails_leaves_the_disk_for_the_next_attempt(neighbours: Neighbours, step: str) -> None:
    neighbours.run()
    neighbours.hand_over(neighbours.begin())
    neighbours.here.fence.report()
    neighbours.there.turn(fail=[f"{step}:1"])
    with pytest.raises(ComputeError, match=f"step {step} fails"):
        evacuate(neighbours)
    assert evacuate(neighbours) is RUNNING
    assert neighbours.guests() == (OFF, RUNNING)


@on_shared_storage
def test_guest_that_comes_back_to_life_cannot_be_started_over_the_disk_of_the_other_host(
    neighbours: Neighbours,
) -> None:
    """Even where the fence had failed: the disk is the new host's."""
    neighbours.run()
    neighbours.here.driver.power_off(UUID)
    neighbours.evacuate()
    neighbours.tables.instances.update(UUID, {"host": HERE, "task_state": TaskState.POWERING_ON})
    neighbours.here.lifecycle.start(UUID)
    assert neighbours.guests() == (OFF, RUNNING)
    assert "belongs to another host" in str(neighbours.here.fault())


@on_either_storage
def test_a_rebuild_that_was_asked_for_before_the_host_died_does_nothing(neighbours: Neighbours) -> None:
    """It has waited in the host's queue, and an evacuation has the same task_state."""
    neighbours.run()
    neighbours.begin()
    neighbours.here.lifecycle.rebuild(UUID, IMAGE)
    assert neighbours.here.state() == (VmState.ACTIVE, TaskState.REBUILDING, RUNNING)
    assert neighbours.here.fault() is None
    (disk,) = neighbours.here.directory.parent.rglob("disk")
    with disk.open("rb") as file:
        assert file.read(7) == b"disk of"  # it is not made anew


def test_neither_host_gives_up_an_evacuation_that_takes_long(neighbours: Neighbours) -> None:
    neighbours.run()
    begun = neighbours.begin()
    neighbours.clock.advance(100_000)
    neighbours.here.recovery().report()
    assert neighbours.here.state()[:2] == (VmState.ACTIVE, TaskState.REBUILDING)
    neighbours.hand_over(begun)
    neighbours.clock.advance(100_000)
    neighbours.there.recovery().report()
    assert neighbours.there.state()[:2] == (VmState.ACTIVE, TaskState.REBUILDING)
