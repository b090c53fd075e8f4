"""The live migration from its request to its end: every step failed in turn, every undo failed in turn."""

from collections.abc import Callable

import pytest

from cloud.domain.flavor import Resources
from cloud.domain.instance import PowerState, TaskState, VmState
from cloud.domain.migration import MigrationStatus
from cloud.errors import ComputeError, ConflictError, NoRoomError
from cloud.rpc.errors import RemoteError, RpcTimeoutError
from cloud.services.conductor.moves.move import WAITS_S
from tests.conductor.moves.live_site import SOURCE, LiveSite
from tests.conductor.site import HOSTS, Point, first_time
from tests.db.making import SMALL, uuid_of
from tests.services.said import Line

STEPS = {
    "source_check": "compute.check_live_source",
    "schedule": "scheduler.select_hosts",
    "claim": "claims.claim",
    "dest_check": "compute.check_live_destination",
    "pre": "compute.prepare_live_arrival",
    "transfer": "compute.start_live_transfer",
}
"""What each step asks of others, up to the hand-over."""
UNDOS = ("compute.abort_live_transfer", "compute.guest_state", "compute.cancel_live_arrival", "claims.release")
NO = ComputeError("cannot do it: the disk is full")
UNMOVED = f"cannot move instance {uuid_of(1)}"


def failing(name: str, exc: Exception, *, times: int = 1000, when: str = "before") -> Callable[[Point], None]:
    """Let the calls of that name fail, so many of them."""
    left = [times]

    def fail(point: Point) -> None:
        if point[1:] == (name, when) and left[0] > 0:
            left[0] -= 1
            raise exc

    return fail


def said_events(lines: list[Line]) -> list[str]:
    return [fields["event"] for _, _, fields in lines if "event" in fields]


def test_it_goes_to_another_host_and_goes_on_running(live: LiveSite) -> None:
    live.move(live.enter())
    live.assert_moved()
    assert live.instance().host != SOURCE
    assert live.waited_s == [0.2]  # for the transfer, and for nothing else


def test_each_step_is_said_with_all_that_identifies_it(live: LiveSite, lines: list[Line]) -> None:
    migration = live.enter()
    lines.clear()
    live.move(migration)
    said = [fields for _, _, fields in lines if fields.get("event", "").startswith("migration.")]
    steps = ("source_check", "schedule", "claim", "dest_check", "pre", "transfer", "post", "cleanup")
    wanted = [f"migration.{step}.{suffix}" for step in steps for suffix in ("started", "completed")]
    assert [fields["event"] for fields in said] == wanted
    destination = live.instance().host
    for fields in said:
        assert (fields["migration"], fields["type"]) == (migration.id, "live-migration")
        assert fields["source_compute"] == SOURCE
        is_chosen = steps.index(fields["step"]) > steps.index("claim")
        assert fields.get("dest_compute") == (destination if is_chosen else None) or fields["step"] == "claim"
        assert ("step_s" in fields) == fields["event"].endswith("completed")
    completed = next(fields for fields in said if fields["event"] == "migration.transfer.completed")
    assert completed["mode"] == "live"
    assert 0 <= completed["downtime_ms"] < 1000


def test_record_and_instance_say_how_far_it_is(live: LiveSite) -> None:
    seen: dict[str, tuple[MigrationStatus, str | None, TaskState | None, str | None]] = {}

    def look(point: Point) -> None:
        if point[2] == "before" and point[1].startswith(("compute.", "scheduler.")):
            migration, instance = live.migration(), live.instance()
            seen.setdefault(point[1], (migration.status, migration.step, instance.task_state, instance.host))

    migration = live.enter()
    live.calls.begin(look)
    live.move(migration)
    there = live.instance().host
    preparing, running, behind = MigrationStatus.PREPARING, MigrationStatus.RUNNING, MigrationStatus.POST_MIGRATING
    assert seen == {
        "compute.check_live_source": (preparing, "source_check", TaskState.MIGRATING, SOURCE),
        "scheduler.select_hosts": (preparing, "schedule", TaskState.MIGRATING, SOURCE),
        "compute.check_live_destination": (preparing, "dest_check", TaskState.MIGRATING, SOURCE),
        "compute.prepare_live_arrival": (preparing, "pre", TaskState.MIGRATING, SOURCE),
        "compute.live_transfer": (running, "transfer", TaskState.MIGRATING, SOURCE),
        "compute.start_live_transfer": (running, "transfer", TaskState.MIGRATING, SOURCE),
        "compute.complete_live_arrival": (behind, "post", TaskState.MIGRATING, there),
        "compute.clear_departed": (behind, "cleanup", TaskState.MIGRATING, there),
    }
    assert live.migration().dest_host == "192.0.2.11"
    assert live.migration().dest_node == f"{there}.example.org"


def test_one_that_is_paused_is_paused_there(live: LiveSite) -> None:
    instance = live.run(vm_state=VmState.PAUSED, power_state=PowerState.PAUSED)
    live.move(live.ask(instance))
    assert live.migration().status is MigrationStatus.COMPLETED
    assert live.instance().vm_state is VmState.PAUSED


@pytest.mark.parametrize("is_shared", [True, False])
@pytest.mark.parametrize("block", [None, True, False])
def test_whether_its_disk_goes_too_is_by_the_storage_and_nobody_is_let_be_wrong(
    live: LiveSite, *, is_shared: bool, block: bool | None
) -> None:
    live = live.with_shared_disks() if is_shared else live
    live.move(live.enter(block_migration=block))
    if block is None or block is not is_shared:
        live.assert_moved()
        assert (live.migration().disk_total_bytes == 0) == is_shared
        return
    migration = live.assert_stayed()
    wanted = "block migration is not for storage that both hosts share"
    if not is_shared:
        wanted = "without block migration, both hosts have to share their storage"
    assert (
        migration.error
        == f"step dest_check: cannot migrate instance {uuid_of(1)} to host {migration.dest_compute}: {wanted}"
    )
    fault = live.fault()
    assert fault is not None
    assert fault.message == f"cannot migrate instance {uuid_of(1)} to the host: {wanted}"


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_fails_leaves_all_as_it_was_and_says_why(live: LiveSite, lines: list[Line], step: str) -> None:
    migration = live.enter()
    live.calls.begin(failing(STEPS[step], ConflictError(f"cannot do {step}: there is a reason")))
    live.move(migration)
    ended = live.assert_stayed()
    assert (ended.error, ended.step) == (f"step {step}: cannot do {step}: there is a reason", step)
    fault = live.fault()
    assert fault is not None
    assert (fault.code, fault.message, fault.host) == (500, f"cannot do {step}: there is a reason", SOURCE)
    assert fault.details is not None
    assert fault.details.splitlines()[:2] == [
        f"step {step}: ConflictError: cannot do {step}: there is a reason",
        f"migration {ended.id} from host {SOURCE} to host {ended.dest_compute or '(none yet)'}",
    ]
    (failed,) = [line for line in lines if line[2].get("event") == f"migration.{step}.failed"]
    assert failed[0] == "ERROR"
    assert (failed[2]["error"], failed[2]["cause"]) == (f"cannot do {step}: there is a reason", "ConflictError")
    has_undo = step not in ("source_check", "schedule")
    assert ("migration.rollback.completed" in said_events(lines)) == has_undo


@pytest.mark.parametrize("step", STEPS)
def test_a_defect_in_a_step_leaves_all_as_it_was_and_tells_its_owner_no_internals(live: LiveSite, step: str) -> None:
    migration = live.enter()
    live.calls.begin(failing(STEPS[step], KeyError("password")))
    live.move(migration)
    live.assert_stayed()
    fault = live.fault()
    assert fault is not None
    assert fault.message == f"{UNMOVED}: KeyError at step {step}"
    assert fault.details is not None
    assert "Traceback" in fault.details


@pytest.mark.parametrize(
    ("cause", "message"),
    [
        (RpcTimeoutError("cannot call nova-compute on HOST: no reply in 10 s"), f"{UNMOVED}: no answer at step pre"),
        (RemoteError("KeyError: 'password'"), f"{UNMOVED}: a service failed at step pre"),
        (ComputeError("cannot prepare on HOST: no KVM"), "cannot prepare on the host: no KVM"),
        (ComputeError("cannot write '/var/lib/nova/x y': disk full"), "cannot write a file: disk full"),
    ],
)
def test_a_fault_names_neither_hosts_nor_paths_to_the_owner_and_all_to_admins(
    live: LiveSite, cause: Exception, message: str
) -> None:
    migration = live.enter()

    def fail(point: Point) -> None:
        if point[1:] == ("compute.prepare_live_arrival", "before"):
            raise type(cause)(str(cause).replace("HOST", str(live.migration().dest_compute)))

    live.calls.begin(fail)
    live.move(migration)
    ended, fault = live.assert_stayed(), live.fault()
    assert fault is not None
    assert fault.message == message
    assert fault.details is not None
    assert str(cause).replace("HOST", str(ended.dest_compute)) in fault.details


@pytest.mark.parametrize(
    "knob", ["transfer.start", "transfer.disk", "transfer.memory", "transfer.stop", "transfer.hand_over"]
)
def test_a_transfer_that_fails_leaves_it_running_where_it_is(live: LiveSite, knob: str) -> None:
    migration = live.enter()
    live.turn(SOURCE, fail=[knob])
    live.move(migration)
    ended = live.assert_stayed()
    assert ended.error is not None
    assert ended.error.startswith(f"step transfer: cannot transfer instance {uuid_of(1)}: step {knob} fails by knob")


@pytest.mark.parametrize("knob", ["prepare_arrival", "prepare_arrival.ready", "check_can_come"])
def test_what_the_destination_has_half_done_is_undone(live: LiveSite, knob: str) -> None:
    for host in HOSTS:
        live.turn(host, fail=[knob])
    live.move(live.enter())
    live.assert_stayed()


@pytest.mark.parametrize("undo", UNDOS)
@pytest.mark.parametrize("exc", [ConflictError("cannot undo"), OSError("cannot undo")], ids=["expected", "defect"])
def test_an_undo_that_fails_once_holds_up_no_other_and_leaves_nothing(
    live: LiveSite, undo: str, exc: Exception
) -> None:
    migration = live.enter()
    live.turn(SOURCE, fail=["transfer.memory"])
    began_undoing: list[Point] = []

    def fail(point: Point) -> None:
        if live.migration().is_undoing and point[1:] == (undo, "before") and not began_undoing:
            began_undoing.append(point)
            raise exc

    live.calls.begin(fail)
    live.move(migration)
    live.assert_stayed()
    assert began_undoing


def test_what_cannot_be_undone_at_the_destination_is_told_and_the_instance_is_what_it_was(live: LiveSite) -> None:
    migration = live.enter()
    live.turn(SOURCE, fail=["transfer.memory"])
    live.calls.begin(failing("compute.cancel_live_arrival", NO))
    live.move(migration)
    ended, instance = live.migration(), live.instance()
    assert ended.status is MigrationStatus.ERROR
    assert str(ended.error).endswith("; may not be undone: pre")
    assert (instance.vm_state, instance.task_state, instance.host) == (VmState.ACTIVE, None, SOURCE)
    assert (live.guests(), live.claims()) == ({SOURCE: PowerState.RUNNING}, [SOURCE])
    fault = live.fault()
    assert fault is not None
    assert str(fault.details).splitlines()[-1] == "may not be undone: pre"


def test_where_the_database_cannot_hand_it_over_nothing_is_destroyed(live: LiveSite) -> None:
    migration = live.enter()
    live.calls.begin(failing("migrations.hand_over", ConflictError("cannot hand over: a defect")))
    live.move(migration)
    ended, instance = live.migration(), live.instance()
    destination = str(ended.dest_compute)
    assert ended.status is MigrationStatus.ERROR
    assert ended.error == "step post: cannot hand over: a defect; may not be undone: transfer, pre, claim"
    assert live.guests() == {destination: PowerState.RUNNING}
    assert live.claims() == sorted([SOURCE, destination])
    assert (instance.vm_state, instance.task_state) == (VmState.ERROR, None)


@pytest.mark.parametrize("name", ["compute.complete_live_arrival", "compute.clear_departed"])
def test_behind_the_hand_over_a_step_is_tried_again_until_it_is_done(
    live: LiveSite, lines: list[Line], name: str
) -> None:
    migration = live.enter()
    live.calls.begin(failing(name, NO, times=3))
    live.move(migration)
    live.assert_moved()
    assert live.waited_s == [0.2, *WAITS_S[:3]]
    assert [level for level, message, _ in lines if message == "step is tried again"] == ["WARNING"] * 3
    assert not [event for event in said_events(lines) if event.endswith("failed")]


@pytest.mark.parametrize(
    ("name", "step", "vm_state"),
    [
        ("compute.complete_live_arrival", "post", VmState.ERROR),
        ("compute.clear_departed", "cleanup", VmState.ACTIVE),
    ],
)
def test_behind_the_hand_over_nothing_is_undone(
    live: LiveSite, lines: list[Line], name: str, step: str, vm_state: VmState
) -> None:
    migration = live.enter()
    live.calls.begin(failing(name, NO))
    live.move(migration)
    ended, instance, fault = live.migration(), live.instance(), live.fault()
    destination = ended.dest_compute
    assert (ended.status, ended.error) == (MigrationStatus.ERROR, f"step {step}: {NO}")
    assert (instance.vm_state, instance.task_state, instance.host) == (vm_state, None, destination)
    assert live.guests() == {destination: PowerState.RUNNING}
    assert live.claims() == [destination]
    assert "migration.rollback.started" not in said_events(lines)
    assert said_events(lines)[-1] == f"migration.{step}.failed"
    assert fault is not None
    assert str(fault.details).splitlines()[-1] == "not undone: the destination has the instance"


def test_the_next_candidate_is_taken_where_the_first_one_is_full(live: LiveSite, lines: list[Line]) -> None:
    migration = live.enter()
    full: list[str] = []

    def fill(point: Point) -> None:
        if point[1:] == ("claims.claim", "before") and not full:
            full.append(str(live.migration().dest_compute))
            raise NoRoomError("cannot claim 2048 MB of memory: 0 are left")

    live.calls.begin(fill)
    live.move(migration)
    live.assert_moved()
    assert live.instance().host not in (SOURCE, *full)


def test_where_no_host_has_room_it_stays_and_the_record_says_so(live: LiveSite) -> None:
    migration = live.enter()
    live.calls.begin(failing("claims.claim", NoRoomError("cannot claim 2048 MB of memory: 0 are left")))
    live.move(migration)
    ended = live.assert_stayed()
    assert str(ended.error).endswith("others were faster 10 times; cannot claim 2048 MB of memory: 0 are left")


@pytest.mark.parametrize("is_forced", [True, False])
def test_a_host_that_is_asked_for_is_the_only_one(live: LiveSite, *, is_forced: bool) -> None:
    live.move(live.enter(host=HOSTS[2], is_forced=is_forced))
    live.assert_moved()
    assert live.instance().host == HOSTS[2]
    (asked,) = live.scheduler.asked
    assert (asked.forced_host, asked.requested_host) == ((HOSTS[2], None) if is_forced else (None, HOSTS[2]))
    live.report(HOSTS[1], Resources(SMALL.memory_mb - 1, 100, 1000))
    live.move(live.enter(2, host=HOSTS[1], is_forced=is_forced))
    ended = live.assert_stayed(2)
    assert str(ended.error).startswith("step schedule: no valid host")


def test_its_own_host_is_no_destination(live: LiveSite) -> None:
    live.move(live.enter(host=SOURCE, is_forced=True, may_stay=True))
    live.assert_stayed()
    assert live.scheduler.asked[0].ignored_hosts == (SOURCE,)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"vm_state": VmState.STOPPED}, "its vm_state is stopped, and it is on host compute-01"),
        ({"host": HOSTS[1]}, "its vm_state is active, and it is on host compute-02"),
    ],
)
def test_one_that_does_not_run_at_the_source_is_refused(live: LiveSite, changes: dict[str, str], cause: str) -> None:
    migration = live.enter()
    live.tables.instances.update(uuid_of(1), changes)
    live.move(migration)
    ended = live.migration()
    assert ended.status is MigrationStatus.FAILED
    assert ended.error == f"step source_check: cannot migrate instance {uuid_of(1)} from host {SOURCE}: {cause}"
    assert live.instance().task_state is None


def test_a_source_that_is_down_is_refused(live: LiveSite) -> None:
    migration = live.enter()
    live.clock.advance(100)
    for host in HOSTS[1:]:
        live.report(host)
    live.move(migration)
    ended = live.assert_stayed()
    assert (
        ended.error == f"step source_check: cannot migrate instance {uuid_of(1)}: nova-compute on host {SOURCE} is down"
    )


def test_a_destination_whose_network_is_down_is_refused(live: LiveSite) -> None:
    migration = live.enter(host=HOSTS[1])
    live.clock.advance(100)
    live.report(SOURCE)
    live.move(migration)
    ended = live.assert_stayed()
    assert ended.error == (
        f"step dest_check: cannot migrate instance {uuid_of(1)}: nova-network on host {HOSTS[1]} is down"
    )


def test_an_admins_word_on_its_state_is_the_last_one(live: LiveSite) -> None:
    """Before the hand-over it is not moved any more, behind it that goes on."""
    migration = live.enter()

    def reset() -> None:
        live.tables.instances.update(uuid_of(1), {"vm_state": VmState.ERROR, "task_state": None})

    live.calls.begin(first_time("compute.check_live_destination", "after", reset))
    live.move(migration)
    assert (live.instance().vm_state, live.guests()) == (VmState.ERROR, {SOURCE: PowerState.RUNNING})
    assert (live.migration().status, live.claims()) == (MigrationStatus.FAILED, [SOURCE])

    migration = live.enter(2)

    def reset_task() -> None:
        live.tables.instances.update(uuid_of(2), {"task_state": None})

    live.calls.begin(first_time("migrations.hand_over", "before", reset_task))
    live.move(migration)
    live.assert_moved(2)
