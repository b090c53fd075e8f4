"""A mover that stands still for so long that another one takes its migration up: it does nothing more when it goes on."""

from collections.abc import Callable, Sequence

import pytest

from cloud.domain.migration import MigrationStatus
from cloud.errors import ComputeError
from cloud.services.conductor.moves.in_hand import HEARD_WITHIN
from cloud.services.conductor.moves.mover import LEFT_AFTER, UNHEARD_AFTER
from tests.conductor.moves.live_site import SOURCE, LiveSite
from tests.conductor.site import Calls, Killed, Point, at, first_time, raising
from tests.db.making import uuid_of
from tests.services.said import Line

ON_SQLITE = pytest.mark.parametrize("kept_database", ["sqlite"], indirect=True, scope="session")
ACTS = ("compute.", "claims.", "scheduler.")
"""Calls by which something is done, or asked of a host."""
TOO_LATE = ComputeError("cannot call nova-compute on compute-02: no reply in 120 s")


class Standstill:
    """A conductor that is stopped at a point, until another one has taken up what it had and all else has happened."""

    def __init__(self, live: LiveSite, meanwhile: Callable[[], None], *, at: str) -> None:
        """`at` names the call at which it stands."""
        self._live = live
        self._meanwhile = meanwhile
        self._fails = not at.startswith("claims.")
        self.resumed_at: int | None = None
        """The number of calls that it had made."""
        self.wrong: Exception | None = None
        """Of what happened meanwhile."""

    def __call__(self) -> None:
        """It goes on with the call failing at which it stood; one of the database is made late, and is no failure."""
        self._live.clock.advance(LEFT_AFTER.total_seconds())
        for host in self._live.hosts:
            self._live.report(host)
        try:
            self._meanwhile()
        except Exception as exc:  # noqa: BLE001 - the mover that stands takes it for a failure of its own
            self.wrong = exc
        self.resumed_at = len(self._live.calls.reached)
        if self._fails:
            raise TOO_LATE

    def done_since(self) -> Sequence[str]:
        if self.wrong is not None:
            raise self.wrong
        assert self.resumed_at is not None
        calls = self._live.calls.reached[self.resumed_at :]
        return [name for _, name, when in calls if when == "before" and name.startswith(ACTS)]


def points_of(live: LiveSite) -> Sequence[Point]:
    """Behind every call of a migration by which something is done."""
    migration = live.enter(1000)
    live.calls.begin()
    live.move(migration)
    found = [point for point in live.calls.reached if point[2] == "after" and point[1].startswith(ACTS)]
    live.clear_away(1000)
    assert len(found) >= 9
    return found


@ON_SQLITE
def test_overtaken_at_any_call_that_fails_it_says_and_does_nothing(live: LiveSite, lines: list[Line]) -> None:
    other = live.mover(Calls())
    for number, point in enumerate(points_of(live), start=1):
        migration = live.enter(number)

        def take_up(migration_id: int = migration.id) -> None:
            assert [*other.left()] == [migration_id]
            other.move(migration_id)

        standstill = Standstill(live, take_up, at=point[1])
        live.calls.begin(at(point, standstill))
        lines.clear()
        live.move(migration)
        assert standstill.done_since() == [], point
        live.assert_moved(number)
        events = [fields["event"] for _, _, fields in lines if "event" in fields]
        assert not [event for event in events if event.endswith(".failed") or "rollback" in event], point
        live.clear_away(number)


@pytest.mark.parametrize("undo", ["compute.abort_live_transfer", "compute.cancel_live_arrival", "claims.release"])
def test_overtaken_while_it_takes_back_it_leaves_the_next_migration_alone(live: LiveSite, undo: str) -> None:
    """To the same host, with a claim of its own there."""
    migration = live.enter()
    live.turn(SOURCE, fail=["transfer.memory"])
    other = live.mover(Calls())

    def meanwhile() -> None:
        assert [*other.left()] == [migration.id]
        other.move(migration.id)
        ended = live.assert_stayed()
        live.turn(SOURCE)
        again = live.ask(live.instance(), host=ended.dest_compute)
        live.move(again, other)
        live.assert_at(str(ended.dest_compute))

    standstill = Standstill(live, meanwhile, at=undo)
    live.calls.begin(first_time(undo, "before", standstill))
    live.move(migration)
    assert standstill.done_since() == []
    assert live.migration().id != migration.id
    assert live.migration().status is MigrationStatus.COMPLETED
    destination = str(live.migration().dest_compute)
    live.assert_at(destination)


@pytest.mark.parametrize("name", ["compute.check_live_destination", "compute.prepare_live_arrival", "claims.claim"])
def test_overtaken_by_one_that_is_still_at_the_same_step_it_takes_nothing_from_under_it(
    live: LiveSite, name: str
) -> None:
    migration = live.enter()
    calls = Calls()
    other = live.mover(calls)
    calls.begin(first_time(name, "before", raising(Killed())))  # it stands there

    def take_up() -> None:
        assert [*other.left()] == [migration.id]
        with pytest.raises(Killed):
            other.move(migration.id)

    standstill = Standstill(live, take_up, at=name)
    live.calls.begin(first_time(name, "before", standstill))
    live.move(migration)
    assert standstill.done_since() == []
    assert not live.migration().is_undoing
    calls.begin()
    other.move(migration.id)  # and goes on
    live.assert_moved()


def test_overtaken_between_two_candidates_it_leaves_the_claim_to_whoever_claimed_anew(live: LiveSite) -> None:
    """On the host that has refused it before."""
    migration = live.enter()
    calls = Calls()
    other = live.mover(calls)
    calls.begin(first_time("compute.prepare_live_arrival", "before", raising(Killed())))  # it stands there
    refused: list[str] = []

    def refuse() -> None:
        refused.append(str(live.migration().dest_compute))
        raise TOO_LATE

    def take_up() -> None:
        assert [*other.left()] == [migration.id]
        with pytest.raises(Killed):
            other.move(migration.id)
        assert live.claims() == sorted([SOURCE, *refused])

    standstill = Standstill(live, take_up, at="claims.release")
    live.calls.begin(
        first_time("compute.check_live_destination", "before", refuse),
        first_time("claims.release", "before", standstill),
    )
    live.move(migration)
    assert standstill.done_since() == []
    assert live.claims() == sorted([SOURCE, *refused])
    calls.begin()
    other.move(migration.id)
    live.assert_moved()


def test_marked_as_left_it_is_nobodys_until_it_is_taken_up(live: LiveSite) -> None:
    migration = live.enter()
    other = live.mover(Calls())

    def mark() -> None:
        assert [*other.left()] == [migration.id]

    standstill = Standstill(live, mark, at="compute.prepare_live_arrival")
    live.calls.begin(first_time("compute.prepare_live_arrival", "after", standstill))
    live.move(migration)
    assert standstill.done_since() == []
    assert (live.migration().owner, live.migration().is_undoing) == (None, False)
    other.move(migration.id)
    live.assert_moved()


def test_a_mover_that_waits_long_for_a_host_says_that_it_lives(live: LiveSite) -> None:
    migration = live.enter()
    mover, other = live.mover(live.calls), live.mover(Calls())
    seen: list[list[int]] = []

    def wait() -> None:
        for _ in range(10):
            live.clock.advance(60)
            mover.say_alive()
            seen.extend(map(list, (mover.left(), other.left())))

    live.calls.begin(first_time("compute.prepare_live_arrival", "before", wait))
    live.move(migration, mover)
    assert seen == [[]] * 20
    live.clock.advance(1)
    for host in live.hosts:
        live.report(host)
    live.assert_moved()


def test_one_that_hangs_says_so_for_an_hour_at_the_most(live: LiveSite) -> None:
    migration = live.enter()
    mover, other = live.mover(live.calls), live.mover(Calls())

    def hang() -> None:
        while live.clock.now < migration.created_at + HEARD_WITHIN:
            live.clock.advance(60)
            mover.say_alive()
            assert [*mover.left()] == []
        live.clock.advance(LEFT_AFTER.total_seconds())
        mover.say_alive()
        assert [*mover.left()] == [migration.id]
        for host in live.hosts:
            live.report(host)
        other.move(migration.id)

    live.calls.begin(first_time("compute.prepare_live_arrival", "after", hang))
    live.move(migration, mover)
    live.assert_moved()


def test_one_that_nobody_has_taken_up_is_given_longer(live: LiveSite) -> None:
    """Its message may wait for its turn."""
    migration = live.enter()
    mover = live.mover()
    live.clock.advance(UNHEARD_AFTER.total_seconds() - 1)
    assert [*mover.left()] == []
    live.clock.advance(1)
    assert [*mover.left()] == [migration.id]


def test_a_hand_over_gives_back_the_sources_claim_with_it(live: LiveSite) -> None:
    """Nobody who comes late does it again, when the instance may be on its way back."""
    seen: list[list[str]] = []
    migration = live.enter()
    live.calls.begin(first_time("migrations.hand_over", "after", lambda: seen.append(live.claims())))
    live.move(migration)
    assert seen == [[str(live.migration().dest_compute)]]
    assert live.calls.made("claims.release") == 0


@pytest.mark.parametrize("step", ["source_check", "cleanup"])
def test_a_fault_comes_together_with_the_end_that_it_explains(live: LiveSite, step: str) -> None:
    """Whoever was overtaken before has left none."""
    name = {"source_check": "compute.check_live_source", "cleanup": "compute.clear_departed"}[step]
    migration = live.enter()

    def fail(point: Point) -> None:
        if point[1:] == (name, "before"):
            raise ComputeError("cannot do it")

    seen: list[bool] = []

    def look(point: Point) -> None:
        if point[1] == "migrations.update_both":
            seen.append((live.fault() is not None) == live.migration().has_ended)

    live.calls.begin(fail, look)
    live.move(migration)
    assert seen
    assert all(seen)
    assert live.fault() is not None
    assert live.tables.migrations.get(migration.id).owner is None
    assert live.instance().uuid == uuid_of(1)
