"""A build that is interrupted anywhere, deleted anywhere, or got by two conductors, comes to one good end."""

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pytest

from cloud.domain.instance import VmState
from cloud.errors import ComputeError, DatabaseUnavailableError, ImageNotFoundError
from cloud.rpc.errors import BusUnavailableError
from cloud.services.conductor.builder import WAITS_S
from tests.conductor.site import Calls, Killed, Point, Site, at, first_time, raising
from tests.conductor.trials import between

FULL = ComputeError("cannot spawn instance: the disk is full")
GONE = ImageNotFoundError("cannot find image: it is gone")
ON_SQLITE = pytest.mark.parametrize("kept_database", ["sqlite"], indirect=True, scope="session")
"""Where each trial is some two hundred builds, one database has to do."""


@dataclass(frozen=True)
class Scenario:
    """What becomes of a build when nothing happens to it."""

    spawn_failures: int
    cause: Exception
    ends_active: bool

    def trouble(self) -> Callable[[Point], None]:
        """What calls of one build, and of those that go on with it, meet."""
        left = self.spawn_failures

        def fail(point: Point) -> None:
            nonlocal left
            if point[1:] == ("compute.spawn", "before") and left > 0:
                left -= 1
                raise self.cause

        return fail


SCENARIOS: Mapping[str, Scenario] = {
    "the first host fails": Scenario(1, FULL, ends_active=True),
    "no host can do it": Scenario(1000, GONE, ends_active=False),
}


@pytest.fixture(params=SCENARIOS)
def scenario(request: pytest.FixtureRequest) -> Scenario:
    return SCENARIOS[request.param]


def points_of(site: Site, scenario: Scenario) -> Sequence[Point]:
    """All that such a build passes by."""
    site.calls.begin(scenario.trouble())
    site.build(site.enter(1000))
    points = tuple(site.calls.reached)
    site.clear_away(1000)
    assert len(points) > 40
    return points


def on_the_way_to(name: str, points: Sequence[Point]) -> Collection[Point]:
    """Between what comes before such a call and its beginning."""
    ways = [way for way in pairwise(points) if way[1][1:] == (name, "before")]
    return [point for way in ways for point in way]


def try_at(site: Site, points: Sequence[Point], trial: Callable[[int, Point], None]) -> None:
    """Each point with an instance of its own, by its number; it is cleared away afterwards."""
    for number, point in enumerate(points, start=1):
        try:
            trial(number, point)
        except BaseException as exc:
            exc.add_note(f"at {point}")
            raise
        site.clear_away(number)


def assert_ended(site: Site, number: int, scenario: Scenario) -> None:
    if scenario.ends_active:
        site.assert_active(number)
    else:
        assert site.assert_in_error(number).message == str(scenario.cause)


def test_killed_anywhere_it_ends_as_it_would_have_when_the_request_comes_back(site: Site, scenario: Scenario) -> None:
    def trial(number: int, point: Point) -> None:
        request, trouble = site.enter(number), scenario.trouble()
        site.calls.begin(at(point, raising(Killed())), trouble)
        with pytest.raises(Killed):
            site.build(request)
        site.calls.begin(trouble)
        site.build(request)
        assert_ended(site, number, scenario)

    try_at(site, between(points_of(site, scenario)), trial)


def test_what_was_done_before_a_kill_is_not_done_again(site: Site) -> None:
    request = site.enter()
    site.calls.begin(first_time("compute.spawn", "after", raising(Killed())))
    with pytest.raises(Killed):
        site.build(request)
    host = site.instance().host
    site.calls.begin()
    site.build(request)
    site.assert_active()
    assert site.instance().host == host
    asked = ("scheduler.select_hosts", "claims.claim", "compute.prepare_image", "compute.spawn", "compute.destroy")
    assert [site.calls.made(name) for name in asked] == [0, 0, 0, 1, 0]


@ON_SQLITE
def test_killed_again_and_again_it_ends_as_it_would_have(site: Site, scenario: Scenario) -> None:
    chance = random.Random(20141016)  # noqa: S311 - it picks points
    for number in range(1, 9):
        request, trouble = site.enter(number), scenario.trouble()
        kills = 0
        while kills < 5:
            site.calls.begin(at_number(chance.randrange(25), chance.choice(["before", "after"])), trouble)
            try:
                site.build(request)
            except Killed:
                kills += 1
            else:
                break
        site.calls.begin(trouble)
        site.build(request)
        assert_ended(site, number, scenario)
        site.clear_away(number)


def at_number(number: int, when: str) -> Callable[[Point], None]:
    def kill(point: Point) -> None:
        if (point[0], point[2]) == (number, when):
            raise Killed

    return kill


def test_a_request_that_comes_once_more_changes_nothing(site: Site, scenario: Scenario) -> None:
    request = site.enter()
    site.calls.begin(scenario.trouble())
    site.build(request)
    before = site.instance()
    site.build(request)
    assert site.instance() == before
    assert_ended(site, 1, scenario)


@ON_SQLITE
def test_without_database_or_bus_for_a_moment_it_ends_as_it_would_have(site: Site, scenario: Scenario) -> None:
    """Before a call nothing was done; behind one all was, and nobody knows."""
    away: Mapping[bool, Exception] = {
        True: BusUnavailableError("cannot reach the bus"),
        False: DatabaseUnavailableError("cannot use database: it is away"),
    }

    def trial(number: int, point: Point) -> None:
        request = site.enter(number)
        site.waited_s.clear()
        is_over_the_bus = point[1].startswith(("scheduler.", "network.", "compute."))
        site.calls.begin(at(point, raising(away[is_over_the_bus])), scenario.trouble())
        site.build(request)
        assert site.waited_s == [0.5]
        assert_ended(site, number, scenario)

    try_at(site, points_of(site, scenario), trial)


def test_without_a_database_for_long_it_is_left_to_whoever_ends_what_is_overdue(site: Site) -> None:
    request = site.enter()

    def away(point: Point) -> None:
        if point[1] == "claims.claim":
            raise DatabaseUnavailableError("cannot use database")

    site.calls.begin(away)
    with pytest.raises(DatabaseUnavailableError):
        site.build(request)
    assert tuple(site.waited_s) == WAITS_S
    assert site.instance().vm_state is VmState.BUILDING


@ON_SQLITE
@pytest.mark.parametrize("hears", [True, False], ids=["its host hears of it", "its host does not hear of it"])
def test_deleted_anywhere_nothing_is_left_and_it_is_no_fault(site: Site, scenario: Scenario, *, hears: bool) -> None:
    """But where its fault is being written already, there it stays."""
    points = points_of(site, scenario)
    noting = on_the_way_to("instances.add_fault", points)

    def trial(number: int, point: Point) -> None:
        seen: list[tuple[VmState, bool]] = []

        def delete() -> None:
            instance = site.instance(number)
            seen.append((instance.vm_state, site.fault(number) is not None))
            site.delete(instance.uuid, hears=hears)

        request = site.enter(number)
        site.calls.begin(at(point, delete), scenario.trouble())
        site.build(request)
        if seen == [(VmState.BUILDING, False)] and point not in noting:
            site.assert_deleted(number)
        elif seen[0][0] is VmState.BUILDING:
            assert (site.instance(number).vm_state, site.left(number)) == (VmState.DELETED, ([], [], 0))

    try_at(site, between(points), trial)


@ON_SQLITE
@pytest.mark.parametrize("fares", ["as the other", "well"])
def test_got_by_two_conductors_it_ends_once(site: Site, scenario: Scenario, fares: str) -> None:
    """One stands still anywhere, while another one has the request and builds it to the end; then it goes on.

    All but one way: from its last look at the instance to giving its claim back.
    """
    calls = Calls()
    other = site.builder(calls)

    def trial(number: int, point: Point) -> None:
        request = site.enter(number)
        calls.begin(*([scenario.trouble()] if fares == "as the other" else []))
        site.calls.begin(at(point, lambda: site.build(request, other)), scenario.trouble())
        site.build(request)
        if site.instance(number).vm_state is VmState.ACTIVE:
            site.assert_active(number)
        else:
            assert site.assert_in_error(number).message == str(scenario.cause)

    points = points_of(site, scenario)
    left_out = on_the_way_to("claims.release", points)
    assert left_out
    try_at(site, [point for point in between(points) if point not in left_out], trial)


def test_where_what_was_begun_cannot_be_undone_nobody_begins_anew(site: Site) -> None:
    request = site.enter()
    site.calls.begin(
        SCENARIOS["no host can do it"].trouble(), first_time("compute.destroy", "before", raising(Killed()))
    )
    with pytest.raises(Killed):
        site.build(request)
    host = site.instance().host

    def no_answer(point: Point) -> None:
        if point[1:] == ("compute.destroy", "before"):
            raise ComputeError("cannot destroy: no answer")

    site.calls.begin(no_answer)
    site.build(request)
    instance, fault = site.instance(), site.fault()
    assert (instance.vm_state, instance.task_state, instance.host) == (VmState.ERROR, None, host)
    assert site.left() == ([], [host], 1)  # a guest may run on them
    assert fault is not None
    assert fault.message == f"cannot build instance {instance.uuid}: what was begun on the host stays there"
    assert f"what was begun on {host} stays there" in str(fault.details)


def test_one_that_is_deleted_and_reset_is_left_as_it_is(site: Site) -> None:
    """An admin's word is the last one."""
    request = site.enter()

    def delete() -> None:
        site.delete(request.instance_uuid, hears=False)

    def reset() -> None:
        site.tables.instances.update(request.instance_uuid, {"vm_state": VmState.ERROR, "task_state": None})

    site.calls.begin(first_time("compute.spawn", "after", delete), first_time("instances.delete", "before", reset))
    site.build(request)
    assert site.instance().vm_state is VmState.ERROR
    assert site.left() == ([], [], 0)


def test_a_late_guest_and_a_late_claim_of_who_lost_the_build_go_too(site: Site) -> None:
    """Another conductor has ended it in error while this one spawns, on a host that does not ask who wants it."""
    request = site.enter()

    def end_in_error() -> None:
        changes = {"vm_state": VmState.ERROR, "task_state": None, "host": None, "node": None}
        site.tables.instances.update(request.instance_uuid, changes)

    site.calls.begin(first_time("compute.spawn", "after", end_in_error))
    site.build(request)
    assert site.instance().vm_state is VmState.ERROR
    assert site.left() == ([], [], 0)
