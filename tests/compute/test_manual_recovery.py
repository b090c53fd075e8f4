"""The guide's way with a broken host: one UPDATE in the database, and a hard reboot."""

from typing import Any

import pytest
from sqlalchemy import text

from cloud.domain.instance import PowerState, TaskState, VmState
from cloud.domain.migration import MigrationStatus, MigrationType
from cloud.domain.service import ServiceReport
from cloud.errors import ComputeError
from cloud.rpc.errors import BusUnavailableError, RpcTimeoutError
from tests.compute.conftest import on_either_storage, on_shared_storage
from tests.compute.image_store import IMAGE
from tests.compute.neighbours import HERE, THERE, Neighbours
from tests.compute.site import ADDRESS, OTHER, TINY, UUID
from tests.services.said import Line

RUNNING, OFF = PowerState.RUNNING, PowerState.SHUTDOWN
MOVED = "instance was put on another host by hand, what it has claimed is moved there"


def update(neighbours: Neighbours, assignments: str, uuid: str = UUID) -> None:
    """As an admin types it."""
    with neighbours.tables.instances._database.transaction() as session:
        session.execute(text(f"UPDATE instances SET {assignments} WHERE uuid = '{uuid}'"))  # noqa: S608 - ours


def break_down(neighbours: Neighbours, uuid: str = UUID) -> None:
    """The host has no power, and its instance is put on the other one."""
    neighbours.run(uuid)
    neighbours.here.driver.power_off(uuid)
    update(neighbours, f"host = '{THERE}'", uuid)


def reboot(neighbours: Neighbours, uuid: str = UUID) -> None:
    """What the API and the host do for `nova reboot --hard`."""
    neighbours.tables.instances.update(uuid, {"task_state": TaskState.REBOOTING_HARD})
    neighbours.there.lifecycle.reboot(uuid, hard=True)


def report_up(neighbours: Neighbours, host: str, *, is_forced_down: bool = False) -> None:
    neighbours.tables.services.report(ServiceReport(host, "nova-compute", "compute", "nova"))
    neighbours.tables.services.force_down(host, "nova-compute", is_forced=is_forced_down)


def assert_recovered(neighbours: Neighbours, uuid: str = UUID) -> None:
    """It runs on the other host, and all that is known of it says so."""
    instance = neighbours.tables.instances.get(uuid)
    assert (instance.host, instance.node) == (THERE, THERE)
    assert neighbours.there.state(uuid) == (VmState.ACTIVE, None, RUNNING)
    assert neighbours.tables.claims.of(uuid) == {THERE: TINY.resources}
    assert neighbours.guests(uuid)[1] is RUNNING


@on_shared_storage
def test_after_the_update_and_a_hard_reboot_it_runs_on_the_other_host(
    neighbours: Neighbours, lines: list[Line]
) -> None:
    break_down(neighbours)
    neighbours.tables.fixed_ips.allocate(UUID, "private", "10.0.0.0/24")
    reboot(neighbours)
    assert_recovered(neighbours)
    definition: Any = neighbours.there.driver.definition(UUID)  # type: ignore[attr-defined]
    assert (definition["dhcp_server"], definition["vnc_address"]) == (f"dhcp.{THERE}", f"vnc.{THERE}")
    assert definition["interfaces"] == [ADDRESS.as_dict()]
    assert neighbours.there.networks.asked == [(THERE, UUID)]
    (moved,) = [fields for level, message, fields in lines if (level, message) == ("WARNING", MOVED)]
    assert (moved["host"], moved["was_node"], moved["released_of"]) == (THERE, HERE, (HERE,))


@on_shared_storage
@pytest.mark.parametrize(
    "assignments",
    [
        "vm_state = 'stopped', power_state = 4",
        "vm_state = 'error', power_state = 0, task_state = NULL",
        "vm_state = 'active', power_state = 1, hostname = 'at3-ui02'",
        "vm_state = 'shutoff', power_state = 5, task_state = ''",  # as the guide's listing has them, and a slip
    ],
)
def test_states_that_are_set_by_hand_hold_at_once(neighbours: Neighbours, assignments: str) -> None:
    break_down(neighbours)
    update(neighbours, assignments)
    neighbours.there.sync.report()
    reboot(neighbours)
    assert_recovered(neighbours)


@on_shared_storage
def test_a_task_that_is_ended_by_hand_is_not_gone_on_with(neighbours: Neighbours) -> None:
    break_down(neighbours)
    neighbours.tables.instances.update(UUID, {"task_state": TaskState.POWERING_OFF})
    update(neighbours, "task_state = NULL")
    neighbours.there.lifecycle.stop(UUID)
    neighbours.there.recovery().report()
    assert neighbours.there.state()[:2] == (VmState.ACTIVE, None)


@on_shared_storage
def test_all_that_is_asked_of_it_afterwards_is_done_by_its_new_host(neighbours: Neighbours) -> None:
    break_down(neighbours)
    reboot(neighbours)
    there = neighbours.there
    neighbours.clock.advance(10)
    assert b"web login:" in there.driver.console_output(UUID, 10_000)
    for task_state, ask, vm_state, power_state in (
        (TaskState.POWERING_OFF, there.lifecycle.stop, VmState.STOPPED, OFF),
        (TaskState.POWERING_ON, there.lifecycle.start, VmState.ACTIVE, RUNNING),
        (TaskState.DELETING, there.lifecycle.delete, VmState.DELETED, PowerState.NOSTATE),
    ):
        neighbours.tables.instances.update(UUID, {"task_state": task_state})
        ask(UUID)
        assert there.state() == (vm_state, None, power_state)
    assert neighbours.tables.claims.of(UUID) == {}


@on_shared_storage
def test_its_claim_follows_whatever_room_there_is(neighbours: Neighbours) -> None:
    neighbours.there.run(OTHER)
    full = neighbours.tables.compute_nodes.get(THERE).total
    neighbours.tables.claims.claim(OTHER, THERE, full, full)
    break_down(neighbours)
    reboot(neighbours)
    assert_recovered(neighbours)


def test_without_shared_storage_the_fault_says_what_is_missing(neighbours: Neighbours) -> None:
    break_down(neighbours)
    reboot(neighbours)
    assert neighbours.there.state()[:2] == (VmState.ERROR, None)
    assert neighbours.there.fault() == (
        f"cannot start instance {UUID}: this host has neither a guest of it nor its disk; "
        "without shared storage it can only be made anew from its image"
    )
    assert neighbours.tables.claims.of(UUID) == {HERE: TINY.resources}  # where its disk is


def test_without_its_disk_here_a_guest_that_runs_on_another_host_goes_on_running(neighbours: Neighbours) -> None:
    neighbours.run()
    update(neighbours, f"host = '{THERE}', vm_state = 'error'")
    report_up(neighbours, HERE)
    reboot(neighbours)
    assert neighbours.guests() == (RUNNING, None)
    assert neighbours.peers.asked == []
    assert neighbours.there.state()[:2] == (VmState.ERROR, None)


@on_either_storage
def test_what_a_move_has_left_aside_on_its_own_host_is_taken_back_and_started(neighbours: Neighbours) -> None:
    neighbours.run()
    driver: Any = neighbours.here.driver
    driver.power_off(UUID)
    driver.set_aside(UUID)
    neighbours.tables.instances.update(UUID, {"vm_state": VmState.ERROR, "task_state": TaskState.REBOOTING_HARD})
    neighbours.here.lifecycle.reboot(UUID, hard=True)
    assert neighbours.here.state() == (VmState.ACTIVE, None, RUNNING)
    assert neighbours.guests() == (RUNNING, None)


@on_either_storage
def test_what_a_move_has_left_aside_is_deleted_with_the_instance(neighbours: Neighbours) -> None:
    neighbours.run()
    driver: Any = neighbours.here.driver
    driver.power_off(UUID)
    driver.set_aside(UUID)
    neighbours.tables.instances.update(UUID, {"vm_state": VmState.ERROR, "task_state": TaskState.DELETING})
    neighbours.here.lifecycle.delete(UUID)
    assert neighbours.here.state()[0] is VmState.DELETED
    assert list(neighbours.here.directory.parent.rglob(UUID)) == []


@on_either_storage
def test_a_rebuild_makes_it_anew_on_the_host_where_it_was_put(neighbours: Neighbours) -> None:
    break_down(neighbours)
    if neighbours.there.shared_disks is not None:
        reboot(neighbours)  # so that its disk is the host's
    neighbours.tables.instances.update(UUID, {"task_state": TaskState.REBUILDING})
    neighbours.there.lifecycle.rebuild(UUID, IMAGE)
    assert_recovered(neighbours)


@on_shared_storage
def test_a_former_host_that_is_up_has_its_guest_powered_off_first(neighbours: Neighbours) -> None:
    neighbours.run()
    update(neighbours, f"host = '{THERE}'")
    report_up(neighbours, HERE)
    reboot(neighbours)
    assert neighbours.guests() == (OFF, RUNNING)
    assert_recovered(neighbours)


@on_shared_storage
def test_a_former_host_without_a_claim_is_known_by_its_node(neighbours: Neighbours) -> None:
    neighbours.run()
    neighbours.tables.claims.release(UUID)
    update(neighbours, f"host = '{THERE}'")
    report_up(neighbours, HERE)
    reboot(neighbours)
    assert neighbours.guests() == (OFF, RUNNING)
    assert_recovered(neighbours)


@on_shared_storage
@pytest.mark.parametrize("exc", [RpcTimeoutError("no reply in 30 s"), ComputeError("cannot power off: stuck")])
def test_where_the_former_host_may_run_it_still_it_is_not_started(neighbours: Neighbours, exc: Exception) -> None:
    neighbours.run()
    update(neighbours, f"host = '{THERE}'")
    report_up(neighbours, HERE)
    neighbours.peers.away[HERE] = exc
    reboot(neighbours)
    assert neighbours.guests() == (RUNNING, None)
    assert neighbours.there.state()[:2] == (VmState.ERROR, None)
    assert neighbours.there.fault() == (
        f"cannot be certain that instance {UUID} does not run on another host any more: {exc}"
    )
    assert neighbours.tables.claims.of(UUID) == {HERE: TINY.resources}


@on_shared_storage
def test_a_former_host_that_is_forced_down_is_asked_but_need_not_answer(neighbours: Neighbours) -> None:
    break_down(neighbours)
    report_up(neighbours, HERE, is_forced_down=True)
    neighbours.peers.away[HERE] = RpcTimeoutError("no reply in 30 s")
    reboot(neighbours)
    assert neighbours.peers.asked == [(HERE, "give_up_guest")]
    assert_recovered(neighbours)


@on_shared_storage
def test_a_former_host_that_is_forced_down_and_answers_has_to_power_it_off(neighbours: Neighbours) -> None:
    neighbours.run()
    update(neighbours, f"host = '{THERE}'")
    report_up(neighbours, HERE, is_forced_down=True)
    neighbours.here.turn(fail=["power_off"])
    reboot(neighbours)
    assert neighbours.guests() == (RUNNING, None)
    neighbours.here.turn()
    reboot(neighbours)
    assert neighbours.guests() == (OFF, RUNNING)
    assert_recovered(neighbours)


@on_shared_storage
def test_without_the_bus_it_is_left_to_the_next_round(neighbours: Neighbours) -> None:
    break_down(neighbours)
    report_up(neighbours, HERE)
    neighbours.peers.away[HERE] = BusUnavailableError("cannot reach the bus")
    with pytest.raises(BusUnavailableError):
        reboot(neighbours)
    assert neighbours.there.state()[1] is TaskState.REBOOTING_HARD
    neighbours.peers.away.clear()
    neighbours.there.recovery().report()
    assert_recovered(neighbours)


@on_shared_storage
def test_without_nova_network_of_the_host_the_fault_says_so(
    neighbours: Neighbours, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_reply(_host: str) -> str:
        raise RpcTimeoutError(f"cannot call nova-network on {THERE}: no reply in 15 s")

    break_down(neighbours)
    monkeypatch.setattr(neighbours.there.networks, "dhcp_server", no_reply)
    reboot(neighbours)
    assert neighbours.there.state()[:2] == (VmState.ERROR, None)
    assert neighbours.there.fault() == (
        f"cannot start instance {UUID}: cannot call nova-network on the host: no reply in 15 s"
    )


@on_shared_storage
@pytest.mark.parametrize("died_before", ["define_again", "take_over_claim", "update_instance"])
def test_a_host_that_dies_meanwhile_goes_on_after_its_start(
    neighbours: Neighbours, died_before: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*_args: object, **_kwargs: object) -> None:
        raise Killed

    break_down(neighbours)
    target = neighbours.there.driver if died_before == "define_again" else neighbours.there.records
    with monkeypatch.context() as patched:
        patched.setattr(target, died_before, die)
        with pytest.raises(Killed):
            reboot(neighbours)
    neighbours.there.recovery().report()
    assert_recovered(neighbours)


@on_shared_storage
def test_it_may_be_put_back_in_the_same_way(neighbours: Neighbours) -> None:
    """Its first host has a guest of it still, with the disk of the other one."""
    break_down(neighbours)
    reboot(neighbours)
    report_up(neighbours, THERE)
    update(neighbours, f"host = '{HERE}'")
    neighbours.tables.instances.update(UUID, {"task_state": TaskState.REBOOTING_HARD})
    neighbours.here.lifecycle.reboot(UUID, hard=True)
    assert neighbours.guests() == (RUNNING, OFF)
    assert neighbours.here.state() == (VmState.ACTIVE, None, RUNNING)
    assert neighbours.tables.claims.of(UUID) == {HERE: TINY.resources}
    assert neighbours.tables.instances.get(UUID).node == HERE


@on_shared_storage
@pytest.mark.parametrize("status", [MigrationStatus.RUNNING, MigrationStatus.FINISHED])
def test_one_that_a_migration_has_in_hand_is_not_taken_over(neighbours: Neighbours, status: MigrationStatus) -> None:
    neighbours.run()
    neighbours.begin(kind=MigrationType.COLD, status=status)
    update(neighbours, f"host = '{THERE}'")
    reboot(neighbours)
    assert neighbours.guests() == (RUNNING, None)
    assert neighbours.there.state()[:2] == (VmState.ERROR, None)
    assert f"is {status}" in str(neighbours.there.fault())


def test_a_hard_reboot_of_what_was_never_moved_asks_nobody(neighbours: Neighbours, lines: list[Line]) -> None:
    neighbours.run()
    neighbours.tables.instances.update(UUID, {"task_state": TaskState.REBOOTING_HARD})
    neighbours.here.lifecycle.reboot(UUID, hard=True)
    assert neighbours.here.state() == (VmState.ACTIVE, None, RUNNING)
    assert "former_hosts" not in neighbours.here.records.asked
    assert [message for _, message, _ in lines] == ["instance rebooted"]


@on_shared_storage
def test_the_broken_host_does_not_run_it_when_it_is_back(neighbours: Neighbours, lines: list[Line]) -> None:
    """Its guest has run all the time: only its network was broken."""
    neighbours.run()
    update(neighbours, f"host = '{THERE}'")
    reboot(neighbours)
    assert neighbours.guests() == (RUNNING, RUNNING)
    neighbours.here.fence.say_alive(lambda: None)
    assert neighbours.guests() == (OFF, RUNNING)
    (said,) = [message for _, message, _ in lines if "cloud doctor" in message]
    assert said.startswith("instance runs on another host, where it was put by hand")
    neighbours.here.sync.report()
    neighbours.here.recovery().report()
    assert_recovered(neighbours)
