"""What becomes of an instance that users reboot, stop, start, rebuild or delete, and of one where that fails."""

import threading
from collections.abc import Callable

import pytest

from cloud.domain.instance import PowerState, TaskState, VmState
from cloud.errors import ComputeError, DatabaseUnavailableError
from cloud.logs.emit import request_context
from cloud.logs.emit.context import current_context
from cloud.rpc.errors import RpcTimeoutError
from tests.compute.image_store import IMAGE
from tests.compute.site import ADDRESS, HOST, OTHER, REQUEST, UUID, Site
from tests.services.said import Line

BUSY = {
    "reboot": TaskState.REBOOTING,
    "reboot hard": TaskState.REBOOTING_HARD,
    "stop": TaskState.POWERING_OFF,
    "start": TaskState.POWERING_ON,
    "rebuild": TaskState.REBUILDING,
    "delete": TaskState.DELETING,
}
STEPS = {
    "reboot": "reboot",
    "reboot hard": "reboot.stop",
    "stop": "power_off",
    "start": "power_on",
    "rebuild": "spawn.disk",
    "delete": "destroy.disk",
}
"""A step of the hypervisor at which each fails."""


def ask(site: Site, what: str) -> None:
    asked: dict[str, Callable[[], None]] = {
        "reboot": lambda: site.lifecycle.reboot(UUID, hard=False),
        "reboot hard": lambda: site.lifecycle.reboot(UUID, hard=True),
        "stop": lambda: site.lifecycle.stop(UUID),
        "start": lambda: site.lifecycle.start(UUID),
        "rebuild": lambda: site.lifecycle.rebuild(UUID, IMAGE),
        "delete": lambda: site.lifecycle.delete(UUID),
    }
    asked[what]()


def events(lines: list[Line]) -> list[str]:
    return [fields["event"] for _, _, fields in lines if "event" in fields]


@pytest.mark.parametrize("what", ["reboot", "reboot hard"])
@pytest.mark.parametrize("vm_state", [VmState.ACTIVE, VmState.STOPPED, VmState.ERROR])
def test_a_rebooted_instance_is_active_whatever_it_was(
    site: Site, lines: list[Line], what: str, vm_state: VmState
) -> None:
    site.run(vm_state=vm_state, task_state=BUSY[what])
    site.driver.power_off(UUID)
    ask(site, what)
    assert site.state() == (VmState.ACTIVE, None, PowerState.RUNNING)
    assert [(level, said, fields["event"]) for level, said, fields in lines] == [
        ("INFO", "instance rebooted", "instance.reboot")
    ]


def test_a_stopped_instance_does_not_run_and_a_started_one_does(site: Site, lines: list[Line]) -> None:
    site.run(task_state=TaskState.POWERING_OFF)
    ask(site, "stop")
    assert site.state() == (VmState.STOPPED, None, PowerState.SHUTDOWN)
    assert site.driver.power_state(UUID) is PowerState.SHUTDOWN
    site.records.instances.update(UUID, {"task_state": TaskState.POWERING_ON})
    ask(site, "start")
    assert site.state() == (VmState.ACTIVE, None, PowerState.RUNNING)
    assert site.driver.power_state(UUID) is PowerState.RUNNING
    assert events(lines) == ["instance.stop", "instance.start"]


@pytest.mark.parametrize("vm_state", [state for state in VmState if state is not VmState.DELETED])
def test_an_instance_is_deleted_in_whatever_state_it_is(site: Site, lines: list[Line], vm_state: VmState) -> None:
    site.run(vm_state=vm_state, task_state=TaskState.DELETING)
    ask(site, "delete")
    assert site.state() == (VmState.DELETED, None, PowerState.NOSTATE)
    assert site.driver.instances() == {}
    assert events(lines) == ["instance.delete"]


def test_an_instance_that_the_hypervisor_has_not_any_more_is_deleted(site: Site) -> None:
    site.run(task_state=TaskState.DELETING)
    site.driver.destroy(UUID)
    ask(site, "delete")
    assert site.state()[0] is VmState.DELETED


def test_a_rebuilt_instance_has_the_images_disk_and_its_address(site: Site, lines: list[Line]) -> None:
    site.run(task_state=TaskState.REBUILDING, progress=50)
    site.clock.advance(100)
    site.records.fixed_ips.allocate(UUID, "private", "10.0.0.0/24")
    ask(site, "rebuild")
    assert site.state() == (VmState.ACTIVE, None, PowerState.RUNNING)
    rebuilt = site.records.instances.get(UUID)
    assert (rebuilt.launched_at, rebuilt.progress) == (site.clock.now, 0)
    site.driver.snapshot(UUID, site.directory / "disk")
    assert (site.directory / "disk").read_bytes() == b"boot sector"
    site.clock.advance(10)
    assert ADDRESS.mac.encode() in site.driver.console_output(UUID, 10_000)
    assert site.networks.asked == [(HOST, UUID)]
    assert [said for _, said, _ in lines][-1] == "instance rebuilt"


def test_a_stopped_instance_is_stopped_after_a_rebuild_too(site: Site) -> None:
    site.run(vm_state=VmState.STOPPED, task_state=TaskState.REBUILDING)
    ask(site, "rebuild")
    assert site.state() == (VmState.STOPPED, None, PowerState.SHUTDOWN)


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("reboot", (VmState.ACTIVE, None, PowerState.RUNNING)),  # it runs all the same
        ("reboot hard", (VmState.ACTIVE, None, PowerState.RUNNING)),
        ("stop", (VmState.ACTIVE, None, PowerState.RUNNING)),
        ("rebuild", (VmState.ERROR, None, PowerState.NOSTATE)),
        ("delete", (VmState.ERROR, None, PowerState.SHUTDOWN)),
    ],
)
def test_a_failure_of_the_hypervisor_is_told_by_a_fault(
    site: Site, lines: list[Line], what: str, expected: tuple[VmState, TaskState | None, PowerState]
) -> None:
    site.run(task_state=BUSY[what])
    site.turn(fail=[STEPS[what]])
    ask(site, what)
    assert site.state() == expected
    verb = {"stop": "power off", "rebuild": "spawn", "delete": "destroy"}.get(what, "reboot")
    cause = f"cannot {verb} instance {UUID}: step {STEPS[what]} fails by knob '{STEPS[what]}' of "
    assert site.fault() == f"{cause}a file"
    level, _, fields = lines[-1]
    whole = f"{cause}{site.directory}/simulated/knobs.toml"
    assert (level, fields["error"], fields["cause"]) == ("ERROR", whole, "VirtError")
    assert events(lines) == (["instance.error"] if expected[0] is VmState.ERROR else [])


def test_a_start_that_fails_leaves_it_stopped(site: Site, lines: list[Line]) -> None:
    site.run(vm_state=VmState.STOPPED, task_state=TaskState.POWERING_ON)
    site.driver.power_off(UUID)
    site.turn(fail=["power_on"])
    ask(site, "start")
    assert site.state() == (VmState.STOPPED, None, PowerState.SHUTDOWN)
    assert str(site.fault()).startswith(f"cannot power on instance {UUID}: ")
    assert events(lines) == []


def test_an_instance_that_does_not_run_after_a_failed_reboot_is_in_error(site: Site, lines: list[Line]) -> None:
    site.run(task_state=TaskState.REBOOTING)
    site.turn(fail=["reboot.start"])
    ask(site, "reboot")
    assert site.state() == (VmState.ERROR, None, PowerState.SHUTDOWN)
    assert events(lines) == ["instance.error"]


def test_a_failed_delete_can_be_asked_for_again(site: Site) -> None:
    site.run(task_state=TaskState.DELETING)
    site.turn(fail=["destroy:1"])
    ask(site, "delete")
    assert site.state() == (VmState.ERROR, None, PowerState.RUNNING)
    site.records.instances.update(UUID, {"task_state": TaskState.DELETING})
    ask(site, "delete")
    assert site.state()[0] is VmState.DELETED
    assert site.driver.instances() == {}


def test_a_rebuild_without_its_image_is_an_error_and_leaves_the_old_one(site: Site) -> None:
    site.run(task_state=TaskState.REBUILDING)
    site.images.delete(IMAGE)
    ask(site, "rebuild")
    assert site.state() == (VmState.ERROR, None, PowerState.RUNNING)
    assert site.fault() == f"cannot find image {IMAGE}"


@pytest.mark.parametrize("what", BUSY)
def test_a_request_that_comes_a_second_time_is_let_go(site: Site, lines: list[Line], what: str) -> None:
    site.run(task_state=BUSY[what])
    ask(site, what)
    before, said = site.state(), len(lines)
    ask(site, what)
    assert site.state() == before
    assert [(level, fields.get("event")) for level, _, fields in lines[said:]] == [("INFO", None)]
    assert str(lines[-1][1]).startswith("request let go, the instance ")


@pytest.mark.parametrize("what", BUSY)
def test_an_instance_that_is_on_another_host_is_left_alone(site: Site, what: str) -> None:
    site.run(task_state=BUSY[what], host="compute-02")
    ask(site, what)
    assert site.state() == (VmState.ACTIVE, BUSY[what], PowerState.RUNNING)
    assert site.driver.instances() == {UUID: PowerState.RUNNING}


@pytest.mark.parametrize("what", ["reboot", "stop", "start", "rebuild"])
def test_a_delete_that_comes_in_between_wins(site: Site, lines: list[Line], what: str) -> None:
    site.run(task_state=BUSY[what])

    def delete() -> None:
        site.records.instances.update(UUID, {"task_state": TaskState.DELETING})

    site.records.before_update = delete
    ask(site, what)
    assert site.state()[1] is TaskState.DELETING
    assert site.fault() is None
    assert lines[-1][1] == "instance was changed by others meanwhile"
    ask(site, "delete")
    assert site.state()[0] is VmState.DELETED


def test_what_is_left_of_a_deleted_instance_is_cleared_away(site: Site, lines: list[Line]) -> None:
    site.run()
    site.records.instances.delete(UUID)
    ask(site, "delete")
    assert site.driver.instances() == {}
    assert lines[-1][1] == "request let go, the instance is deleted"


def test_what_cannot_be_cleared_away_is_the_senders_to_hear(site: Site) -> None:
    site.run()
    site.records.instances.delete(UUID)
    site.turn(fail=["destroy"])
    with pytest.raises(ComputeError, match=f"^cannot destroy instance {UUID}: "):
        ask(site, "delete")


@pytest.mark.parametrize("away", [RpcTimeoutError("no reply"), DatabaseUnavailableError("locked")])
def test_a_conductor_that_does_not_answer_leaves_the_request_for_later(site: Site, away: Exception) -> None:
    site.run(task_state=TaskState.POWERING_OFF)

    site.records.away = {"update_instance": away}
    with pytest.raises(type(away)):
        ask(site, "stop")
    assert site.state() == (VmState.ACTIVE, TaskState.POWERING_OFF, PowerState.RUNNING)
    site.records.away = {}
    ask(site, "stop")
    assert site.state() == (VmState.STOPPED, None, PowerState.SHUTDOWN)


def test_a_defect_leaves_no_task_state_and_a_traceback(
    site: Site, lines: list[Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(_uuid: str) -> None:
        raise KeyError("disk")

    site.run(task_state=TaskState.POWERING_OFF)
    monkeypatch.setattr(site.driver, "power_off", defect)
    ask(site, "stop")
    assert site.state() == (VmState.ACTIVE, None, PowerState.RUNNING)
    assert site.fault() == f"cannot finish powering-off of instance {UUID}: its host failed with KeyError"


@pytest.mark.parametrize(
    ("what", "event", "result", "fail"),
    [
        ("reboot", "compute_reboot_instance", "Success", []),
        ("stop", "compute_stop_instance", "Error", ["power_off"]),
        ("delete", "compute_terminate_instance", "Success", []),
        ("rebuild", "compute_rebuild_instance", "Error", ["spawn.boot"]),
    ],
)
def test_the_action_has_the_step_and_how_it_ended(
    site: Site, what: str, event: str, result: str, fail: list[str]
) -> None:
    site.run(task_state=BUSY[what])
    site.turn(fail=fail)
    with request_context(request_id=REQUEST):
        site.records.actions.start(UUID, what)
        ask(site, what)
    assert site.steps() == [(event, HOST, result)]


def test_all_lines_and_questions_are_about_the_instance(site: Site) -> None:
    site.run(task_state=TaskState.POWERING_OFF)
    seen: list[str | None] = []
    site.records.before_update = lambda: seen.append(current_context().instance)
    ask(site, "stop")
    assert seen == [UUID]


def test_two_requests_for_one_instance_do_not_interleave(site: Site) -> None:
    site.run(task_state=TaskState.REBOOTING)
    site.run(OTHER, task_state=TaskState.DELETING)
    site.turn(delay=["reboot.stop:1"])
    began, goes_on = threading.Event(), threading.Event()

    def wait() -> None:
        began.set()
        assert goes_on.wait(10)

    site.on_wait = wait
    reboot = threading.Thread(target=lambda: ask(site, "reboot"))
    reboot.start()
    assert began.wait(10)
    site.records.instances.update(UUID, {"task_state": TaskState.DELETING})
    delete = threading.Thread(target=lambda: ask(site, "delete"))
    delete.start()
    site.lifecycle.delete(OTHER)  # of another one it need not wait
    assert UUID in site.driver.instances()
    goes_on.set()
    for thread in (reboot, delete):
        thread.join(10)
    assert site.driver.instances() == {}
    assert site.state()[0] is VmState.DELETED
    assert not site.host.locks.is_held(UUID)
