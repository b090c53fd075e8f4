"""A move of an instance that is off, interrupted anywhere, deleted anywhere, or got by two conductors: one good end.

So are the confirmation and the revert of one that waits.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pytest

from cloud.domain.migration import IN_PROGRESS, MigrationStatus
from cloud.errors import ComputeError, DatabaseUnavailableError
from cloud.rpc.errors import BusUnavailableError
from tests.conductor.moves.resize_fixtures import case, site
from tests.conductor.moves.resize_site import CASES, ResizeSite
from tests.conductor.site import Calls, Killed, Point, at, raising

__all__ = ["case", "site"]

NO = ComputeError("cannot do it: the disk is full")
ON_SQLITE = pytest.mark.parametrize("kept_database", ["sqlite"], indirect=True, scope="session")
"""Where each trial is some thirty transactions, one database has to do."""
READING = frozenset(
    {
        "claims.of",
        "compute.disk_transfer",
        "compute_nodes.get",
        "fixed_ips.of",
        "instances.get",
        "migrations.get",
        "services.all",
    }
)
FEWER_CASES = pytest.mark.parametrize(
    "case", [CASES["cold"], CASES["resize, shared storage"], CASES["resize where it is"]], ids=str
)


@dataclass(frozen=True)
class Scenario:
    """What is asked for, and what becomes of it when nothing happens on the way."""

    name: str
    ending: MigrationStatus | None = None
    """None: the move itself."""
    fails_at: str | None = None
    """Each such call fails, but for those that undo."""
    where_it_stays: str | None = None
    """That of one that stays on its host."""
    ends: str = ""
    """The assertion of its end."""

    def begin(self, site: ResizeSite, number: int) -> Callable[[], None]:
        """The instance and the request for it; what is given lets it come off the bus, also again."""
        if self.ending is None:
            site.enter(number)
            migration_id = site.begin(number)
            return lambda: site.move(migration_id)
        site.finish(number)
        migration_id = site.begin_ending(self.ending, number)
        return lambda: site.move(migration_id)

    def trouble(self, site: ResizeSite, number: int) -> Callable[[Point], None]:
        """What calls of such runs meet."""
        name = self.where_it_stays if site.case.stays and self.where_it_stays else self.fails_at

        def fail(point: Point) -> None:
            if point[1:] == (name, "before") and not site.migration(number).is_undoing:
                raise NO

        return fail

    def assert_ended(self, site: ResizeSite, number: int) -> None:
        getattr(site, self.ends)(number)


SCENARIOS: Mapping[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario("moved", ends="assert_waits"),
        Scenario("not moved", fails_at="compute.adopt", where_it_stays="compute.resize_here", ends="assert_as_before"),
        Scenario("confirmed", MigrationStatus.CONFIRMING, ends="assert_confirmed"),
        Scenario("reverted", MigrationStatus.REVERTING, ends="assert_reverted"),
        Scenario(
            "not reverted",
            MigrationStatus.REVERTING,
            fails_at="compute.take_back",
            where_it_stays="compute.resize_here",
            ends="assert_waits",
        ),
    )
}


@pytest.fixture(params=SCENARIOS)
def scenario(request: pytest.FixtureRequest) -> Scenario:
    return SCENARIOS[request.param]


def points_of(site: ResizeSite, scenario: Scenario) -> Sequence[Point]:
    """All that such a run passes by, but for what it only reads."""
    run = scenario.begin(site, 1000)
    site.calls.begin(scenario.trouble(site, 1000))
    run()
    points = [point for point in site.calls.reached if point[1] not in READING]
    scenario.assert_ended(site, 1000)
    site.clear_away(1000)
    assert len(points) > 10
    return points


def between(points: Sequence[Point]) -> Sequence[Point]:
    """Before each call, and behind the last one: behind one is before the next one."""
    return [*(point for point in points if point[2] == "before"), points[-1]]


def try_at(site: ResizeSite, points: Sequence[Point], trial: Callable[[int, Point], None]) -> None:
    """Each point with an instance of its own, by its number; it is cleared away afterwards."""
    for number, point in enumerate(points, start=1):
        try:
            trial(number, point)
        except BaseException as exc:
            exc.add_note(f"at {point}")
            raise
        site.clear_away(number)


@ON_SQLITE
@FEWER_CASES
def test_killed_anywhere_it_ends_as_it_would_have_when_it_is_taken_up(site: ResizeSite, scenario: Scenario) -> None:
    def trial(number: int, point: Point) -> None:
        run, trouble = scenario.begin(site, number), scenario.trouble(site, number)
        site.calls.begin(at(point, raising(Killed())), trouble)
        with pytest.raises(Killed):
            run()
        site.calls.begin(trouble)
        site.move(site.migration(number).id)  # as it is taken up
        scenario.assert_ended(site, number)
        assert site.migration(number).status not in IN_PROGRESS

    try_at(site, between(points_of(site, scenario)), trial)


@ON_SQLITE
@FEWER_CASES
def test_killed_again_and_again_it_ends_as_it_would_have(site: ResizeSite, scenario: Scenario) -> None:
    chance = random.Random(20141016)  # noqa: S311 - it picks points
    for number in range(1, 9):
        run, trouble = scenario.begin(site, number), scenario.trouble(site, number)
        for _ in range(5):
            site.calls.begin(at_number(chance.randrange(12), chance.choice(["before", "after"])), trouble)
            try:
                run()
            except Killed:
                continue
            break
        site.calls.begin(trouble)
        run()
        scenario.assert_ended(site, number)
        site.clear_away(number)


def at_number(number: int, when: str) -> Callable[[Point], None]:
    def kill(point: Point) -> None:
        if (point[0], point[2]) == (number, when):
            raise Killed

    return kill


@ON_SQLITE
@pytest.mark.parametrize("case", [CASES["cold"], CASES["resize where it is, shared storage"]], ids=str)
def test_without_database_or_bus_for_a_moment_it_ends_as_it_would_have(site: ResizeSite, scenario: Scenario) -> None:
    """Before a call nothing was done; behind one all was, and nobody knows."""
    away: Mapping[bool, Exception] = {
        True: BusUnavailableError("cannot reach the bus"),
        False: DatabaseUnavailableError("cannot use database: it is away"),
    }

    def trial(number: int, point: Point) -> None:
        run = scenario.begin(site, number)
        is_over_the_bus = point[1].startswith(("scheduler.", "compute."))
        site.calls.begin(at(point, raising(away[is_over_the_bus])), scenario.trouble(site, number))
        run()
        scenario.assert_ended(site, number)

    try_at(site, points_of(site, scenario), trial)


def test_a_request_that_comes_once_more_changes_nothing(site: ResizeSite, scenario: Scenario) -> None:
    run = scenario.begin(site, 1)
    site.calls.begin(scenario.trouble(site, 1))
    run()
    before = site.instance(), site.migration()
    run()
    assert (site.instance(), site.migration()) == before
    scenario.assert_ended(site, 1)


@ON_SQLITE
@FEWER_CASES
@pytest.mark.parametrize("hears", [True, False], ids=["its host hears of it", "its host does not hear of it yet"])
def test_deleted_anywhere_nothing_is_left_and_it_is_no_fault(
    site: ResizeSite, scenario: Scenario, *, hears: bool
) -> None:
    """But for the fault of what had failed already."""

    def trial(number: int, point: Point) -> None:
        run = scenario.begin(site, number)
        site.calls.begin(at(point, lambda: site.delete(number, hears=hears)), scenario.trouble(site, number))
        run()
        site.delete_at_host(number)
        site.clear_up()
        site.assert_nothing_left(number)
        if scenario.fails_at is None:
            assert site.fault(number) is None

    try_at(site, between(points_of(site, scenario)), trial)


@ON_SQLITE
@FEWER_CASES
@pytest.mark.parametrize("fares", ["as the other", "well"])
def test_got_by_two_conductors_it_ends_once(site: ResizeSite, scenario: Scenario, fares: str) -> None:
    """One stands still anywhere, while another one takes it up and goes to the end; then it goes on."""
    calls = Calls()
    other = site.mover(calls)

    def trial(number: int, point: Point) -> None:
        run = scenario.begin(site, number)
        migration = site.migration(number)
        calls.begin(*([scenario.trouble(site, number)] if fares == "as the other" else []))
        site.calls.begin(
            at(point, lambda: site.move(migration.id, mover=other)),
            scenario.trouble(site, number),
        )
        run()
        ended = site.migration(number).status
        if scenario.fails_at is None or ended is SCENARIOS_ENDS[scenario.name]:
            scenario.assert_ended(site, number)
        else:
            getattr(site, WELL[scenario.name])(number)

    try_at(site, between(points_of(site, scenario)), trial)


SCENARIOS_ENDS = {"not moved": MigrationStatus.FAILED, "not reverted": MigrationStatus.FINISHED}
WELL = {"not moved": "assert_waits", "not reverted": "assert_reverted"}
