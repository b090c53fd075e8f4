"""The destinations of a live migration for which no host was asked: one after the other, until one can take it."""

from collections.abc import Callable

import pytest

from cloud.domain.instance import TaskState
from cloud.domain.migration import MigrationStatus
from cloud.errors import ComputeError, HostNotFoundError, InstanceStateError
from tests.conductor.moves.live_site import SOURCE, LiveSite
from tests.conductor.site import HOSTS, Calls, Killed, Point, at
from tests.db.making import uuid_of
from tests.services.said import Line

CHECK = "compute.check_live_destination"
NO = "its processor is another one"


def refusing(live: LiveSite, *hosts: str) -> Callable[[Point], None]:
    """Those cannot take it."""

    def refuse(point: Point) -> None:
        host = live.migration().dest_compute
        if point[1:] == (CHECK, "before") and host in hosts:
            raise ComputeError(f"cannot migrate to host {host}: {NO}")

    return refuse


def first_choice(live: LiveSite) -> str:
    """The host that nova-scheduler prefers."""
    migration = live.enter(1000)
    live.move(migration, live.mover(Calls()))
    found = str(live.tables.migrations.get(migration.id).dest_compute)
    live.clear_away(1000)
    return found


def test_the_next_candidate_is_taken_where_the_first_one_cannot_take_it(live: LiveSite, lines: list[Line]) -> None:
    first = first_choice(live)
    (second,) = {*HOSTS} - {SOURCE, first}
    migration = live.enter()
    live.calls.begin(refusing(live, first))
    lines.clear()
    live.move(migration)
    live.assert_moved()
    assert live.instance().host == second
    progress = [(level, each) for level, _, each in lines if each.get("event") == "migration.dest_check.progress"]
    ((level, fields),) = progress
    assert level == "WARNING"
    assert (fields["dest_compute"], fields["cause"]) == (first, "ComputeError")
    assert fields["error"] == f"cannot migrate to host {first}: {NO}"
    events = [fields["event"] for _, _, fields in lines if "event" in fields]
    assert events.count("migration.dest_check.completed") == 1
    assert not [event for event in events if event.endswith("failed")]
    assert len(live.scheduler.asked) == 2  # once for each migration


def test_where_none_can_take_it_the_last_one_is_told_of_and_the_others_to_admins(live: LiveSite) -> None:
    first = first_choice(live)
    (second,) = {*HOSTS} - {SOURCE, first}
    migration = live.enter()
    live.calls.begin(refusing(live, first, second))
    live.move(migration)
    ended, fault = live.assert_stayed(), live.fault()
    assert (ended.dest_compute, ended.step) == (second, "dest_check")
    assert ended.error == f"step dest_check: cannot migrate to host {second}: {NO}"
    assert fault is not None
    assert fault.details is not None
    assert f"refused by host {first}: cannot migrate to host {first}: {NO}" in fault.details.splitlines()
    assert first not in fault.message
    assert live.calls.made(CHECK) == 2


@pytest.mark.parametrize("limit", [1, 2])
def test_not_more_hosts_are_asked_than_may_be(live: LiveSite, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr("cloud.services.conductor.moves.live.MAX_DESTINATIONS", limit)
    migration = live.enter()
    live.calls.begin(refusing(live, *HOSTS))
    live.move(migration)
    assert NO in str(live.assert_stayed().error)
    assert live.calls.made(CHECK) == limit


@pytest.mark.parametrize("is_forced", [True, False])
def test_a_host_that_was_asked_for_is_not_exchanged_for_another(live: LiveSite, *, is_forced: bool) -> None:
    migration = live.enter(host=HOSTS[1], is_forced=is_forced)
    live.calls.begin(refusing(live, HOSTS[1]))
    live.move(migration)
    assert live.assert_stayed().dest_compute == HOSTS[1]
    assert live.calls.made(CHECK) == 1


def test_what_the_instance_is_refused_for_is_not_asked_of_another(live: LiveSite) -> None:
    migration = live.enter()

    def reset(point: Point) -> None:
        if point[1:] == (CHECK, "before"):
            raise InstanceStateError("cannot receive instance: its task_state is None")

    live.calls.begin(reset)
    live.move(migration)
    live.assert_stayed()
    assert live.calls.made(CHECK) == 1


def test_one_that_is_gone_when_it_is_to_be_claimed_is_passed_by(live: LiveSite) -> None:
    migration = live.enter()
    gone: list[str] = []

    def remove(point: Point) -> None:
        if point[1:] == ("compute_nodes.get", "before") and not gone:
            gone.append("it")
            raise HostNotFoundError("cannot find host: it has never reported its resources")

    live.calls.begin(remove)
    live.move(migration)
    live.assert_moved()
    assert gone


def test_aborted_or_deleted_meanwhile_no_other_is_tried(live: LiveSite) -> None:
    for number, begin in ((1, "abort"), (2, "delete")):
        migration = live.enter(number)

        def refuse(point: Point, number: int = number, begin: str = begin) -> None:
            if point[1:] == (CHECK, "before"):
                if begin == "abort":
                    live.abort(live.migration(number))
                else:
                    live.delete(uuid_of(number), hears=False)
                raise ComputeError(NO)

        live.calls.begin(refuse)
        live.move(migration)
        assert live.migration(number).status is MigrationStatus.CANCELLED
        assert live.calls.made(CHECK) == 1
        assert live.claims(number) == [SOURCE]


@pytest.mark.parametrize("kept_database", ["sqlite"], indirect=True, scope="session")
def test_killed_anywhere_between_two_candidates_it_goes_to_one_and_leaves_no_claim(live: LiveSite) -> None:
    first = first_choice(live)

    def refuse_for(number: int) -> Callable[[Point], None]:
        def refuse(point: Point) -> None:
            if point[1:] == (CHECK, "before") and live.migration(number).dest_compute == first:
                raise ComputeError(NO)

        return refuse

    migration = live.enter(1001)
    live.calls.begin(refuse_for(1001))
    live.move(migration)
    points = list(live.calls.reached)
    live.clear_away(1001)
    begin = next(place for place, point in enumerate(points) if point[1] == CHECK)
    end = next(place for place, point in enumerate(points) if point[1] == "compute.prepare_live_arrival")
    between = [point for point in points[begin:end] if point[2] == "after"]
    assert len(between) > 8
    for number, point in enumerate(between, start=1):
        migration = live.enter(number)

        def kill() -> None:
            raise Killed

        live.calls.begin(at(point, kill), refuse_for(number))
        with pytest.raises(Killed):
            live.move(migration)
        live.calls.begin(refuse_for(number))
        live.move(migration)
        live.assert_moved(number)
        assert live.instance(number).task_state is not TaskState.MIGRATING
        live.clear_away(number)
