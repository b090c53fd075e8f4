"""The hypervisor's word against the database's."""

import pytest

from cloud.domain.instance import PowerState, TaskState, VmState
from cloud.errors import ComputeError
from tests.compute.site import OTHER, UUID, Site
from tests.services.said import Line

ODD = "ffffffff-2a3c-4b0b-9a52-3b1a5a1d7c11"


def said(lines: list[Line]) -> list[tuple[str, str]]:
    return [(level, message) for level, message, _ in lines]


def test_what_is_as_it_should_be_is_not_written(site: Site, lines: list[Line]) -> None:
    site.run()
    site.enter(OTHER)
    site.records.asked.clear()
    site.sync.report()
    assert site.records.asked == ["instances_on_host"]
    assert lines == []


def test_an_instance_that_has_shut_itself_down_becomes_stopped(site: Site, lines: list[Line]) -> None:
    site.run()
    site.turn(shut_down=[UUID])
    site.sync.report()
    assert site.state() == (VmState.STOPPED, None, PowerState.SHUTDOWN)
    assert said(lines) == [
        ("WARNING", "instance has shut itself down, it is stopped"),
        ("INFO", "instance stopped"),
    ]
    assert lines[1][2]["event"] == "instance.stop"


def test_one_that_the_database_knows_to_be_shut_down_already_becomes_stopped_too(site: Site) -> None:
    site.run(power_state=PowerState.SHUTDOWN)
    site.driver.power_off(UUID)
    site.sync.report()
    assert site.state() == (VmState.STOPPED, None, PowerState.SHUTDOWN)


@pytest.mark.parametrize("vm_state", [VmState.STOPPED, VmState.ERROR, VmState.PAUSED, VmState.RESCUED])
def test_of_others_only_the_power_state_is_noted(site: Site, vm_state: VmState) -> None:
    site.run(vm_state=vm_state)
    site.driver.power_off(UUID)
    site.sync.report()
    assert site.state() == (vm_state, None, PowerState.SHUTDOWN)


def test_a_stopped_instance_that_runs_is_said_and_left_running(site: Site, lines: list[Line]) -> None:
    site.run(vm_state=VmState.STOPPED, power_state=PowerState.SHUTDOWN)
    site.sync.report()
    site.sync.report()
    assert site.state() == (VmState.STOPPED, None, PowerState.RUNNING)
    assert site.driver.power_state(UUID) is PowerState.RUNNING
    assert said(lines) == [("WARNING", "instance runs though it is stopped")]


@pytest.mark.parametrize("task_state", [TaskState.REBOOTING, TaskState.DELETING, TaskState.POWERING_OFF])
def test_an_instance_to_which_something_is_done_is_left_alone(site: Site, task_state: TaskState) -> None:
    site.run(task_state=task_state)
    site.driver.power_off(UUID)
    site.sync.report()
    assert site.state() == (VmState.ACTIVE, task_state, PowerState.RUNNING)


def test_an_instance_that_is_held_at_the_moment_is_left_alone(site: Site) -> None:
    site.run()
    site.driver.power_off(UUID)
    with site.host.locks.hold(UUID):
        site.sync.report()
    assert site.state() == (VmState.ACTIVE, None, PowerState.RUNNING)


def test_who_is_faster_wins(site: Site, lines: list[Line]) -> None:
    site.run()
    site.driver.power_off(UUID)
    site.records.before_update = lambda: site.records.instances.update(UUID, {"task_state": TaskState.POWERING_ON})
    site.sync.report()
    assert site.state() == (VmState.ACTIVE, TaskState.POWERING_ON, PowerState.RUNNING)
    assert lines == []


def test_what_only_the_database_has_is_said_once_and_stays(site: Site, lines: list[Line]) -> None:
    site.run()
    site.driver.destroy(UUID)
    site.sync.report()
    site.sync.report()
    assert site.state() == (VmState.ACTIVE, None, PowerState.NOSTATE)
    warnings = [(message, fields["instance"]) for level, message, fields in lines if level == "WARNING"]
    assert warnings == [("hypervisor does not have the instance", UUID)]


def test_what_never_ran_is_not_missed(site: Site, lines: list[Line]) -> None:
    site.enter(vm_state=VmState.ERROR, task_state=None)
    site.sync.report()
    assert lines == []


def test_what_only_the_hypervisor_has_is_said_once_and_stays(site: Site, lines: list[Line]) -> None:
    site.run()
    site.run(OTHER, host="compute-02")
    site.records.instances.delete(UUID)
    site.sync.report()
    site.sync.report()
    assert site.driver.instances() == {UUID: PowerState.RUNNING, OTHER: PowerState.RUNNING}
    unknown = "hypervisor has an instance that the database does not have here"
    assert [(level, message, fields["instance"]) for level, message, fields in lines] == [
        ("WARNING", unknown, OTHER),
        ("WARNING", unknown, UUID),
    ]


def test_what_is_deleted_while_it_looks_is_not_called_unknown(
    site: Site, lines: list[Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    site.run()
    site.records.instances.delete(UUID)
    states = site.driver.instances()
    looks = [states, {}]
    monkeypatch.setattr(site.driver, "instances", lambda: looks.pop(0))
    site.sync.report()
    assert lines == []


def test_a_hypervisor_that_does_not_answer_is_an_error_to_try_again(site: Site) -> None:
    site.turn(fail=["instances:1"])
    with pytest.raises(ComputeError, match=r"^cannot list instances of simulated: "):
        site.sync.report()
    site.sync.report()
