"""The transfer while it runs: watched, aborted, forced, given up, and what is done where a host does not answer."""

from collections.abc import Callable

import pytest

from cloud.domain.instance import PowerState, TaskState, VmState
from cloud.domain.migration import Migration, MigrationStatus
from cloud.errors import ComputeError
from cloud.rpc.errors import BusUnavailableError
from cloud.services.conductor.moves.patience import Patience
from tests.conductor.moves.live_site import PATIENCE, SOURCE, LiveSite
from tests.conductor.site import Point, first_time, raising
from tests.db.making import uuid_of
from tests.services.said import Line

SILENT_S = PATIENCE.silence_s


def at_wait(live: LiveSite, number: int, act: Callable[[], None]) -> None:
    """Let `act` happen when a mover waits for that time, and all transfers stand still until then."""

    def on_wait() -> None:
        if len(live.waited_s) == number:
            act()
        elif len(live.waited_s) > number:
            live.let_all_go()

    live.on_wait = on_wait


def abort(live: LiveSite) -> None:
    """What the API does."""
    live.tables.migrations.want_abort(live.migration().id)


def test_what_is_known_of_it_is_in_the_record_and_now_and_then_in_the_log(live: LiveSite, lines: list[Line]) -> None:
    migration = live.enter()
    records: list[Migration] = []
    at_wait(live, 60, lambda: records.append(live.migration()))
    live.move(migration)
    live.assert_moved()
    (record,) = records
    memory = 2048 << 20
    assert (record.memory_total_bytes, record.memory_remaining_bytes, record.progress) == (memory, memory, 0)
    assert record.destination is not None
    assert record.destination["mode"] == "live"
    said = [fields for _, _, fields in lines if fields.get("event") == "migration.transfer.progress"]
    assert len(said) == sum(live.waited_s[:60]) // 30
    assert {(fields["migration"], fields["step"], fields["mode"], fields["progress"]) for fields in said} == {
        (migration.id, "transfer", "live", 0)
    }
    after = live.migration()
    assert (after.progress, after.memory_remaining_bytes, after.disk_remaining_bytes) == (100, 0, 0)
    assert after.downtime_ms is not None
    assert live.waited_s[0] == 0.2
    assert max(live.waited_s) == 2.0


def test_aborted_it_goes_on_where_it_is(live: LiveSite, lines: list[Line]) -> None:
    migration = live.enter()
    at_wait(live, 3, lambda: abort(live))
    live.move(migration)
    ended = live.assert_stayed(status=MigrationStatus.CANCELLED)
    assert ended.error == f"step transfer: cannot move instance {uuid_of(1)}: it was aborted"
    assert ended.is_abort_wanted
    (failed,) = [fields for _, _, fields in lines if fields.get("event") == "migration.transfer.failed"]
    assert failed["error"] == f"cannot move instance {uuid_of(1)}: it was aborted"


def test_an_abort_that_comes_too_late_changes_nothing(live: LiveSite) -> None:
    migration = live.enter()

    def let_go_and_abort() -> None:
        live.let_all_go()
        abort(live)

    at_wait(live, 1, let_go_and_abort)
    live.move(migration)
    live.assert_moved()


def test_an_abort_that_fails_is_asked_for_again(live: LiveSite) -> None:
    migration = live.enter()
    live.on_wait = lambda: abort(live) if len(live.waited_s) == 3 else None
    fails = raising(ComputeError("cannot abort it: the hypervisor is busy"))
    live.calls.begin(first_time("compute.abort_live_transfer", "before", fails))
    live.move(migration)
    live.assert_stayed(status=MigrationStatus.CANCELLED)
    assert live.calls.made("compute.abort_live_transfer") >= 2
    assert live.clock_s() < 10


def test_an_abort_that_fails_each_time_is_not_tried_for_ever(live: LiveSite) -> None:
    migration = live.enter()
    live.on_wait = lambda: abort(live) if len(live.waited_s) == 3 else None

    def fail(point: Point) -> None:
        if point[1:] == ("compute.abort_live_transfer", "before"):
            raise ComputeError("cannot abort it: the hypervisor is busy")

    live.calls.begin(fail)
    live.move(migration)
    waiting = live.migration()
    assert (waiting.status, waiting.owner) == (MigrationStatus.RUNNING, None)
    assert waiting.uncertain_since is not None
    assert waiting.error == (
        f"cannot abort the transfer of instance {uuid_of(1)}: cannot abort it: the hypervisor is busy"
    )
    assert live.guests() == {SOURCE: PowerState.RUNNING}
    assert SILENT_S <= live.clock_s() < SILENT_S + 10
    live.let_all_go()


def test_one_that_does_not_end_in_time_is_given_up(live: LiveSite) -> None:
    migration = live.enter()
    live.on_wait = lambda: None
    live.move(migration, live.mover(live.calls, patience=Patience(transfer_s=100.0, silence_s=60.0)))
    ended = live.assert_stayed()
    assert ended.error == f"step transfer: cannot transfer instance {uuid_of(1)}: it has not ended within 100 s"
    assert 100 <= live.clock_s() < 110


def test_without_a_limit_it_may_take_for_ever(live: LiveSite) -> None:
    migration = live.enter()
    at_wait(live, 400, lambda: None)
    live.move(migration, live.mover(live.calls, patience=Patience(transfer_s=0.0)))
    live.assert_moved()
    assert live.clock_s() > 700


def test_one_that_would_not_end_is_forced_to(live: LiveSite) -> None:
    """It dirties its memory faster than that goes over."""
    migration = live.enter()
    live.turn(SOURCE, transfer_mb_per_s=2000.0, dirty_mb_per_s=3000)
    live.gate(SOURCE).let_go(uuid_of(1))
    states: list[dict[str, PowerState]] = []

    def on_wait() -> None:
        if len(live.waited_s) == 5:
            states.append(live.guests())
            live.tables.migrations.want_force_complete(migration.id)
        live.pause(0.01)

    live.on_wait = on_wait
    live.move(migration)
    live.assert_moved()
    assert states == [{SOURCE: PowerState.RUNNING}]
    destination = live.migration().destination
    assert destination is not None
    assert destination["mode"] == "paused"


def test_by_its_flags_it_is_paused_meanwhile(live: LiveSite, lines: list[Line]) -> None:
    live.set_modes(is_live=False)
    migration = live.enter()
    states: list[dict[str, PowerState]] = []

    def look() -> None:
        states.append(live.guests())
        live.let_all_go()

    live.on_wait = look
    live.move(migration)
    live.assert_moved()
    assert states[0] == {SOURCE: PowerState.PAUSED}
    (completed,) = [fields for _, _, fields in lines if fields.get("event") == "migration.transfer.completed"]
    assert completed["mode"] == "paused"
    assert completed["downtime_ms"] > 0


def test_a_source_that_is_silent_for_a_while_is_waited_for(live: LiveSite) -> None:
    migration = live.enter()

    def on_wait() -> None:
        live.compute.silent = {SOURCE} if live.clock_s() < SILENT_S - 2 else set()
        if not live.compute.silent:
            live.let_all_go()

    live.on_wait = on_wait
    live.move(migration)
    live.assert_moved()


def test_a_source_that_stays_silent_when_the_destination_has_it_is_not_waited_for(live: LiveSite) -> None:
    """And it goes on: its old host is cleared up when that is back."""
    migration = live.enter()

    def on_wait() -> None:
        live.let_all_go()
        live.compute.silent = {SOURCE}

    live.on_wait = on_wait
    live.move(migration)
    ended, instance = live.migration(), live.instance()
    assert (ended.status, ended.step) == (MigrationStatus.ERROR, "cleanup")
    assert (instance.host, instance.vm_state, instance.task_state) == (ended.dest_compute, VmState.ACTIVE, None)
    assert live.guests() == {str(ended.dest_compute): PowerState.RUNNING}
    assert live.claims() == [ended.dest_compute]


@pytest.mark.parametrize("silent", ["the source", "both"])
def test_where_nobody_knows_who_has_it_nothing_is_destroyed(live: LiveSite, silent: str) -> None:
    migration = live.enter()

    def on_wait() -> None:
        destination = str(live.migration().dest_compute)
        live.compute.silent = {SOURCE} if silent == "the source" else {SOURCE, destination}

    live.on_wait = on_wait
    live.move(migration)
    found, instance = live.migration(), live.instance()
    destination = str(found.dest_compute)
    no_answer = f"cannot call nova-compute on {SOURCE}: no reply in 10 s"
    told = "does not have it"
    if silent == "both":
        told = f"does not say (cannot call nova-compute on {destination}: no reply in 10 s)"
    assert found.status is MigrationStatus.RUNNING
    assert found.error == (
        f"cannot tell where instance {uuid_of(1)} is: "
        f"host {SOURCE} does not say ({no_answer}), host {destination} {told}"
    )
    assert not found.is_undoing
    assert (instance.host, instance.vm_state, instance.task_state) == (SOURCE, VmState.ACTIVE, TaskState.MIGRATING)
    assert live.guests() == {SOURCE: PowerState.RUNNING}
    assert live.claims() == sorted([SOURCE, destination])
    assert live.fault() is None
    assert SILENT_S <= live.clock_s() < SILENT_S + 5


def test_a_destination_that_does_not_say_does_not_matter_where_the_source_has_it(live: LiveSite) -> None:
    migration = live.enter()
    live.turn(SOURCE, fail=["transfer.memory"])

    def on_wait() -> None:
        live.let_all_go()
        live.compute.silent = {str(live.migration().dest_compute)}

    live.on_wait = on_wait
    live.move(migration)
    ended, instance = live.migration(), live.instance()
    assert ended.status is MigrationStatus.ERROR  # what was prepared there may be there still
    assert str(ended.error).endswith("; may not be undone: pre")
    assert (instance.host, instance.vm_state, instance.task_state) == (SOURCE, VmState.ACTIVE, None)
    assert (live.guests(), live.claims()) == ({SOURCE: PowerState.RUNNING}, [SOURCE])


def test_a_source_that_starts_again_has_lost_the_transfer_and_keeps_the_instance(live: LiveSite) -> None:
    migration = live.enter()
    at_wait(live, 2, lambda: live.start_again(SOURCE))
    live.move(migration)
    ended = live.assert_stayed()
    assert ended.error == (
        f"step transfer: cannot transfer instance {uuid_of(1)}: host {SOURCE} knows of no transfer any more"
    )


def test_a_source_that_starts_again_behind_the_hand_over_knows_that_it_is_gone(live: LiveSite) -> None:
    migration = live.enter()

    def start_again() -> None:
        live.let_all_go()
        live.start_again(SOURCE)

    at_wait(live, 1, start_again)
    live.move(migration)
    live.assert_moved()


def test_a_destination_that_starts_again_has_what_was_handed_over(live: LiveSite) -> None:
    migration = live.enter()

    def start_again() -> None:
        live.let_all_go()
        live.start_again(str(live.migration().dest_compute))

    at_wait(live, 1, start_again)
    live.move(migration)
    live.assert_moved()


def test_a_bus_that_is_away_for_a_moment_ends_nothing(live: LiveSite) -> None:
    migration = live.enter()
    live.calls.begin(
        first_time("compute.live_transfer", "after", raising(BusUnavailableError("cannot reach the bus"))),
        first_time("compute.clear_departed", "before", raising(BusUnavailableError("cannot reach the bus"))),
    )
    live.move(migration)
    live.assert_moved()


def test_one_that_others_take_over_meanwhile_is_let_go(live: LiveSite, lines: list[Line]) -> None:
    migration = live.enter()
    other = live.mover()

    def take_over() -> None:
        live.on_wait = live.let_all_go
        live.move(migration, other)

    at_wait(live, 2, take_over)
    live.move(migration)
    live.assert_moved()
    assert [message for _, message, _ in lines].count("move is left to another mover") == 1


def test_what_has_come_of_one_that_is_deleted_meanwhile_is_destroyed(live: LiveSite) -> None:
    migration = live.enter()

    def let_go_and_delete() -> None:
        live.let_all_go()
        live.delete(uuid_of(1), hears=True)

    at_wait(live, 1, let_go_and_delete)
    live.move(migration)
    live.assert_deleted()
    assert live.migration().status is MigrationStatus.CANCELLED
    assert live.fault() is None


def test_an_error_of_the_hypervisor_is_told_in_its_own_words(live: LiveSite) -> None:
    migration = live.enter()
    live.turn(SOURCE, fail=["start_transfer"])
    live.move(migration)
    ended = live.assert_stayed()
    assert str(ended.error).startswith(f"step transfer: cannot start transfer of instance {uuid_of(1)}: step")
    assert live.instance().task_state is not TaskState.MIGRATING


def test_a_gap_between_both_is_told(live: LiveSite) -> None:
    """Neither has it: somebody has removed it with the hypervisor's own tools."""
    migration = live.enter()

    def remove() -> None:
        live.hosts[SOURCE].driver.destroy(uuid_of(1))
        live.let_all_go()

    live.on_wait = remove
    live.move(migration)
    ended = live.migration()
    assert ended.status is MigrationStatus.ERROR
    assert str(ended.error).endswith(f"host {SOURCE} does not have it, host {ended.dest_compute} does not have it")
    assert live.claims() == sorted([SOURCE, str(ended.dest_compute)])
