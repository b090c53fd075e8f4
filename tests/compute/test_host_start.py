"""What a nova-compute does once, before it looks after its instances."""

from typing import Any

import pytest

from cloud.domain.instance import PowerState, TaskState, VmState
from cloud.domain.migration import MigrationStatus
from cloud.errors import ComputeError
from cloud.rpc.errors import RpcTimeoutError
from cloud.services.compute.host_start import HostStart, Resume
from tests.compute.neighbours import Neighbours
from tests.compute.site import OTHER, UUID, Site
from tests.services.said import Line

RUNNING, OFF = PowerState.RUNNING, PowerState.SHUTDOWN


def start(site: Site) -> HostStart:
    """As a process has it that was just started, with `resume_guests_state_on_host_boot`."""
    return HostStart(site.open_fence(), Resume(site.host, site.lifecycle))


def test_guests_that_ran_before_the_host_was_off_are_started_again(site: Site, lines: list[Line]) -> None:
    site.run()
    site.driver.power_off(UUID)  # as a host is after it had no power
    start(site).ensure()
    assert site.driver.power_state(UUID) is RUNNING
    assert site.state() == (VmState.ACTIVE, None, RUNNING)
    assert lines[0][:2] == ("WARNING", "instance does not run since its host was off, it is started again")
    site.sync.report()
    assert site.state() == (VmState.ACTIVE, None, RUNNING)


@pytest.mark.parametrize(
    "changes",
    [
        {"vm_state": VmState.STOPPED, "power_state": OFF},
        {"power_state": OFF},
        {"vm_state": VmState.ERROR},
        {"task_state": TaskState.POWERING_OFF},
        {"task_state": TaskState.RESIZE_PREP},
        {"host": "compute-02"},
    ],
)
def test_no_other_guest_is_started(site: Site, changes: dict[str, Any]) -> None:
    site.run(**changes)
    site.driver.power_off(UUID)
    before = site.records.instances.get(UUID)
    start(site).ensure()
    assert site.driver.power_state(UUID) is OFF
    assert site.records.instances.get(UUID) == before


def test_what_runs_is_left_alone(site: Site) -> None:
    site.run()
    before = site.records.instances.get(UUID)
    start(site).ensure()
    assert site.records.instances.get(UUID) == before


@pytest.mark.parametrize("status", [None, MigrationStatus.COMPLETED, MigrationStatus.ERROR], ids=str)
def test_no_guest_is_started_that_was_evacuated_or_is_being(
    neighbours: Neighbours, status: MigrationStatus | None
) -> None:
    neighbours.run()
    neighbours.here.driver.power_off(UUID)
    if status is None:
        neighbours.begin()
    else:
        neighbours.evacuate(status=status)
    start(neighbours.here).ensure()
    assert neighbours.guests()[0] is (None if status is MigrationStatus.COMPLETED else OFF)


def test_guest_of_an_evacuation_that_was_undone_is_started_again(neighbours: Neighbours) -> None:
    neighbours.run()
    neighbours.here.driver.power_off(UUID)
    neighbours.end(neighbours.begin(), MigrationStatus.FAILED)
    start(neighbours.here).ensure()
    assert neighbours.guests() == (RUNNING, None)


def test_one_that_does_not_start_holds_up_no_other_and_is_told(site: Site) -> None:
    for uuid in (UUID, OTHER):
        site.run(uuid)
        site.driver.power_off(uuid)
    site.turn(fail=[f"power_on@{UUID}"])
    start(site).ensure()
    assert (site.driver.power_state(UUID), site.driver.power_state(OTHER)) == (OFF, RUNNING)
    assert "step power_on fails" in str(site.fault())
    assert site.state()[:2] == (VmState.ACTIVE, None)
    site.sync.report()  # which stops what does not run
    assert site.state() == (VmState.STOPPED, None, OFF)


def test_it_is_done_once_and_later_rounds_look_for_guests_that_are_not_ours(neighbours: Neighbours) -> None:
    here = neighbours.here
    neighbours.run()
    begun = start(here)
    begun.report()
    here.driver.power_off(UUID)
    begun.ensure()
    begun.report()
    assert neighbours.guests()[0] is OFF
    here.driver.power_on(UUID)
    neighbours.begin()
    begun.ensure()
    assert neighbours.guests()[0] is RUNNING
    begun.report()
    assert neighbours.guests()[0] is OFF


def test_without_nova_conductor_nothing_is_started_until_it_answers(site: Site) -> None:
    site.run()
    site.driver.power_off(UUID)
    begun = start(site)
    site.records.away["instances_on_host"] = RpcTimeoutError("no reply in 10 s")
    for again in (begun.ensure, begun.report):
        with pytest.raises(RpcTimeoutError):
            again()
    assert site.driver.power_state(UUID) is OFF
    site.records.away.clear()
    begun.ensure()
    assert site.driver.power_state(UUID) is RUNNING


def test_a_hypervisor_that_does_not_say_what_it_has_is_asked_again(site: Site) -> None:
    site.run()
    site.driver.power_off(UUID)
    site.turn(fail=["instances:1"])
    begun = start(site)
    with pytest.raises(ComputeError, match="step instances fails"):
        begun.ensure()
    begun.ensure()
    assert site.driver.power_state(UUID) is RUNNING


def test_a_process_that_dies_meanwhile_leaves_it_to_the_next_one(site: Site) -> None:
    site.run()
    site.driver.power_off(UUID)
    site.records.away["get_instance"] = RpcTimeoutError("no reply")  # the start that was begun does not come to its end
    with pytest.raises(RpcTimeoutError):
        start(site).ensure()
    assert site.state()[1] is TaskState.POWERING_ON
    site.records.away.clear()
    start(site).ensure()
    site.recovery().report()
    assert site.state() == (VmState.ACTIVE, None, RUNNING)
