"""A live migration that is interrupted, deleted or aborted anywhere, or got by two conductors: one good end."""

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import pytest

from cloud.domain.migration import Migration, MigrationStatus
from cloud.errors import DatabaseUnavailableError, MigrationStateError
from cloud.rpc.errors import BusUnavailableError
from cloud.services.conductor.moves.move import WAITS_S
from cloud.services.conductor.moves.mover import LEFT_AFTER, UNHEARD_AFTER
from tests.conductor.moves.live_site import SOURCE, LiveSite
from tests.conductor.site import Calls, Killed, Point, at, first_time, raising
from tests.conductor.trials import try_at
from tests.db.making import uuid_of
from tests.services.said import Line

STARTS = "compute.start_live_transfer"
"""The call behind which the two scenarios differ."""
READING = frozenset(
    {
        "claims.of",
        "compute.guest_state",
        "compute.live_transfer",
        "compute_nodes.get",
        "fixed_ips.of",
        "instances.get",
        "migrations.get",
        "services.all",
    }
)
"""Calls behind which all is as it was before them: who dies or fails there has died or failed before."""
ON_SQLITE = pytest.mark.parametrize("kept_database", ["sqlite"], indirect=True, scope="session")
"""Where each trial is some hundred migrations, one database has to do."""


@dataclass(frozen=True)
class Scenario:
    """What becomes of a migration when nothing else happens to it."""

    knob: str | None
    ends_moved: bool

    def begin(self, live: LiveSite) -> None:
        """Let its hypervisors be so."""
        live.turn(SOURCE, fail=[] if self.knob is None else [self.knob])

    def assert_ended(self, live: LiveSite) -> None:
        if self.ends_moved:
            live.assert_moved()
        else:
            live.assert_stayed()


SCENARIOS: Mapping[str, Scenario] = {
    "it goes over": Scenario(None, ends_moved=True),
    "it cannot go over": Scenario("transfer.memory", ends_moved=False),
}


@pytest.fixture(params=SCENARIOS)
def scenario(request: pytest.FixtureRequest, live: LiveSite) -> Scenario:
    found = SCENARIOS[request.param]
    found.begin(live)
    return found


@dataclass(frozen=True)
class Begun:
    """A migration that was asked for just now, to be gone on with as often as wanted: all is as then each time."""

    live: LiveSite
    scenario: Scenario
    migration: Migration
    go_back: Callable[[], None]

    def all_calls(self) -> Sequence[Point]:
        """All that it passes by: before each call, and behind it."""
        self.go_back()
        self.live.calls.begin()
        self.live.move(self.migration)
        points = tuple(self.live.calls.reached)
        assert len(points) > 60
        return points

    def calls(self) -> Sequence[Point]:
        """Of one that cannot go over only those that the other does not have, too."""
        points = self.all_calls()
        if self.scenario.ends_moved:
            return points
        return points[next(place for place, point in enumerate(points) if point[1] == STARTS) :]

    def points(self) -> Sequence[Point]:
        """Where it can stand: before its first call, or behind any."""
        points = self.calls()
        return [points[0], *(point for point in points if point[2] == "after")]

    def changes(self) -> Sequence[Point]:
        """Of those, where something has changed since the one before."""
        first, *others = self.points()
        return [first, *(point for point in others if point[1] not in READING)]

    def try_at(self, points: Sequence[Point], trial: Callable[[Point], None]) -> None:
        """Each of them from the beginning."""
        try_at(points, self.go_back, trial)


@pytest.fixture
def begun(live: LiveSite, scenario: Scenario) -> Begun:
    return Begun(live, scenario, live.enter(), live.save())


def behind(name: str, points: Sequence[Point]) -> Sequence[Point]:
    """From the end of the last such call on."""
    numbers = [place for place, point in enumerate(points) if point[1:] == (name, "after")]
    return points[numbers[-1] :] if numbers else ()


def test_killed_anywhere_it_ends_as_it_would_have_when_the_request_comes_back(
    live: LiveSite, scenario: Scenario, begun: Begun
) -> None:
    def trial(point: Point) -> None:
        live.calls.begin(at(point, raising(Killed())))
        with pytest.raises(Killed):
            live.move(begun.migration)
        live.calls.begin()
        live.move(begun.migration, live.mover())
        scenario.assert_ended(live)

    begun.try_at(begun.changes(), trial)


@ON_SQLITE
def test_killed_anywhere_and_its_message_lost_it_is_taken_up_all_the_same(
    live: LiveSite, scenario: Scenario, begun: Begun
) -> None:
    def trial(point: Point) -> None:
        live.calls.begin(at(point, raising(Killed())))
        with pytest.raises(Killed):
            live.move(begun.migration)
        mover = live.mover()
        assert [*mover.left()] == []
        is_over = live.migration().has_ended
        after = UNHEARD_AFTER if live.migration().owner is None else LEFT_AFTER
        live.clock.advance(after.total_seconds())
        for host in live.hosts:
            live.report(host)
        assert [*mover.left()] == ([] if is_over else [begun.migration.id])
        assert [*mover.left()] == []  # it was said
        mover.move(begun.migration.id)
        if not is_over:
            scenario.assert_ended(live)

    begun.try_at(begun.points()[::3], trial)


@ON_SQLITE
def test_killed_again_and_again_it_ends_as_it_would_have(live: LiveSite, scenario: Scenario, begun: Begun) -> None:
    chance = random.Random(20141016)  # noqa: S311 - it picks points
    for _ in range(12):
        begun.go_back()
        for _ in range(5):
            kill = (chance.randrange(30), chance.choice(["before", "after"]))

            def step_in(point: Point, kill: tuple[int, str] = kill) -> None:
                if (point[0], point[2]) == kill:
                    raise Killed

            live.calls.begin(step_in)
            try:
                live.move(begun.migration)
            except Killed:
                continue
            break
        live.calls.begin()
        live.move(begun.migration)
        scenario.assert_ended(live)


def test_what_was_done_before_a_kill_is_not_done_again(live: LiveSite) -> None:
    migration = live.enter()
    live.calls.begin(first_time("compute.start_live_transfer", "after", raising(Killed())))
    with pytest.raises(Killed):
        live.move(migration)
    destination = live.migration().dest_compute
    live.calls.begin()
    live.move(migration)
    live.assert_moved()
    assert live.instance().host == destination
    asked = ("scheduler.select_hosts", "claims.claim", "compute.prepare_live_arrival", "compute.start_live_transfer")
    assert [live.calls.made(name) for name in asked] == [0, 0, 0, 0]


def test_a_request_that_comes_once_more_changes_nothing(live: LiveSite, scenario: Scenario) -> None:
    migration = live.enter()
    live.move(migration)
    before = live.instance(), live.migration()
    live.move(migration)
    assert (live.instance(), live.migration()) == before
    scenario.assert_ended(live)


@ON_SQLITE
def test_without_database_or_bus_for_a_moment_it_ends_as_it_would_have(
    live: LiveSite, scenario: Scenario, begun: Begun
) -> None:
    """Before a call nothing was done; behind one all was, and nobody knows."""
    away: Mapping[bool, Exception] = {
        True: BusUnavailableError("cannot reach the bus"),
        False: DatabaseUnavailableError("cannot use database: it is away"),
    }

    def trial(point: Point) -> None:
        is_over_the_bus = point[1].startswith(("scheduler.", "compute."))
        live.calls.begin(at(point, raising(away[is_over_the_bus])))
        live.move(begun.migration)
        scenario.assert_ended(live)

    begun.try_at([point for point in begun.calls() if point[1] not in READING or point[2] == "before"], trial)


def test_without_a_database_for_long_it_is_left_to_whoever_takes_up_what_is_left(live: LiveSite) -> None:
    migration = live.enter()

    def away(point: Point) -> None:
        if point[1] == "claims.claim":
            raise DatabaseUnavailableError("cannot use database")

    live.calls.begin(away)
    with pytest.raises(DatabaseUnavailableError):
        live.move(migration)
    assert tuple(live.waited_s) == WAITS_S
    assert live.migration().is_in_progress


@ON_SQLITE
@pytest.mark.parametrize("hears", [True, False], ids=["its host hears of it", "its host hears of it later"])
def test_deleted_anywhere_nothing_is_left_and_it_is_no_fault(
    live: LiveSite, scenario: Scenario, begun: Begun, *, hears: bool
) -> None:
    """Before the hand-over the migration is cancelled, behind it that comes to its end."""
    points = begun.points()
    late = behind("migrations.hand_over", points)

    def trial(point: Point) -> None:
        live.calls.begin(at(point, lambda: live.delete(uuid_of(1), hears=hears)))
        live.move(begun.migration)
        if not hears:
            live.finish_deletion(uuid_of(1))
        live.assert_deleted()
        if point not in late:
            ends = (MigrationStatus.CANCELLED, MigrationStatus.FAILED)
            assert live.migration().status in ends
        elif scenario.ends_moved:
            assert live.migration().status is MigrationStatus.COMPLETED

    begun.try_at(points, trial)


@ON_SQLITE
def test_aborted_anywhere_it_stays_unless_it_has_gone_already(live: LiveSite, scenario: Scenario, begun: Begun) -> None:
    def trial(point: Point) -> None:
        refused: list[MigrationStateError] = []

        def abort() -> None:
            try:
                live.tables.migrations.want_abort(begun.migration.id)
            except MigrationStateError as exc:
                refused.append(exc)

        live.calls.begin(at(point, abort))
        live.move(begun.migration)
        status = live.migration().status
        if status is MigrationStatus.CANCELLED:
            live.assert_stayed(status=status)
            assert not refused
        else:
            scenario.assert_ended(live)

    begun.try_at(begun.points(), trial)


@ON_SQLITE
@pytest.mark.parametrize("scenario", ["it goes over"], indirect=True)
def test_aborted_before_the_transfer_is_over_it_is_cancelled(live: LiveSite, begun: Begun) -> None:
    def trial(point: Point) -> None:
        live.calls.begin(at(point, lambda: live.abort(begun.migration)))
        live.move(begun.migration)
        live.assert_stayed(status=MigrationStatus.CANCELLED)

    points = begun.points()
    over = next(place for place, point in enumerate(points) if point[1:] == ("compute.live_transfer", "after"))
    begun.try_at(points[:over:3], trial)


@ON_SQLITE
def test_got_by_two_conductors_it_ends_once(live: LiveSite, scenario: Scenario, begun: Begun) -> None:
    """One stands still anywhere, while another one has the request and moves it to its end; then it goes on."""
    calls = Calls()
    other = live.mover(calls)

    def trial(point: Point) -> None:
        calls.begin()
        live.calls.begin(at(point, lambda: live.move(begun.migration, other)))
        live.move(begun.migration)
        scenario.assert_ended(live)

    begun.try_at(begun.points(), trial)


@ON_SQLITE
def test_two_conductors_at_the_same_time_do_no_harm(live: LiveSite, scenario: Scenario, begun: Begun) -> None:
    """Each goes on for a while, then the other: by chance, but the same each time."""
    chance = random.Random(19821016)  # noqa: S311 - it picks points
    points = begun.all_calls()
    for _ in range(12):
        begun.go_back()
        calls = Calls()
        first, second = sorted(chance.sample(range(len(points)), 2))
        calls.begin(at(points[second], raising(Killed())))

        def go(calls: Calls = calls) -> None:
            with suppress(Killed):  # where it gets so far
                live.move(begun.migration, live.mover(calls))

        live.calls.begin(at(points[first], go))
        live.move(begun.migration)
        live.calls.begin()
        live.move(begun.migration)
        scenario.assert_ended(live)


def test_what_is_left_is_taken_up_oldest_first_and_not_all_at_once(live: LiveSite) -> None:
    asked = []
    for number in range(1, 4):
        asked.append(live.enter(number).id)
        live.clock.advance(1)
    mover = live.mover()
    assert [*mover.left()] == []
    live.clock.advance(UNHEARD_AFTER.total_seconds())
    assert [*mover.left()] == asked
    assert [*mover.left()] == []
    live.clock.advance(UNHEARD_AFTER.total_seconds())
    assert [*mover.left()] == asked


def test_one_that_nobody_knows_is_let_go(live: LiveSite, lines: list[Line]) -> None:
    live.mover().move(4711)
    assert [(level, message) for level, message, _ in lines] == [("WARNING", "cannot move what is not there")]


def test_what_could_not_be_told_is_left_for_the_next_one_at_once(live: LiveSite) -> None:
    """As where the bus goes away meanwhile."""
    asked = [live.enter(number).id for number in (1, 2, 3)]
    live.clock.advance(UNHEARD_AFTER.total_seconds())
    assert next(live.mover().left()) == asked[0]
    assert [*live.mover().left()] == asked[1:]
