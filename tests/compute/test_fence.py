"""Guests that may be another host's by now: which of them go on running here, and when that is asked."""

from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from cloud.domain.instance import PowerState, TaskState, VmState
from cloud.domain.migration import MigrationStatus, MigrationType
from cloud.domain.whereabouts import Departure, Whereabouts
from cloud.errors import ComputeError, InstanceStateError
from cloud.rpc.errors import RpcTimeoutError
from cloud.services.compute.evacuated_guest import remove_evacuated
from cloud.services.compute.fence import Verdict, verdict_on
from cloud.virt.driver import Driver
from cloud.virt.simulated.disk_files import MAX_IMAGE_BYTES
from tests.compute.conftest import on_either_storage, on_shared_storage
from tests.compute.neighbours import HERE, THERE, Neighbours
from tests.compute.site import ADDRESS, OTHER, UUID
from tests.services.said import Line

RUNNING, OFF = PowerState.RUNNING, PowerState.SHUTDOWN
REMOVED = "guest of an instance that has left this host removed"


def said(lines: list[Line], level: str) -> list[str]:
    return [message for severity, message, _ in lines if severity == level]


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (Whereabouts(UUID, HERE), Verdict.LEAVE),
        (Whereabouts(UUID, None), Verdict.LEAVE),
        (Whereabouts(UUID, HERE, is_deleted=True), Verdict.LEAVE),
        (Whereabouts(UUID, THERE, is_deleted=True), Verdict.LEAVE),
        (Whereabouts(UUID, THERE), Verdict.ASK),
        (Whereabouts(UUID, THERE, is_moving=True), Verdict.LEAVE),
        (Whereabouts(UUID, HERE, is_moving=True), Verdict.LEAVE),
        (Whereabouts(UUID, HERE, is_moving=True, departure=Departure.UNDER_WAY), Verdict.POWER_OFF),
        (Whereabouts(UUID, THERE, is_moving=True, departure=Departure.UNDER_WAY), Verdict.POWER_OFF),
        (Whereabouts(UUID, THERE, departure=Departure.COMPLETED), Verdict.REMOVE),
        (Whereabouts(UUID, THERE, is_deleted=True, departure=Departure.COMPLETED), Verdict.REMOVE),
        (Whereabouts(UUID, HERE, is_deleted=True, departure=Departure.COMPLETED), Verdict.REMOVE),
        (Whereabouts(UUID, HERE, departure=Departure.COMPLETED), Verdict.LEAVE),
        (Whereabouts(UUID, THERE, departure=Departure.IN_ERROR), Verdict.POWER_OFF),
        (Whereabouts(UUID, HERE, departure=Departure.IN_ERROR), Verdict.LEAVE),
        (Whereabouts(UUID, THERE, is_moving=True, departure=Departure.COMPLETED), Verdict.LEAVE),
    ],
)
def test_verdict_follows_the_records_and_then_where_the_instance_is(found: Whereabouts, verdict: Verdict) -> None:
    assert verdict_on(HERE, found) is verdict


def test_what_the_host_has_by_right_is_not_even_asked_about(neighbours: Neighbours) -> None:
    neighbours.run()
    neighbours.here.fence.report()
    assert neighbours.guests() == (RUNNING, None)
    assert neighbours.here.records.asked == ["instances_on_host"]


def test_guest_of_an_instance_that_is_being_evacuated_is_powered_off_and_stays(
    neighbours: Neighbours, lines: list[Line]
) -> None:
    neighbours.run()
    neighbours.begin()
    neighbours.here.fence.report()
    assert neighbours.guests() == (OFF, None)
    assert neighbours.here.state() == (VmState.ACTIVE, TaskState.REBUILDING, RUNNING)
    neighbours.here.fence.report()
    assert said(lines, "WARNING") == ["instance is being evacuated, its guest here is powered off"]


def test_guest_is_powered_off_also_between_the_hand_over_and_the_end(neighbours: Neighbours) -> None:
    neighbours.run()
    neighbours.hand_over(neighbours.begin())
    neighbours.here.fence.report()
    assert neighbours.guests() == (OFF, None)


@pytest.mark.parametrize("status", [MigrationStatus.FAILED, MigrationStatus.CANCELLED, MigrationStatus.ERROR], ids=str)
def test_an_evacuation_that_was_undone_leaves_the_instance_to_its_host(
    neighbours: Neighbours, status: MigrationStatus
) -> None:
    neighbours.run()
    begun = neighbours.begin(is_undoing=True)
    neighbours.here.fence.report()
    assert neighbours.guests() == (RUNNING, None)
    neighbours.end(begun, status)
    neighbours.here.fence.report()
    assert neighbours.guests() == (RUNNING, None)


@on_either_storage
def test_guest_of_an_instance_that_was_evacuated_goes_and_that_of_its_new_host_runs_on(
    neighbours: Neighbours, lines: list[Line]
) -> None:
    neighbours.run()
    neighbours.evacuate()
    assert neighbours.guests() == (RUNNING, RUNNING)
    neighbours.here.fence.report()
    assert neighbours.guests() == (None, RUNNING)
    assert (lines[-1][1], lines[-1][2]["instance_host"]) == (REMOVED, THERE)
    neighbours.there.driver.reboot(UUID, hard=True)  # which needs its disk
    neighbours.there.fence.report()
    neighbours.here.fence.report()
    assert neighbours.guests() == (None, RUNNING)


def test_disk_that_nobody_else_uses_goes_with_the_guest(neighbours: Neighbours) -> None:
    neighbours.run()
    disk = next((neighbours.here.directory / "simulated").rglob("disk"))
    neighbours.evacuate()
    neighbours.here.fence.report()
    assert not disk.exists()


def content_of(disk: Path) -> tuple[int, bytes]:
    """Its size, and its beginning, behind which it is one hole."""
    with disk.open("rb") as file:
        return disk.stat().st_size, file.read(MAX_IMAGE_BYTES)


@on_shared_storage
def test_disk_that_others_may_see_is_kept_where_the_instance_was_made_anew_without_it(
    neighbours: Neighbours, lines: list[Line]
) -> None:
    """Its new host does not mount the storage: the disk has what the instance has not any more."""
    neighbours.run()
    (disk,) = neighbours.here.directory.parent.rglob("disk")
    content = content_of(disk)
    neighbours.unmount()
    neighbours.evacuate()
    neighbours.here.fence.report()
    assert neighbours.guests() == (None, RUNNING)
    (copy,) = neighbours.copies()
    (kept,) = neighbours.here.directory.parent.joinpath("shared").rglob("disk")
    assert (copy.uuid, copy.name in str(kept), content_of(kept)) == (UUID, True, content)
    level, message, fields = lines[-1]
    assert (level, message.startswith("instance has left this host without its disk"), fields["event"]) == (
        "WARNING",
        True,
        "instance.keep",
    )
    assert (fields["copy"], fields["instance_host"]) == (copy.name, THERE)
    neighbours.here.fence.report()
    assert neighbours.copies() == [copy]


def test_disk_of_its_own_is_kept_where_the_instance_is_said_to_use_it(neighbours: Neighbours) -> None:
    neighbours.run()
    neighbours.end(neighbours.hand_over(neighbours.begin()))  # whether it shares the disk, nobody has noted
    neighbours.here.fence.report()
    assert neighbours.guests() == (None, None)
    assert [copy.uuid for copy in neighbours.copies()] == [UUID]


@on_shared_storage
def test_of_an_instance_that_is_deleted_nothing_is_kept(neighbours: Neighbours) -> None:
    neighbours.run()
    neighbours.unmount()
    neighbours.evacuate()
    neighbours.tables.instances.delete(UUID)
    neighbours.here.fence.report()
    assert neighbours.copies() == []
    assert list(neighbours.here.directory.parent.joinpath("shared").rglob("disk")) == []


class Plain:
    """A hypervisor that knows nothing of moves, nor whose disks it has."""

    def __init__(self) -> None:
        self.destroyed: list[str] = []

    def destroy(self, uuid: str) -> None:
        self.destroyed.append(uuid)


@pytest.mark.parametrize("is_deleted", [False, True])
@pytest.mark.parametrize("keeps_disk", [False, True])
def test_hypervisor_that_does_not_know_its_storage_removes_only_what_is_deleted(
    *, is_deleted: bool, keeps_disk: bool
) -> None:
    plain = Plain()
    found = Whereabouts(UUID, THERE, is_deleted, departure=Departure.COMPLETED, keeps_disk=keeps_disk)
    remove_evacuated(cast("Driver", plain), found)
    assert plain.destroyed == ([UUID] if is_deleted else [])


@on_either_storage
def test_guest_goes_also_when_the_instance_was_deleted_at_its_new_host(neighbours: Neighbours) -> None:
    neighbours.run()
    neighbours.evacuate()
    neighbours.tables.instances.update(UUID, {"task_state": TaskState.DELETING})
    neighbours.there.lifecycle.delete(UUID)
    neighbours.here.fence.report()
    assert neighbours.guests() == (None, None)


def test_guest_stays_but_off_where_the_evacuation_ended_in_error(neighbours: Neighbours, lines: list[Line]) -> None:
    """Its disk may be all that is left."""
    neighbours.run()
    neighbours.evacuate(status=MigrationStatus.ERROR)
    neighbours.here.fence.report()
    assert neighbours.guests() == (OFF, None)
    assert said(lines, "WARNING") == ["instance's evacuation ended in error, its guest here is powered off"]


@on_shared_storage
def test_one_that_came_back_after_its_evacuation_is_this_hosts_again(neighbours: Neighbours) -> None:
    neighbours.run()
    neighbours.evacuate()
    neighbours.here.fence.report()
    back = neighbours.hand_over(neighbours.begin(kind=MigrationType.LIVE))
    neighbours.there.driver.power_off(UUID)
    neighbours.here.driver.define_again(neighbours.tables.instances.get(UUID), [ADDRESS], {})  # type: ignore[attr-defined]
    neighbours.here.driver.power_on(UUID)
    neighbours.here.fence.report()
    neighbours.end(back)
    neighbours.here.fence.report()
    assert neighbours.guests() == (RUNNING, OFF)


@pytest.mark.parametrize("kind", [MigrationType.LIVE, MigrationType.COLD, MigrationType.RESIZE], ids=str)
@pytest.mark.parametrize("is_handed_over", [False, True])
def test_guests_of_other_moves_are_left_to_them_on_both_hosts(
    neighbours: Neighbours, kind: MigrationType, *, is_handed_over: bool
) -> None:
    neighbours.run()
    migration = neighbours.begin(kind=kind)
    neighbours.there.driver.spawn(neighbours.tables.instances.get(UUID), None, [ADDRESS], lambda _percent: None)
    if is_handed_over:
        neighbours.hand_over(migration)
    if is_handed_over and kind is not MigrationType.LIVE:
        neighbours.tables.migrations.update(migration.id, {"status": MigrationStatus.FINISHED})
        neighbours.tables.instances.update(UUID, {"vm_state": VmState.RESIZED, "task_state": None})
    for host in (neighbours.here, neighbours.there):
        host.fence.report()
    assert neighbours.guests() == (RUNNING, RUNNING)


def test_a_guest_that_came_by_a_resize_and_was_evacuated_then_is_removed(neighbours: Neighbours) -> None:
    """Nobody has confirmed the resize: its host broke down, and an admin gave the instance another state."""
    neighbours.run()
    neighbours.take_by_hand()
    neighbours.begin(kind=MigrationType.RESIZE, status=MigrationStatus.FINISHED, is_handed_over=True)
    neighbours.tables.instances.update(UUID, {"host": HERE, "vm_state": VmState.ERROR, "task_state": None})
    neighbours.evacuate()
    assert neighbours.guests() == (RUNNING, RUNNING)
    neighbours.here.fence.report()
    assert neighbours.guests() == (None, RUNNING)


def test_guest_goes_that_was_taken_back_by_the_revert_of_a_resize_while_its_host_was_cut_off(
    neighbours: Neighbours,
) -> None:
    """Also of an instance that is stopped, of which the other host runs no guest."""
    neighbours.run()
    neighbours.here.driver.power_off(UUID)
    neighbours.there.driver.spawn(neighbours.tables.instances.get(UUID), None, [ADDRESS], lambda _percent: None)
    silent = {"is_silent": True, "is_shared": False}
    reverting = neighbours.begin(kind=MigrationType.RESIZE, status=MigrationStatus.REVERTING, destination=silent)
    waiting = {"host": THERE, "vm_state": VmState.RESIZED, "task_state": TaskState.RESIZE_REVERTING}
    neighbours.tables.instances.update(UUID, waiting)  # its old host has it only from the hand-over on
    neighbours.there.fence.report()
    assert neighbours.guests() == (OFF, OFF)
    neighbours.tables.migrations.update(reverting.id, {"is_handed_over": True})
    neighbours.end(reverting, MigrationStatus.REVERTED)
    neighbours.tables.instances.update(UUID, {"host": HERE, "vm_state": VmState.STOPPED})
    for host in (neighbours.there, neighbours.here):
        host.fence.report()
    assert neighbours.guests() == (OFF, None)


def test_guest_runs_on_while_the_revert_of_a_resize_goes_on_with_its_host(neighbours: Neighbours) -> None:
    """It is that host's until it has set it aside, as it is told to."""
    neighbours.run()
    heard = {"is_silent": False, "is_shared": False}
    neighbours.begin(kind=MigrationType.RESIZE, status=MigrationStatus.REVERTING, destination=heard)
    neighbours.there.driver.spawn(neighbours.tables.instances.get(UUID), None, [ADDRESS], lambda _percent: None)
    neighbours.tables.instances.update(UUID, {"host": THERE, "task_state": TaskState.RESIZE_REVERTING})
    neighbours.there.fence.report()
    assert neighbours.guests()[1] is RUNNING


def test_guest_of_an_instance_that_was_put_elsewhere_by_hand_is_off_once_it_runs_there(
    neighbours: Neighbours, lines: list[Line]
) -> None:
    neighbours.run()
    neighbours.take_by_hand()
    for _ in range(2):
        neighbours.here.fence.report()
    assert neighbours.guests() == (RUNNING, None)  # it may be the only one
    assert ["cloud doctor" in message for message in said(lines, "WARNING")] == [True]
    neighbours.there.driver.spawn(neighbours.tables.instances.get(UUID), None, [ADDRESS], lambda _percent: None)
    neighbours.here.fence.report()
    assert neighbours.guests() == (OFF, RUNNING)
    assert ["cloud doctor" in message for message in said(lines, "WARNING")] == [True, True]
    assert lines[-1][2]["instance_host"] == THERE


def test_guest_runs_on_where_the_host_that_should_have_it_does_not_answer(
    neighbours: Neighbours, lines: list[Line]
) -> None:
    neighbours.run()
    neighbours.run(OTHER)
    for uuid in (UUID, OTHER):
        neighbours.take_by_hand(uuid)
    neighbours.peers.away[THERE] = RpcTimeoutError("no reply in 10 s")
    neighbours.here.fence.report()
    assert (neighbours.guests(UUID)[0], neighbours.guests(OTHER)[0]) == (RUNNING, RUNNING)
    assert neighbours.peers.asked == [(THERE, "running_instances")]
    (line,) = [fields for _, message, fields in lines if message == "cannot ask another host what it runs"]
    assert (line["instance_host"], line["instances"], line["error"]) == (THERE, 2, "no reply in 10 s")


def test_guests_that_the_database_does_not_know_are_left(neighbours: Neighbours) -> None:
    neighbours.run()
    neighbours.run(OTHER)
    neighbours.tables.instances.delete(UUID)
    neighbours.tables.instances.update(OTHER, {"host": None})
    neighbours.here.fence.report()
    assert (neighbours.guests(UUID)[0], neighbours.guests(OTHER)[0]) == (RUNNING, RUNNING)


def test_one_that_cannot_be_powered_off_holds_up_no_other_and_the_host_is_not_up(
    neighbours: Neighbours, lines: list[Line]
) -> None:
    for uuid in (UUID, OTHER):
        neighbours.run(uuid)
        neighbours.begin(uuid)
    neighbours.here.turn(fail=[f"power_off@{UUID}:1"])
    said_alive: list[str] = []
    with pytest.raises(ComputeError, match=f"cannot power off instance {UUID}"):
        neighbours.here.fence.say_alive(lambda: said_alive.append("up"))
    assert (neighbours.guests(UUID)[0], neighbours.guests(OTHER)[0], said_alive) == (RUNNING, OFF, [])
    assert said(lines, "ERROR") == ["cannot power off a guest that is not ours"]
    neighbours.here.fence.say_alive(lambda: said_alive.append("up"))
    assert (neighbours.guests(UUID)[0], said_alive) == (OFF, ["up"])


def test_one_that_is_off_but_cannot_be_removed_is_no_reason_not_to_be_up(
    neighbours: Neighbours, lines: list[Line]
) -> None:
    neighbours.run()
    neighbours.evacuate()
    neighbours.here.turn(fail=["clear_departed:1"])
    neighbours.here.fence.report()
    assert neighbours.guests() == (OFF, RUNNING)
    assert said(lines, "WARNING")[-1] == "cannot remove the guest of an instance that was evacuated"
    neighbours.here.fence.report()
    assert neighbours.guests() == (None, RUNNING)


def test_what_changes_while_others_have_the_instance_is_seen(neighbours: Neighbours) -> None:
    """Between the first look and having it alone, the evacuation is undone, and its owner has started it."""
    neighbours.run()
    begun = neighbours.begin()
    records = neighbours.here.records
    ask = records.whereabouts
    asked: list[int] = []

    def whereabouts(uuids: list[str]) -> object:
        if asked:
            neighbours.end(begun, MigrationStatus.FAILED)
        asked.append(len(uuids))
        return ask(uuids)

    records.whereabouts = whereabouts  # type: ignore[assignment, method-assign]
    neighbours.here.fence.report()
    assert (neighbours.guests(), asked) == ((RUNNING, None), [1, 1])


def test_host_looks_through_its_guests_before_and_after_it_says_that_it_is_up(neighbours: Neighbours) -> None:
    """What is evacuated between the two begins while it is still taken for down."""
    neighbours.run()
    neighbours.run(OTHER)
    neighbours.begin(UUID)
    seen: list[PowerState | None] = []

    def report() -> None:
        seen.append(neighbours.guests(UUID)[0])
        neighbours.begin(OTHER)

    neighbours.here.fence.say_alive(report)
    assert (seen, neighbours.guests(OTHER)[0]) == ([OFF], OFF)


def test_host_that_was_cut_off_looks_through_its_guests_before_it_says_again_that_it_is_up(
    neighbours: Neighbours,
) -> None:
    here = neighbours.here
    neighbours.run()
    asked = here.records.asked

    def say(report: Callable[[], None] = lambda: None) -> int:
        """How often it has asked for that."""
        asked.clear()
        here.fence.say_alive(report)
        return asked.count("instances_on_host")

    def away() -> None:
        raise RpcTimeoutError("no reply")

    assert say() == 2
    for _ in range(3):
        here.now_s += 10
        assert say() == 0
    for _ in range(3):  # attempts that reach nobody do not count
        here.now_s += 10
        with pytest.raises(RpcTimeoutError):
            say(away)
    neighbours.begin()
    assert say() == 2
    assert neighbours.guests() == (OFF, None)
    assert say() == 0


def test_without_nova_conductor_nothing_is_done_and_the_host_is_not_up(neighbours: Neighbours) -> None:
    neighbours.run()
    neighbours.begin()
    here = neighbours.here
    here.records.away["instances_on_host"] = RpcTimeoutError("cannot call nova-conductor: no reply in 10 s")
    said_alive: list[str] = []
    for ask in (here.fence.ensure, here.fence.report, lambda: here.fence.say_alive(lambda: said_alive.append("up"))):
        with pytest.raises(RpcTimeoutError, match=r"^cannot ask which guests are ours: cannot call nova-conductor: "):
            ask()
    assert (neighbours.guests(), said_alive) == ((RUNNING, None), [])
    here.records.away.clear()
    here.fence.ensure()
    here.records.away["instances_on_host"] = RpcTimeoutError("no reply")
    here.fence.ensure()  # once is enough
    assert neighbours.guests() == (OFF, None)


def test_host_gives_up_a_guest_that_another_one_is_about_to_start(neighbours: Neighbours, lines: list[Line]) -> None:
    neighbours.run()
    neighbours.run(OTHER)
    neighbours.begin(UUID)
    neighbours.take_by_hand(OTHER)
    for uuid in (UUID, OTHER):
        neighbours.here.fence.give_up(uuid)
        assert neighbours.guests(uuid) == (OFF, None)
    assert said(lines, "WARNING") == ["another host is about to start the instance, its guest here is powered off"] * 2
    neighbours.here.driver.destroy(UUID)
    neighbours.here.fence.give_up(UUID)


def test_host_gives_up_the_guest_of_an_instance_that_is_deleted(neighbours: Neighbours) -> None:
    neighbours.run()
    neighbours.tables.instances.delete(UUID)
    neighbours.here.fence.give_up(UUID)
    assert neighbours.guests() == (OFF, None)


def test_host_gives_up_nothing_that_is_its_own_or_on_its_way(neighbours: Neighbours) -> None:
    neighbours.run()
    with pytest.raises(InstanceStateError, match=f"it is on host {HERE}, and nobody evacuates it"):
        neighbours.here.fence.give_up(UUID)
    migration = neighbours.begin(kind=MigrationType.LIVE)
    neighbours.there.driver.spawn(neighbours.tables.instances.get(UUID), None, [ADDRESS], lambda _percent: None)
    for host in (neighbours.here, neighbours.there):
        with pytest.raises(InstanceStateError, match="it is being moved"):
            host.fence.give_up(UUID)
    neighbours.hand_over(migration)
    with pytest.raises(InstanceStateError, match="it is being moved"):
        neighbours.here.fence.give_up(UUID)
    assert neighbours.guests() == (RUNNING, RUNNING)
