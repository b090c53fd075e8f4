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

    def assert_ended(self, site: EvacuationSite, number: int) -> None:
        if self.fails_at is None:
            site.assert_evacuated(number)
        else:
            site.assert_undone(number)


SCENARIOS: Mapping[str, Scenario] = {
    "evacuated": Scenario(),
    "undone": Scenario("compute.sees_disk"),
}


@pytest.fixture(params=SCENARIOS)
def scenario(request: pytest.FixtureRequest) -> Scenario:
    return SCENARIOS[request.param]


def points_of(site: EvacuationSite, scenario: Scenario) -> Sequence[Point]:
    """All that such an evacuation passes by."""
    site.enter(1000)
    site.calls.begin(scenario.trouble())
    site.move(site.begin(1000))
    points = tuple(site.calls.reached)
    scenario.assert_ended(site, 1000)
    site.clear_away(1000)
    assert len(points) > 40
    return points


def boundaries(points: Sequence[Point]) -> Sequence[Point]:
    """Before each call, and at the end: behind a call all is as it is before the next one."""
    return [*(point for point in points if point[2] == "before"), points[-1]]


def changes(points: Sequence[Point]) -> Sequence[Point]:
    """Of those, where something has changed since the one before."""
    return [point for point in boundaries(points) if point[1] not in READS]


def try_at(site: EvacuationSite, points: Sequence[Point], trial: Callable[[int, Point], None]) -> None:
    """Each point with an instance of its own, by its number; it is cleared away afterwards."""
    for number, point in enumerate(points, start=1):
        try:
            trial(number, point)
        except BaseException as exc:
            exc.add_note(f"at {point}")
            raise
        site.clear_away(number)


@ON_SQLITE
def test_killed_anywhere_it_ends_as_it_would_have_when_it_is_taken_up(site: EvacuationSite, scenario: Scenario) -> None:
    def trial(number: int, point: Point) -> None:
        site.enter(number)
        migration_id = site.begin(number)
        site.calls.begin(at(point, raising(Killed())), scenario.trouble())
        with pytest.raises(Killed):
            site.move(migration_id)
        site.calls.begin(scenario.trouble())
        site.move(migration_id)
        scenario.assert_ended(site, number)
        assert site.migration(number).status not in IN_PROGRESS

    try_at(site, changes(points_of(site, scenario)), trial)


@ON_SQLITE
def test_killed_again_and_again_it_ends_as_it_would_have(site: EvacuationSite, scenario: Scenario) -> None:
    chance = random.Random(20141016)  # noqa: S311 - it picks points
    for number in range(1, 9):
        site.enter(number)
        migration_id = site.begin(number)
        for _ in range(5):
            kill = at_number(chance.randrange(12), chance.choice(["before", "after"]))
            site.calls.begin(kill, scenario.trouble())
            try:
                site.move(migration_id)
            except Killed:
                continue
            break
        site.calls.begin(scenario.trouble())
        site.move(migration_id)
        scenario.assert_ended(site, number)
        site.clear_away(number)


def at_number(number: int, when: str) -> Callable[[Point], None]:
    def kill(point: Point) -> None:
        if (point[0], point[2]) == (number, when):
            raise Killed

    return kill


@ON_SQLITE
@FEWER_CASES
def test_without_database_or_bus_for_a_moment_it_ends_as_it_would_have(
    site: EvacuationSite, scenario: Scenario
) -> None:
    """Before a call nothing was done; behind one all was, and nobody knows."""
    away: Mapping[bool, Exception] = {
        True: BusUnavailableError("cannot reach the bus"),
        False: DatabaseUnavailableError("cannot use database: it is away"),
    }

    def trial(number: int, point: Point) -> None:
        site.enter(number)
        is_over_the_bus = point[1].startswith(("scheduler.", "compute.", "network."))
        site.calls.begin(at(point, raising(away[is_over_the_bus])), scenario.trouble())
        site.move(site.begin(number))
        scenario.assert_ended(site, number)

    try_at(site, [point for point in points_of(site, scenario) if point[1] not in READS], trial)


def test_a_request_that_comes_once_more_changes_nothing(site: EvacuationSite, scenario: Scenario) -> None:
    site.enter()
    migration_id = site.begin()
    site.calls.begin(scenario.trouble())
    site.move(migration_id)
    before = site.instance(), site.migration(), site.guests()
    site.move(migration_id)
    assert (site.instance(), site.migration(), site.guests()) == before
    scenario.assert_ended(site, 1)


@ON_SQLITE
@FEWER_CASES
def test_deleted_anywhere_nothing_is_left_and_it_is_no_fault(site: EvacuationSite, scenario: Scenario) -> None:
    """But for the fault of what had failed already. Its host hears of it at once or later, by turns."""

    def trial(number: int, point: Point) -> None:
        hears = (number + site.case.is_shared) % 2 == 0
        site.enter(number)
        begun = site.begin(number)
        site.calls.begin(at(point, lambda: site.delete(number, hears=hears)), scenario.trouble())
        site.move(begun)
        status = site.migration(number).status
        site.assert_nothing_left(number)
        if scenario.fails_at is None:
            assert site.fault(number) is None
            assert status in (MigrationStatus.CANCELLED, MigrationStatus.COMPLETED)

    try_at(site, boundaries(points_of(site, scenario)), trial)


@ON_SQLITE
@FEWER_CASES
def test_got_by_two_conductors_it_ends_once(site: EvacuationSite, scenario: Scenario) -> None:
    """One stands still anywhere, while another one takes it up and goes to the end; then it goes on.

    The other one fares as the first does, or better, by turns.
    """
    calls = Calls()
    other = site.mover(calls)

    def trial(number: int, point: Point) -> None:
        site.enter(number)
        migration_id = site.begin(number)
        calls.begin(*([scenario.trouble()] if number % 2 else []))
        site.calls.begin(at(point, lambda: site.move(migration_id, other)), scenario.trouble())
        site.move(migration_id)
        if site.migration(number).status is MigrationStatus.COMPLETED:
            site.assert_evacuated(number)
        else:
            scenario.assert_ended(site, number)

    try_at(site, boundaries(points_of(site, scenario)), trial)


@ON_SQLITE
def test_whenever_its_host_comes_back_exactly_one_host_runs_it(site: EvacuationSite, scenario: Scenario) -> None:
    """It has run its guest all the time, and nobody knew. From when it is asked on, never two of them run."""

    def trial(number: int, point: Point) -> None:
        seen: list[bool] = []

        def come_back() -> None:
            site.come_back()
            seen.append(True)

        def look(_point: Point) -> None:
            if seen:
                assert len(site.runs_on(number)) <= 1

        site.enter(number)
        begun = site.begin(number)
        site.calls.begin(at(point, come_back), scenario.trouble(), look)
        site.move(begun)
        assert seen
        look(point)
        if site.migration(number).status is MigrationStatus.COMPLETED:
            site.assert_evacuated(number)
            return
        site.come_back()  # its next round, which notes that the guest does not run
        assert site.migration(number).status is MigrationStatus.FAILED
        assert_source_has_it(site, number)

    try_at(site, boundaries(points_of(site, scenario)), trial)


def assert_source_has_it(site: EvacuationSite, number: int) -> None:
    """The instance is its old host's again, off or running as the database says, and can be started."""
    instance = site.instance(number)
    assert (instance.host, instance.task_state) == (HERE, None)
    assert site.tables.claims.of(instance.uuid) == {HERE: SMALL.resources}
    (state,) = site.guests(number).values()
    assert site.guests(number) == {HERE: state}
    if instance.vm_state is not VmState.ERROR:
        assert (instance.vm_state, state) in ((VmState.ACTIVE, RUNNING), (VmState.STOPPED, PowerState.SHUTDOWN))
    site.tables.instances.update(instance.uuid, {"task_state": TaskState.POWERING_ON})
    site.hosts[HERE].lifecycle.start(instance.uuid)
    assert site.runs_on(number) == [HERE]
    assert site.instance(number).vm_state is VmState.ACTIVE
    site.break_down()


@ON_SQLITE
@FEWER_CASES
def test_a_host_that_comes_back_while_nobody_goes_on_does_not_run_what_may_be_anothers(site: EvacuationSite) -> None:
    """The conductor has died anywhere, and goes on only when the host is back."""
    scenario = SCENARIOS["evacuated"]

    def trial(number: int, point: Point) -> None:
        site.enter(number)
        migration_id = site.begin(number)
        site.calls.begin(at(point, raising(Killed())))
        with pytest.raises(Killed):
            site.move(migration_id)
        before = site.migration(number).status in (MigrationStatus.ACCEPTED, MigrationStatus.PREPARING)
        site.come_back()
        assert (HERE in site.runs_on(number)) is before  # it may still be refused, and be nobody's to start
        site.calls.begin()
        site.move(migration_id)
        site.come_back()
        if site.migration(number).status is MigrationStatus.COMPLETED:
            site.assert_evacuated(number)
        else:
            assert "is up" in str(site.migration(number).error)
            assert_source_has_it(site, number)

    try_at(site, changes(points_of(site, scenario)), trial)


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
    assert_source_has_it(site, 1)
