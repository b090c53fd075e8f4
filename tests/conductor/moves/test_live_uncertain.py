"""A live migration of which neither hypervisor can say who has the guest: it waits, and they are asked until one can."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from cloud.db.hosts import COMPUTE_BINARY
from cloud.domain.instance import PowerState, TaskState, VmState
from cloud.domain.migration import Migration, MigrationStatus
from cloud.errors import ComputeError, DatabaseUnavailableError
from tests.conductor.moves.live_site import PATIENCE, REQUEST_ID, SOURCE, LiveSite
from tests.conductor.site import HOSTS, Calls, Point
from tests.db.making import uuid_of
from tests.services.said import Line

WARNING = "nobody can say which host has the instance, they are asked again until one can"


def hide_at_end(live: LiveSite, migration: Migration) -> None:
    """The transfer comes to its end, and both hosts are silent from then on."""

    def on_wait() -> None:
        live.let_all_go()
        live.compute.silent = set(HOSTS)

    live.on_wait = on_wait
    live.move(migration)


def ask_again(live: LiveSite, after_s: float = 300.0) -> None:
    """What conductors do about what is left, so much later."""
    live.clock.advance(after_s)
    for host in HOSTS:
        if host not in live.compute.silent:
            live.report(host)
    mover = live.mover(Calls())
    for migration_id in mover.left():
        mover.move(migration_id)


def assert_waits(live: LiveSite) -> Migration:
    """Nothing has ended, nothing was undone, and the record says what is waited for."""
    migration, instance = live.migration(), live.instance()
    assert migration.status is MigrationStatus.RUNNING
    assert (migration.owner, migration.is_handed_over) == (None, False)
    assert (instance.host, instance.vm_state, instance.task_state) == (SOURCE, VmState.ACTIVE, TaskState.MIGRATING)
    assert migration.uncertain_since is not None
    assert migration.due_at is not None
    assert live.fault() is None
    assert live.claims() == sorted([SOURCE, str(migration.dest_compute)])
    assert live.tables.actions.get(uuid_of(1), REQUEST_ID).finished_at is None
    return migration


def test_it_waits_and_says_once_what_for(live: LiveSite, lines: list[Line]) -> None:
    hide_at_end(live, live.enter())
    waiting = assert_waits(live)
    no_answer = "does not say (cannot call nova-compute on {0}: no reply in 10 s)"
    source, destination = (no_answer.format(host) for host in (SOURCE, waiting.dest_compute))
    assert waiting.error == (
        f"cannot tell where instance {uuid_of(1)} is: host {SOURCE} {source}, host {waiting.dest_compute} {destination}"
    )
    asked_s = live.clock_s()
    assert asked_s >= PATIENCE.silence_s
    for _ in range(3):
        ask_again(live)
    assert_waits(live)
    assert live.clock_s() == asked_s  # whoever was silent is not waited for once more
    said = [(level, fields["event"]) for level, message, fields in lines if message == WARNING]
    assert said == [("WARNING", "migration.transfer.progress")]
    assert not [fields for _, _, fields in lines if fields.get("event", "").endswith(".failed")]


def test_it_is_asked_again_less_often_the_longer_it_lasts(live: LiveSite) -> None:
    hide_at_end(live, live.enter())
    waits_s: list[float] = []
    for _ in range(7):
        migration = live.migration()
        assert migration.due_at is not None
        wait = migration.due_at - live.clock.now
        waits_s.append(wait.total_seconds())
        ask_again(live, wait.total_seconds() - 1)
        assert live.migration() == migration
        ask_again(live, 1)
    assert waits_s == [60, 60, 120, 240, 300, 300, 300]


def test_it_completes_when_the_destination_has_it(live: LiveSite) -> None:
    hide_at_end(live, live.enter())
    live.compute.silent = set()
    ask_again(live)
    live.assert_moved()
    ended = live.migration()
    assert (ended.uncertain_since, ended.due_at, ended.owner) == (None, None, None)


def test_it_is_undone_when_the_source_has_it(live: LiveSite) -> None:
    migration = live.enter()
    live.turn(SOURCE, fail=["transfer.memory"])
    hide_at_end(live, migration)
    assert_waits(live)
    live.compute.silent = set()
    ask_again(live)
    ended = live.assert_stayed()
    assert str(ended.error).startswith(f"step transfer: cannot transfer instance {uuid_of(1)}: step transfer.memory")


def test_while_it_runs_all_the_same_it_is_watched_again(live: LiveSite) -> None:
    """As of a source that was cut off for a while."""
    migration = live.enter()

    def on_wait() -> None:
        live.compute.silent = set(HOSTS)

    live.on_wait = on_wait
    live.move(migration)
    assert_waits(live)
    live.compute.silent = set()
    live.on_wait = live.let_all_go
    ask_again(live)
    live.assert_moved()


@pytest.mark.parametrize("name", ["migrations.update", "migrations.get"])
def test_a_database_that_is_away_for_a_moment_ends_none_that_runs_all_the_same(live: LiveSite, name: str) -> None:
    def cut_off() -> None:
        live.compute.silent = set(HOSTS)

    live.on_wait = cut_off
    live.move(live.enter())
    assert_waits(live)
    live.compute.silent = set()
    live.on_wait = live.let_all_go
    live.clock.advance(300)
    for host in HOSTS:
        live.report(host)
    away: list[bool] = []

    def be_away(point: Point) -> None:
        if point[1:] == ("compute.live_transfer", "after") and not away:
            away.append(True)
        elif point[1:] == (name, "before") and away == [True]:
            away.append(False)
            raise DatabaseUnavailableError("cannot use database: it is away")

    calls = Calls()
    mover = live.mover(calls)
    (migration_id,) = mover.left()
    calls.begin(be_away)
    mover.move(migration_id)
    assert away == [True, False]
    live.assert_moved()
    assert calls.made("compute.abort_live_transfer") == 0


def test_one_whose_abort_is_not_heard_waits_for_its_end(live: LiveSite) -> None:
    migration = live.enter()
    live.compute.deaf = {SOURCE}

    def on_wait() -> None:
        if len(live.waited_s) == 3:
            live.abort(migration)

    live.on_wait = on_wait
    live.move(migration)
    waiting = assert_waits(live)
    assert waiting.error == f"cannot abort the transfer of instance {uuid_of(1)}: it does not end"
    live.compute.deaf = set()
    live.on_wait = live.let_all_go
    ask_again(live)
    live.assert_stayed(status=MigrationStatus.CANCELLED)


@pytest.mark.parametrize("first", ["the source", "the destination"])
@pytest.mark.parametrize("goes_over", [True, False])
def test_deleted_meanwhile_it_goes_on_both_hosts_as_soon_as_each_answers(
    live: LiveSite, *, first: str, goes_over: bool
) -> None:
    migration = live.enter()
    live.turn(SOURCE, fail=[] if goes_over else ["transfer.memory"])
    hide_at_end(live, migration)
    destination = str(assert_waits(live).dest_compute)
    live.clock.advance(1)
    live.delete(uuid_of(1), hears=False)
    answers = SOURCE if first == "the source" else destination
    live.compute.silent = set(HOSTS) - {answers}
    ask_again(live, 1)  # not due, but the instance was changed
    waiting = live.migration()
    assert waiting.is_in_progress
    assert "cannot delete instance" in str(waiting.error)
    if answers == destination:
        assert destination not in live.guests()
        assert destination not in live.leftovers()
    live.compute.silent = set()
    live.finish_deletion(uuid_of(1))
    ask_again(live)
    live.assert_deleted()
    assert live.migration().status is MigrationStatus.CANCELLED
    assert live.fault() is None


def test_deleted_while_the_source_is_cut_off_it_is_cancelled_when_that_is_back(live: LiveSite) -> None:
    migration = live.enter()

    def on_wait() -> None:
        if len(live.waited_s) == 3:
            live.delete(uuid_of(1), hears=False)
            live.compute.silent = {SOURCE}

    live.on_wait = on_wait
    live.move(migration)
    waiting = live.migration()
    assert (waiting.is_undoing, waiting.is_in_progress) == (True, True)
    assert str(waiting.error).startswith(f"cannot move instance {uuid_of(1)}: the instance is deleted; it waits")
    live.compute.silent = set()
    live.finish_deletion(uuid_of(1))
    ask_again(live)
    live.assert_deleted()
    assert live.migration().status is MigrationStatus.CANCELLED
    assert str(live.migration().error).endswith(f"cannot move instance {uuid_of(1)}: the instance is deleted")


@pytest.mark.parametrize("gone", ["the source", "the destination"])
def test_deleted_it_is_not_waited_for_a_host_that_is_forced_down(live: LiveSite, gone: str) -> None:
    hide_at_end(live, live.enter())
    destination = str(assert_waits(live).dest_compute)
    silent, answers = (SOURCE, destination) if gone == "the source" else (destination, SOURCE)
    live.clock.advance(1)
    live.delete(uuid_of(1), hears=False)
    live.compute.silent = {silent}
    live.tables.services.force_down(answers, COMPUTE_BINARY, is_forced=True)
    ask_again(live)
    assert live.migration().is_in_progress
    live.tables.services.force_down(silent, COMPUTE_BINARY, is_forced=True)
    ask_again(live)
    ended = live.migration()
    assert (ended.status, ended.owner, ended.due_at) == (MigrationStatus.ERROR, None, None)
    error = str(ended.error)
    assert error.startswith(
        f"cannot move instance {uuid_of(1)}: the instance is deleted; it was given up: "
        f"cannot delete instance {uuid_of(1)} on both hosts: host {silent}: "
    )
    assert error.endswith(f"cannot call nova-compute on {silent}: no reply in 10 s; the host is forced down")
    assert answers not in error
    assert answers not in live.guests() or answers == SOURCE  # which deletes it itself
    live.result()  # the action has ended
    assert live.instance().task_state is TaskState.DELETING


def failing_destroy(live: LiveSite, uuid: str) -> Callable[[str, str], None]:
    def destroy(host: str, asked: str) -> None:
        assert (host, asked) == (live.migration().dest_compute, uuid)
        raise ComputeError("cannot destroy it: the disk is busy")

    return destroy


def test_a_host_that_cannot_delete_it_is_asked_again(live: LiveSite, monkeypatch: pytest.MonkeyPatch) -> None:
    hide_at_end(live, live.enter())
    live.clock.advance(1)
    live.delete(uuid_of(1), hears=True)
    live.compute.silent = set()
    with monkeypatch.context() as patch:
        patch.setattr(live.compute, "destroy", failing_destroy(live, uuid_of(1)))
        ask_again(live, 1)
    assert live.migration().is_in_progress
    assert "cannot destroy it: the disk is busy" in str(live.migration().error)
    ask_again(live)
    live.assert_deleted()


@pytest.mark.parametrize("vm_state", [VmState.ACTIVE, VmState.ERROR])
def test_an_admin_who_resets_the_state_gives_it_up(live: LiveSite, vm_state: VmState) -> None:
    hide_at_end(live, live.enter())
    destination = str(assert_waits(live).dest_compute)
    live.clock.advance(1)
    live.tables.instances.update(uuid_of(1), {"vm_state": vm_state, "task_state": None})
    ask_again(live, 1)
    ended, instance = live.migration(), live.instance()
    assert ended.status is MigrationStatus.ERROR
    assert str(ended.error).endswith("; it was given up: the state of the instance was reset")
    assert (instance.host, instance.vm_state, instance.task_state) == (SOURCE, vm_state, None)
    assert live.guests() == {destination: PowerState.RUNNING}
    assert live.claims() == sorted([SOURCE, destination])
    live.result()  # the action has ended


def test_its_wait_counts_from_the_first_time(live: LiveSite) -> None:
    hide_at_end(live, live.enter())
    since = live.migration().uncertain_since
    ask_again(live)
    assert live.migration().uncertain_since == since
    assert since is not None
    assert live.migration().due_at == since + timedelta(seconds=600)


@pytest.mark.parametrize("age_s", [599.0, 601.0])
def test_its_time_counts_from_when_the_transfer_began_whoever_has_it_then(live: LiveSite, age_s: float) -> None:
    """The first conductor was killed while it went on."""
    migration = live.enter()

    def die() -> None:
        raise KeyboardInterrupt

    live.on_wait = die
    with pytest.raises(KeyboardInterrupt):
        live.move(migration)
    began_at = live.migration().transfer_began_at
    assert began_at == live.clock.now
    live.clock.advance(age_s)
    for host in HOSTS:
        live.report(host)
    seen: list[bool] = []

    def look() -> None:
        seen.append(live.migration().is_undoing)
        live.let_all_go()

    live.on_wait = look
    live.move(migration, live.mover(Calls()))
    if age_s < PATIENCE.transfer_s:
        live.assert_moved()
    else:
        ended = live.assert_stayed()
        assert ended.error == f"step transfer: cannot transfer instance {uuid_of(1)}: it has not ended within 600 s"
    assert live.migration().transfer_began_at == began_at
