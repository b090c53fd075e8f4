"""What a resize or a cold migration has either host do, and when it refuses."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from cloud.domain.flavor import Flavor
from cloud.domain.instance import PowerState, TaskState, VmState
from cloud.errors import BadRequestError, ComputeError, InstanceNotFoundError, InstanceStateError
from cloud.services.compute.cold_migrations import ColdMigrations
from cloud.virt.driver import VirtError
from cloud.virt.moving import Transfer, TransferPhase
from tests.compute.conftest import on_either_storage
from tests.compute.neighbours import HERE, THERE, Neighbours
from tests.compute.site import ADDRESS, TINY, UUID
from tests.waiting import wait_until

LARGER = replace(TINY, id=2, flavorid="2", name="m1.small", memory_mb=2048, root_gb=20)
OFF, RUNNING = PowerState.SHUTDOWN, PowerState.RUNNING


class Moving:
    """An instance that runs on the first of two hosts, and what is asked of each of them."""

    def __init__(self, neighbours: Neighbours) -> None:
        self.neighbours = neighbours
        self.here = ColdMigrations(neighbours.here.host)
        self.there = ColdMigrations(neighbours.there.host)
        neighbours.run()

    def be(self, **changes: Any) -> None:
        self.neighbours.tables.instances.update(UUID, changes)

    def send(self) -> None:
        """All that comes before the hand-over."""
        self.be(task_state=TaskState.RESIZE_PREP)
        prepared = self.there.prepare_disk(UUID, LARGER)
        self.here.power_off_for_resize(UUID, LARGER)
        self.be(task_state=TaskState.RESIZE_MIGRATING)
        self.here.send_disk(UUID, prepared["target"])
        wait_until(lambda: self.here.disk_transfer(UUID).phase is not TransferPhase.RUNNING)
        self.here.set_aside(UUID)
        self.there.adopt(UUID, LARGER, [ADDRESS])

    def hand_over(self) -> None:
        self.be(host=THERE, flavor=LARGER, task_state=TaskState.RESIZE_FINISH)

    def resize(self) -> None:
        """All of it: it waits to be confirmed or reverted."""
        self.send()
        self.hand_over()
        self.there.start_resized(UUID, is_running=True)
        self.be(vm_state=VmState.RESIZED, task_state=None)

    def disk_gb(self) -> int:
        """Of the disk there."""
        (there,) = self.neighbours.there.directory.parent.glob(
            f"shared/{UUID}/disk" if self.neighbours.there.shared_disks else f"{THERE}/simulated/instances/{UUID}/disk"
        )
        return there.stat().st_size >> 30


@pytest.fixture
def moving(neighbours: Neighbours) -> Moving:
    return Moving(neighbours)


@on_either_storage
def test_it_goes_to_another_host_and_its_own_keeps_it_until_it_is_confirmed(moving: Moving) -> None:
    moving.send()
    assert moving.neighbours.guests() == (None, OFF)
    with pytest.raises(VirtError):
        moving.neighbours.here.driver.power_on(UUID)
    moving.hand_over()
    assert moving.there.start_resized(UUID, is_running=True) is RUNNING
    assert moving.disk_gb() == 20
    moving.be(vm_state=VmState.RESIZED, task_state=TaskState.RESIZE_CONFIRMING)
    keeps_disk = moving.neighbours.here.shared_disks is not None
    moving.here.drop_aside(UUID, keeps_disk=keeps_disk)
    moving.here.drop_aside(UUID, keeps_disk=keeps_disk)
    assert moving.neighbours.guests() == (None, RUNNING)
    assert moving.disk_gb() == 20
    assert not list(moving.neighbours.here.directory.rglob(f"aside/{UUID}"))


def test_both_hosts_say_which_storage_they_have(moving: Moving) -> None:
    moving.be(task_state=TaskState.RESIZE_PREP)
    theirs = moving.there.prepare_disk(UUID, LARGER)["storage_id"]
    assert moving.here.power_off_for_resize(UUID, LARGER) != theirs


@pytest.mark.parametrize("neighbours", [True], indirect=True)
def test_with_shared_storage_it_is_the_same_one(moving: Moving) -> None:
    moving.be(task_state=TaskState.RESIZE_PREP)
    theirs = moving.there.prepare_disk(UUID, LARGER)["storage_id"]
    assert moving.here.power_off_for_resize(UUID, LARGER) == theirs


@on_either_storage
def test_reverted_it_is_here_as_it_was(moving: Moving) -> None:
    moving.resize()
    moving.be(task_state=TaskState.RESIZE_REVERTING)
    moving.there.set_aside(UUID)
    assert moving.here.take_back(UUID, is_running=False) is OFF
    assert moving.neighbours.guests() == (OFF, None)
    moving.be(host=HERE, flavor=TINY)
    assert moving.here.take_back(UUID, is_running=True) is RUNNING
    moving.there.drop_aside(UUID, keeps_disk=moving.neighbours.here.shared_disks is not None)
    assert moving.neighbours.guests() == (RUNNING, None)
    assert not list(moving.neighbours.there.directory.rglob(UUID))
    assert moving.neighbours.here.driver.power_state(UUID) is RUNNING


@on_either_storage
def test_a_revert_that_is_undone_lets_it_go_on_there(moving: Moving) -> None:
    moving.resize()
    moving.be(task_state=TaskState.RESIZE_REVERTING)
    moving.there.set_aside(UUID)
    moving.here.take_back(UUID, is_running=False)
    moving.here.set_aside(UUID)
    assert moving.there.take_back(UUID, is_running=True) is RUNNING
    assert moving.neighbours.guests() == (None, RUNNING)


@on_either_storage
def test_a_move_that_is_undone_leaves_nothing_there(moving: Moving) -> None:
    moving.send()
    moving.be(task_state=TaskState.RESIZE_REVERTING)
    assert moving.here.take_back(UUID, is_running=True) is RUNNING
    moving.there.drop_aside(UUID, keeps_disk=moving.neighbours.here.shared_disks is not None)
    assert moving.neighbours.guests() == (RUNNING, None)
    assert not list(moving.neighbours.there.directory.rglob(UUID))


def test_where_it_stays_it_gets_another_flavor_and_its_old_one_again(moving: Moving) -> None:
    moving.be(task_state=TaskState.RESIZE_PREP)
    moving.here.power_off_for_resize(UUID, LARGER)
    moving.be(task_state=TaskState.RESIZE_MIGRATING)
    disk = moving.neighbours.here.directory / "simulated" / "instances" / UUID / "disk"
    for flavor, task_state in ((LARGER, TaskState.RESIZE_MIGRATING), (TINY, TaskState.RESIZE_REVERTING)):
        moving.be(task_state=task_state)
        moving.here.resize_here(UUID, flavor)
        assert moving.neighbours.guests() == (OFF, None)
        assert disk.stat().st_size >> 30 == flavor.root_gb
    assert moving.here.take_back(UUID, is_running=True) is RUNNING


@pytest.mark.parametrize(
    "smaller", [replace(LARGER, root_gb=0), replace(LARGER, ephemeral_gb=-1)], ids=["root", "ephemeral"]
)
def test_a_smaller_disk_is_refused_while_it_runs(moving: Moving, smaller: Flavor) -> None:
    moving.be(task_state=TaskState.RESIZE_PREP)
    with pytest.raises(BadRequestError, match=f"^cannot resize instance {UUID}: its disks have 1 and 0 GiB, those of "):
        moving.here.power_off_for_resize(UUID, smaller)
    assert moving.neighbours.guests() == (RUNNING, None)


def test_a_disk_is_sent_only_once_at_a_time_and_a_failure_is_told(moving: Moving) -> None:
    assert moving.here.disk_transfer(UUID) == Transfer(TransferPhase.NONE)
    moving.be(task_state=TaskState.RESIZE_PREP)
    prepared = moving.there.prepare_disk(UUID, LARGER)
    moving.here.power_off_for_resize(UUID, LARGER)
    moving.be(task_state=TaskState.RESIZE_MIGRATING)
    moving.neighbours.here.turn(fail=["send_disk.copy"])
    moving.here.send_disk(UUID, prepared["target"])
    wait_until(lambda: moving.here.disk_transfer(UUID).phase is TransferPhase.FAILED)
    assert "step send_disk.copy fails by knob" in str(moving.here.disk_transfer(UUID).error)


def test_taken_back_its_disk_is_not_sent_any_more(moving: Moving) -> None:
    moving.be(task_state=TaskState.RESIZE_PREP)
    prepared = moving.there.prepare_disk(UUID, LARGER)
    moving.here.power_off_for_resize(UUID, LARGER)
    moving.be(task_state=TaskState.RESIZE_MIGRATING)
    # It stands in the middle until somebody has it stopped.
    moving.neighbours.here.on_wait = lambda: moving.here._sending._sendings[UUID].is_unwanted.wait(10)
    moving.here.send_disk(UUID, prepared["target"])
    assert moving.here.disk_transfer(UUID).phase is TransferPhase.RUNNING
    moving.be(task_state=TaskState.RESIZE_REVERTING)
    assert moving.here.take_back(UUID, is_running=True) is RUNNING
    assert moving.here.disk_transfer(UUID).phase is TransferPhase.CANCELLED


Ask = Callable[[Moving], object]
HERE_ASKED: Mapping[str, tuple[Ask, TaskState]] = {
    "power_off_for_resize": (lambda it: it.here.power_off_for_resize(UUID, LARGER), TaskState.RESIZE_PREP),
    "send_disk": (lambda it: it.here.send_disk(UUID, {}), TaskState.RESIZE_MIGRATING),
    "set_aside": (lambda it: it.here.set_aside(UUID), TaskState.RESIZE_MIGRATING),
    "resize_here": (lambda it: it.here.resize_here(UUID, LARGER), TaskState.RESIZE_MIGRATING),
    "start_resized": (lambda it: it.here.start_resized(UUID, is_running=True), TaskState.RESIZE_FINISH),
    "take_back": (lambda it: it.here.take_back(UUID, is_running=True), TaskState.RESIZE_REVERTING),
}
"""What only the host is asked that has the instance."""
THERE_ASKED: Mapping[str, tuple[Ask, TaskState]] = {
    "prepare_disk": (lambda it: it.there.prepare_disk(UUID, LARGER), TaskState.RESIZE_PREP),
    "adopt": (lambda it: it.there.adopt(UUID, LARGER, [ADDRESS]), TaskState.RESIZE_MIGRATING),
    "drop_aside": (lambda it: it.there.drop_aside(UUID, keeps_disk=False), TaskState.RESIZE_REVERTING),
}
"""What only one is asked that does not."""
ASKED = {**HERE_ASKED, **THERE_ASKED}


@pytest.mark.parametrize("name", ASKED)
def test_in_another_state_it_is_too_late_for_it(moving: Moving, name: str) -> None:
    ask, right = ASKED[name]
    states = (None, *TaskState)
    for task_state in states:
        if task_state is right or (name, task_state) in (
            ("drop_aside", TaskState.DELETING),
            ("drop_aside", TaskState.RESIZE_CONFIRMING),
            ("resize_here", TaskState.RESIZE_REVERTING),
        ):
            continue
        moving.be(task_state=task_state)
        with pytest.raises(InstanceStateError, match=f"^cannot [a-z ]+ instance {UUID} on compute-0[12]: its vm_state"):
            ask(moving)
    assert moving.neighbours.guests() == (RUNNING, None)


@pytest.mark.parametrize("name", ASKED)
def test_a_host_that_is_the_wrong_one_does_nothing(moving: Moving, name: str) -> None:
    ask, right = ASKED[name]
    moving.be(task_state=right, host=THERE)
    with pytest.raises(InstanceStateError):
        ask(moving)
    assert moving.neighbours.guests() == (RUNNING, None)


@pytest.mark.parametrize("name", [name for name in ASKED if name != "drop_aside"])
def test_of_a_deleted_instance_nothing_is_done(moving: Moving, name: str) -> None:
    moving.neighbours.tables.instances.delete(UUID)
    with pytest.raises(InstanceNotFoundError):
        ASKED[name][0](moving)


@on_either_storage
def test_of_a_deleted_instance_everything_goes_that_a_host_has(moving: Moving) -> None:
    moving.resize()
    moving.be(task_state=TaskState.DELETING)
    moving.neighbours.there.driver.destroy(UUID)
    moving.neighbours.tables.instances.delete(UUID)
    moving.here.drop_aside(UUID, keeps_disk=False)
    moving.there.drop_aside(UUID, keeps_disk=False)
    assert not list(moving.neighbours.here.directory.parent.rglob(UUID))


def test_one_that_runs_is_not_removed_whatever_is_asked(moving: Moving) -> None:
    moving.be(host=THERE, task_state=TaskState.RESIZE_CONFIRMING, vm_state=VmState.RESIZED)
    with pytest.raises(ComputeError):
        moving.here.drop_aside(UUID, keeps_disk=False)
    assert moving.neighbours.guests() == (RUNNING, None)


def test_what_the_hypervisor_does_not_do_is_an_error_of_that_host(moving: Moving) -> None:
    moving.be(task_state=TaskState.RESIZE_PREP)
    moving.neighbours.here.turn(fail=["power_off"])
    with pytest.raises(ComputeError, match=f"^cannot power off instance {UUID}: step power_off fails by knob "):
        moving.here.power_off_for_resize(UUID, LARGER)


def test_a_hypervisor_that_moves_nothing_says_so(neighbours: Neighbours) -> None:
    class Plain:
        """Has none of the methods of ColdMigrating."""

        def power_state(self, uuid: str) -> PowerState:
            raise VirtError(uuid)

    host = replace(neighbours.here.host, driver=Plain())  # type: ignore[arg-type]
    neighbours.run(task_state=TaskState.RESIZE_PREP)
    with pytest.raises(ComputeError, match=r"^cannot move instances of compute-01: its hypervisor does not do that$"):
        ColdMigrations(host).power_off_for_resize(UUID, LARGER)
