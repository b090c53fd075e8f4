"""What a process finds that another one has left in the middle of something."""

import pytest

from cloud.domain.instance import PowerState, TaskState, VmState
from cloud.errors import ComputeError
from cloud.rpc.errors import RpcTimeoutError
from tests.compute.site import OTHER, UUID, Site
from tests.services.said import Line


@pytest.mark.parametrize(
    ("task_state", "expected"),
    [
        (TaskState.REBOOTING, (VmState.ACTIVE, None, PowerState.RUNNING)),
        (TaskState.REBOOTING_HARD, (VmState.ACTIVE, None, PowerState.RUNNING)),
        (TaskState.POWERING_OFF, (VmState.STOPPED, None, PowerState.SHUTDOWN)),
        (TaskState.POWERING_ON, (VmState.ACTIVE, None, PowerState.RUNNING)),
        (TaskState.DELETING, (VmState.DELETED, None, PowerState.NOSTATE)),
    ],
)
@pytest.mark.parametrize("runs", [True, False])
def test_at_the_start_what_was_asked_for_is_finished(
    site: Site,
    lines: list[Line],
    task_state: TaskState,
    expected: tuple[VmState, TaskState | None, PowerState],
    *,
    runs: bool,
) -> None:
    site.run(task_state=task_state)
    if not runs:
        site.driver.power_off(UUID)
    site.recovery().report()
    assert site.state() == expected
    assert lines[0][:2] == ("WARNING", "instance was left in the middle of something, it is finished")


@pytest.mark.parametrize("task_state", [None, TaskState.MIGRATING, *TaskState])
def test_instances_of_other_hosts_are_not_touched(site: Site, task_state: TaskState | None) -> None:
    site.run(task_state=task_state, host="compute-02")
    site.clock.advance(100_000)
    site.recovery().report()
    assert site.state() == (VmState.ACTIVE, task_state, PowerState.RUNNING)


def test_builds_are_left_to_the_conductor(site: Site) -> None:
    site.enter()
    site.clock.advance(100_000)
    site.recovery().report()
    assert site.state() == (VmState.BUILDING, TaskState.SPAWNING, PowerState.NOSTATE)


def test_later_a_message_is_given_time_to_come(site: Site) -> None:
    recovery = site.recovery()
    recovery.report()
    site.run(task_state=TaskState.POWERING_OFF)
    site.clock.advance(299)
    recovery.report()
    assert site.state()[1] is TaskState.POWERING_OFF
    site.clock.advance(1)
    recovery.report()
    assert site.state() == (VmState.STOPPED, None, PowerState.SHUTDOWN)


def test_what_is_worked_on_is_left_alone(site: Site) -> None:
    site.run(task_state=TaskState.POWERING_OFF)
    with site.host.locks.hold(UUID):
        site.recovery().report()
    assert site.state()[1] is TaskState.POWERING_OFF


def test_a_failure_of_one_does_not_hold_up_the_others(site: Site) -> None:
    site.run(OTHER, task_state=TaskState.REBOOTING)
    site.clock.advance(1)
    site.run(task_state=TaskState.REBOOTING)
    site.turn(fail=[f"reboot.start@{UUID}"])
    site.recovery().report()
    assert site.state() == (VmState.ERROR, None, PowerState.SHUTDOWN)
    assert site.state(OTHER) == (VmState.ACTIVE, None, PowerState.RUNNING)


def test_what_is_busy_for_too_long_is_raised_after_all_others(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(_uuid: str) -> None:
        raise ComputeError("busy")

    site.run(OTHER, task_state=TaskState.POWERING_ON)
    site.clock.advance(1)
    site.run(task_state=TaskState.POWERING_OFF)
    monkeypatch.setattr(site.lifecycle, "stop", busy)
    with pytest.raises(ComputeError, match=r"^busy$"):
        site.recovery().report()
    assert site.state(OTHER)[1] is None


def test_a_conductor_that_is_away_is_tried_again_as_at_the_start(site: Site) -> None:
    site.run(task_state=TaskState.POWERING_OFF)
    recovery = site.recovery()
    site.records.away = {"instances_on_host": RpcTimeoutError("no reply")}
    with pytest.raises(RpcTimeoutError):
        recovery.report()
    site.records.away = {}
    recovery.report()
    assert site.state()[0] is VmState.STOPPED


@pytest.mark.parametrize(
    ("task_state", "vm_state"),
    [
        (TaskState.REBUILDING, VmState.ERROR),
        (TaskState.IMAGE_SNAPSHOT, VmState.ACTIVE),
        (TaskState.IMAGE_UPLOADING, VmState.ACTIVE),
    ],
)
def test_what_takes_long_is_given_up_when_nobody_goes_on_with_it(
    site: Site, lines: list[Line], task_state: TaskState, vm_state: VmState
) -> None:
    site.run(task_state=task_state)
    recovery = site.recovery(give_up_after_s=1800)
    site.clock.advance(1799)
    recovery.report()
    assert site.state()[1] is task_state
    site.clock.advance(1)
    recovery.report()
    assert site.state() == (vm_state, None, PowerState.RUNNING)
    assert site.fault() == f"cannot finish {task_state} of instance {UUID}: nobody has gone on with it for 1800 s"
    assert (lines[-1][0], lines[-1][2].get("event")) == (
        "ERROR",
        "instance.error" if vm_state is VmState.ERROR else None,
    )


def test_nothing_is_given_up_where_the_option_says_never(site: Site) -> None:
    site.run(task_state=TaskState.REBUILDING)
    site.clock.advance(1_000_000)
    site.recovery(give_up_after_s=0).report()
    assert site.state()[1] is TaskState.REBUILDING


def test_a_snapshot_that_is_on_its_way_is_not_given_up(site: Site) -> None:
    site.run(task_state=TaskState.IMAGE_UPLOADING)
    site.clock.advance(10_000)
    with site.host.locks.hold(f"snapshot of {UUID}"):
        site.recovery().report()
    assert site.state()[1] is TaskState.IMAGE_UPLOADING


def test_the_message_that_comes_after_all_finds_nothing_to_do(site: Site) -> None:
    site.run(task_state=TaskState.POWERING_OFF)
    site.recovery().report()
    site.driver.power_on(UUID)
    site.lifecycle.stop(UUID)
    assert site.driver.power_state(UUID) is PowerState.RUNNING
