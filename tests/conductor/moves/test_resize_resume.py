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
from tests.conductor.trials import between, from_step_of, try_at

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

    def begin(self, site: ResizeSite) -> Callable[[], None]:
        """The instance and the request for it; what is given lets it come off the bus, also again."""
        if self.ending is None:
            site.enter()
            migration_id = site.begin()
        else:
            site.finish()
            migration_id = site.begin_ending(self.ending)
        return lambda: site.move(migration_id)

    def failing(self, site: ResizeSite) -> str | None:
        """The call that fails."""
        return self.where_it_stays if site.case.stays and self.where_it_stays else self.fails_at

    def trouble(self, site: ResizeSite) -> Callable[[Point], None]:
        """What calls of such runs meet."""
        name = self.failing(site)

        def fail(point: Point) -> None:
            if point[1:] == (name, "before") and not site.migration().is_undoing:
                raise NO

        return fail

    def assert_ended(self, site: ResizeSite) -> None:
        getattr(site, self.ends)()


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


@dataclass(frozen=True)
class Begun:
    """What was asked for just now, to be gone on with as often as wanted: all is as then each time."""

    site: ResizeSite
    scenario: Scenario
    run: Callable[[], None]
    go_back: Callable[[], None]

    def points(self) -> Sequence[Point]:
        """All that such a run passes by, but for what it only reads."""
        self.site.calls.begin(self.scenario.trouble(self.site))
        self.run()
        points = [point for point in self.site.calls.reached if point[1] not in READING]
        self.scenario.assert_ended(self.site)
        assert len(points) > 10
        return points

    def own_points(self) -> Sequence[Point]:
        """Of one where a call fails only those from that step on: before that it is as the one that does well."""
        points = self.points()
        name = self.scenario.failing(self.site)
        return points if name is None else from_step_of(name, points)

    def try_at(self, points: Sequence[Point], trial: Callable[[Point], None]) -> None:
        """Each of them from the beginning."""
        try_at(points, self.go_back, trial)


@pytest.fixture
def begun(site: ResizeSite, scenario: Scenario) -> Begun:
    run = scenario.begin(site)
    return Begun(site, scenario, run, site.save())


@ON_SQLITE
@FEWER_CASES
def test_killed_anywhere_it_ends_as_it_would_have_when_it_is_taken_up(
    site: ResizeSite, scenario: Scenario, begun: Begun
) -> None:
    def trial(point: Point) -> None:
        trouble = scenario.trouble(site)
        site.calls.begin(at(point, raising(Killed())), trouble)
        with pytest.raises(Killed):
            begun.run()
        site.calls.begin(trouble)
        begun.run()  # as it is taken up
        scenario.assert_ended(site)
        assert site.migration().status not in IN_PROGRESS

    begun.try_at(between(begun.own_points()), trial)


@ON_SQLITE
@FEWER_CASES
def test_killed_again_and_again_it_ends_as_it_would_have(site: ResizeSite, scenario: Scenario, begun: Begun) -> None:
    chance = random.Random(20141016)  # noqa: S311 - it picks points
    for _ in range(8):
        begun.go_back()
        trouble = scenario.trouble(site)
        for _ in range(5):
            site.calls.begin(at_number(chance.randrange(12), chance.choice(["before", "after"])), trouble)
            try:
                begun.run()
            except Killed:
                continue
            break
        site.calls.begin(trouble)
        begun.run()
        scenario.assert_ended(site)


def at_number(number: int, when: str) -> Callable[[Point], None]:
    def kill(point: Point) -> None:
        if (point[0], point[2]) == (number, when):
            raise Killed

    return kill


@ON_SQLITE
@pytest.mark.parametrize("case", [CASES["cold"], CASES["resize where it is, shared storage"]], ids=str)
def test_without_database_or_bus_for_a_moment_it_ends_as_it_would_have(
    site: ResizeSite, scenario: Scenario, begun: Begun
) -> None:
    """Before a call nothing was done; behind one all was, and nobody knows."""
    away: Mapping[bool, Exception] = {
        True: BusUnavailableError("cannot reach the bus"),
        False: DatabaseUnavailableError("cannot use database: it is away"),
    }

    def trial(point: Point) -> None:
        is_over_the_bus = point[1].startswith(("scheduler.", "compute."))
        site.calls.begin(at(point, raising(away[is_over_the_bus])), scenario.trouble(site))
        begun.run()
        scenario.assert_ended(site)

    begun.try_at(begun.own_points(), trial)


def test_a_request_that_comes_once_more_changes_nothing(site: ResizeSite, scenario: Scenario) -> None:
    run = scenario.begin(site)
    site.calls.begin(scenario.trouble(site))
    run()
    before = site.instance(), site.migration()
    run()
    assert (site.instance(), site.migration()) == before
    scenario.assert_ended(site)


@ON_SQLITE
@FEWER_CASES
@pytest.mark.parametrize("hears", [True, False], ids=["its host hears of it", "its host does not hear of it yet"])
def test_deleted_anywhere_nothing_is_left_and_it_is_no_fault(
    site: ResizeSite, scenario: Scenario, begun: Begun, *, hears: bool
) -> None:
    """But for the fault of what had failed already."""

    def trial(point: Point) -> None:
        site.calls.begin(at(point, lambda: site.delete(hears=hears)), scenario.trouble(site))
        begun.run()
        site.delete_at_host()
        site.clear_up()
        site.assert_nothing_left()
        if scenario.fails_at is None:
            assert site.fault() is None

    begun.try_at(between(begun.own_points()), trial)


@ON_SQLITE
@FEWER_CASES
@pytest.mark.parametrize(
    ("scenario", "fares"),
    [
        *((name, "as the other") for name in SCENARIOS),
        *((name, "well") for name, scenario in SCENARIOS.items() if scenario.fails_at is not None),
    ],
    indirect=["scenario"],
)
def test_got_by_two_conductors_it_ends_once(site: ResizeSite, scenario: Scenario, begun: Begun, fares: str) -> None:
    """One stands still anywhere, while another one takes it up and goes to the end; then it goes on."""
    calls = Calls()
    other = site.mover(calls)

    def trial(point: Point) -> None:
        migration = site.migration()
        calls.begin(*([scenario.trouble(site)] if fares == "as the other" else []))
        site.calls.begin(at(point, lambda: site.move(migration.id, mover=other)), scenario.trouble(site))
        begun.run()
        if scenario.fails_at is None or site.migration().status is SCENARIOS_ENDS[scenario.name]:
            scenario.assert_ended(site)
        else:
            getattr(site, WELL[scenario.name])()

    begun.try_at(between(begun.points()), trial)


SCENARIOS_ENDS = {"not moved": MigrationStatus.FAILED, "not reverted": MigrationStatus.FINISHED}
WELL = {"not moved": "assert_waits", "not reverted": "assert_reverted"}
