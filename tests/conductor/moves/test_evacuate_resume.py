"""An evacuation that is interrupted anywhere, deleted anywhere, got by two conductors, or whose host comes back anywhere
while it goes on: one good end, and never two guests that run once that host has been asked.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pytest

from cloud.domain.instance import PowerState, TaskState, VmState
from cloud.domain.migration import IN_PROGRESS, MigrationStatus
from cloud.errors import ComputeError, DatabaseUnavailableError
from cloud.rpc.errors import BusUnavailableError
from tests.conductor.moves.evacuate_fixtures import case, site
from tests.conductor.moves.evacuate_site import HERE, RUNNING, EvacuationSite
from tests.conductor.site import Calls, Killed, Point, at, raising
from tests.conductor.trials import between, from_step_of, try_at
from tests.db.making import SMALL

__all__ = ["case", "site"]

NO = ComputeError("cannot do it: the disk is full")
READS = (
    "services.all",
    "instances.get",
    "migrations.get",
    "claims.of",
    "fixed_ips.of",
    "compute_nodes.get",
    "compute_nodes.all",
    "compute_nodes.states",
)
FEWER_CASES = pytest.mark.parametrize("case", ["own disks", "shared disks, to be found out, in error"], indirect=True)
ON_SQLITE = pytest.mark.parametrize("kept_database", ["sqlite"], indirect=True, scope="session")
"""Where each trial is some thirty transactions, one database has to do."""


@dataclass(frozen=True)
class Scenario:
    """What becomes of an evacuation when nothing happens on the way."""

    fails_at: str | None = None
    """Such a call fails each time."""

    def trouble(self) -> Callable[[Point], None]:
        def fail(point: Point) -> None:
            if point[1:] == (self.fails_at, "before"):
                raise NO

        return fail

    def assert_ended(self, site: EvacuationSite) -> None:
        if self.fails_at is None:
            site.assert_evacuated()
        else:
            site.assert_undone()


SCENARIOS: Mapping[str, Scenario] = {
    "evacuated": Scenario(),
    "undone": Scenario("compute.sees_disk"),
}


@pytest.fixture(params=SCENARIOS)
def scenario(request: pytest.FixtureRequest) -> Scenario:
    return SCENARIOS[request.param]


@dataclass(frozen=True)
class Begun:
    """An evacuation that was asked for just now, to be gone on with as often as wanted: all is as then each time."""

    site: EvacuationSite
    scenario: Scenario
    id: int
    go_back: Callable[[], None]

    def points(self) -> Sequence[Point]:
        """All that it passes by."""
        self.site.calls.begin(self.scenario.trouble())
        self.site.move(self.id)
        points = tuple(self.site.calls.reached)
        self.scenario.assert_ended(self.site)
        assert len(points) > 40
        return points

    def own_points(self) -> Sequence[Point]:
        """Of one where a call fails only those from that step on: before that it is as the one that does well."""
        points, name = self.points(), self.scenario.fails_at
        return points if name is None else from_step_of(name, points)

    def try_at(self, points: Sequence[Point], trial: Callable[[Point], None]) -> None:
        """Each of them from the beginning."""
        try_at(points, self.go_back, trial)


@pytest.fixture
def begun(site: EvacuationSite, scenario: Scenario) -> Begun:
    site.enter()
    return Begun(site, scenario, site.begin(), site.save())


def changes(points: Sequence[Point]) -> Sequence[Point]:
    """Of those, where something has changed since the one before."""
    return [point for point in between(points) if point[1] not in READS]


@ON_SQLITE
def test_killed_anywhere_it_ends_as_it_would_have_when_it_is_taken_up(
    site: EvacuationSite, scenario: Scenario, begun: Begun
) -> None:
    def trial(point: Point) -> None:
        site.calls.begin(at(point, raising(Killed())), scenario.trouble())
        with pytest.raises(Killed):
            site.move(begun.id)
        site.calls.begin(scenario.trouble())
        site.move(begun.id)
        scenario.assert_ended(site)
        assert site.migration().status not in IN_PROGRESS

    begun.try_at(changes(begun.own_points()), trial)


@ON_SQLITE
def test_killed_again_and_again_it_ends_as_it_would_have(
    site: EvacuationSite, scenario: Scenario, begun: Begun
) -> None:
    chance = random.Random(20141016)  # noqa: S311 - it picks points
    for _ in range(8):
        begun.go_back()
        for _ in range(5):
            kill = at_number(chance.randrange(12), chance.choice(["before", "after"]))
            site.calls.begin(kill, scenario.trouble())
            try:
                site.move(begun.id)
            except Killed:
                continue
            break
        site.calls.begin(scenario.trouble())
        site.move(begun.id)
        scenario.assert_ended(site)


def at_number(number: int, when: str) -> Callable[[Point], None]:
    def kill(point: Point) -> None:
        if (point[0], point[2]) == (number, when):
            raise Killed

    return kill


@ON_SQLITE
@FEWER_CASES
def test_without_database_or_bus_for_a_moment_it_ends_as_it_would_have(
    site: EvacuationSite, scenario: Scenario, begun: Begun
) -> None:
    """Before a call nothing was done; behind one all was, and nobody knows."""
    away: Mapping[bool, Exception] = {
        True: BusUnavailableError("cannot reach the bus"),
        False: DatabaseUnavailableError("cannot use database: it is away"),
    }

    def trial(point: Point) -> None:
        is_over_the_bus = point[1].startswith(("scheduler.", "compute.", "network."))
        site.calls.begin(at(point, raising(away[is_over_the_bus])), scenario.trouble())
        site.move(begun.id)
        scenario.assert_ended(site)

    begun.try_at([point for point in begun.own_points() if point[1] not in READS], trial)


def test_a_request_that_comes_once_more_changes_nothing(site: EvacuationSite, scenario: Scenario) -> None:
    site.enter()
    migration_id = site.begin()
    site.calls.begin(scenario.trouble())
    site.move(migration_id)
    before = site.instance(), site.migration(), site.guests()
    site.move(migration_id)
    assert (site.instance(), site.migration(), site.guests()) == before
    scenario.assert_ended(site)


@ON_SQLITE
@FEWER_CASES
def test_deleted_anywhere_nothing_is_left_and_it_is_no_fault(
    site: EvacuationSite, scenario: Scenario, begun: Begun
) -> None:
    """But for the fault of what had failed already. Its host hears of it at once or later, by turns."""

    def trial(point: Point) -> None:
        hears = (point[0] + site.case.is_shared) % 2 == 0
        site.calls.begin(at(point, lambda: site.delete(hears=hears)), scenario.trouble())
        site.move(begun.id)
        status = site.migration().status
        site.assert_nothing_left()
        if scenario.fails_at is None:
            assert site.fault() is None
            assert status in (MigrationStatus.CANCELLED, MigrationStatus.COMPLETED)

    begun.try_at(between(begun.own_points()), trial)


@ON_SQLITE
@FEWER_CASES
def test_got_by_two_conductors_it_ends_once(site: EvacuationSite, scenario: Scenario, begun: Begun) -> None:
    """One stands still anywhere, while another one takes it up and goes to the end; then it goes on.

    The other one fares as the first does, or better, by turns.
    """
    calls = Calls()
    other = site.mover(calls)

    def trial(point: Point) -> None:
        calls.begin(*([scenario.trouble()] if point[0] % 2 else []))
        site.calls.begin(at(point, lambda: site.move(begun.id, other)), scenario.trouble())
        site.move(begun.id)
        if site.migration().status is MigrationStatus.COMPLETED:
            site.assert_evacuated()
        else:
            scenario.assert_ended(site)

    begun.try_at(between(begun.points()), trial)


@ON_SQLITE
def test_whenever_its_host_comes_back_exactly_one_host_runs_it(
    site: EvacuationSite, scenario: Scenario, begun: Begun
) -> None:
    """It has run its guest all the time, and nobody knew. From when it is asked on, never two of them run."""

    def trial(point: Point) -> None:
        seen: list[bool] = []

        def come_back() -> None:
            site.come_back()
            seen.append(True)

        def look(_point: Point) -> None:
            if seen:
                assert len(site.runs_on()) <= 1

        site.calls.begin(at(point, come_back), scenario.trouble(), look)
        site.move(begun.id)
        assert seen
        look(point)
        if site.migration().status is MigrationStatus.COMPLETED:
            site.assert_evacuated()
            return
        site.come_back()  # its next round, which notes that the guest does not run
        assert site.migration().status is MigrationStatus.FAILED
        assert_source_has_it(site)

    begun.try_at(between(begun.points()), trial)


def assert_source_has_it(site: EvacuationSite) -> None:
    """The instance is its old host's again, off or running as the database says, and can be started."""
    instance = site.instance()
    assert (instance.host, instance.task_state) == (HERE, None)
    assert site.tables.claims.of(instance.uuid) == {HERE: SMALL.resources}
    (state,) = site.guests().values()
    assert site.guests() == {HERE: state}
    if instance.vm_state is not VmState.ERROR:
        assert (instance.vm_state, state) in ((VmState.ACTIVE, RUNNING), (VmState.STOPPED, PowerState.SHUTDOWN))
    site.tables.instances.update(instance.uuid, {"task_state": TaskState.POWERING_ON})
    site.hosts[HERE].lifecycle.start(instance.uuid)
    assert site.runs_on() == [HERE]
    assert site.instance().vm_state is VmState.ACTIVE
    site.break_down()


@ON_SQLITE
@FEWER_CASES
@pytest.mark.parametrize("scenario", ["evacuated"], indirect=True)
def test_a_host_that_comes_back_while_nobody_goes_on_does_not_run_what_may_be_anothers(
    site: EvacuationSite, begun: Begun
) -> None:
    """The conductor has died anywhere, and goes on only when the host is back."""

    def trial(point: Point) -> None:
        site.calls.begin(at(point, raising(Killed())))
        with pytest.raises(Killed):
            site.move(begun.id)
        before = site.migration().status in (MigrationStatus.ACCEPTED, MigrationStatus.PREPARING)
        site.come_back()
        assert (HERE in site.runs_on()) is before  # it may still be refused, and be nobody's to start
        site.calls.begin()
        site.move(begun.id)
        site.come_back()
        if site.migration().status is MigrationStatus.COMPLETED:
            site.assert_evacuated()
        else:
            assert "is up" in str(site.migration().error)
            assert_source_has_it(site)

    begun.try_at(changes(begun.points()), trial)


@pytest.mark.parametrize("point", ["before the API has entered it", "before its source is checked"])
def test_a_host_that_comes_back_before_anything_was_done_keeps_it(site: EvacuationSite, point: str) -> None:
    site.enter()
    if point == "before the API has entered it":
        site.come_back()
        begun = site.begin()
    else:
        begun = site.begin()
        site.come_back()
    site.move(begun)
    assert site.migration().status is MigrationStatus.FAILED
    runs = site.case.vm_state is not VmState.STOPPED
    assert site.runs_on() == ([HERE] if runs else [])
    site.come_back()
    assert_source_has_it(site)
