"""A build that fails: explain names the step, the error and its cause, and the attempts on each host."""

import pytest

from cloud.errors import ComputeError, ConflictError, NoRoomError
from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.query.explain.explanation import Certainty
from cloud.logs.query.explain.operation import Ending
from tests.conductor.site import HOSTS, REQUEST_ID, Site
from tests.conductor.test_build import STEPS
from tests.db.making import uuid_of
from tests.query.explain.fixtures import build_site
from tests.query.explain.injected import INJECTED, KINDS, assert_named, failing
from tests.query.explain.wire import Wire, explained, table

__all__ = ["build_site"]


@pytest.mark.parametrize("step", STEPS)
def test_the_step_that_failed_its_error_and_its_cause_are_named(
    build_site: Site, wire: Wire, store: DuckDbStore, step: str
) -> None:
    for number, kind in enumerate(KINDS, 1):
        build_site.calls.begin(failing(STEPS[step], INJECTED[kind].error))
        build_site.build(build_site.enter(number), build_site.builder(build_site.calls, max_attempts=1))
    store.append(table(wire.messages))
    for number, kind in enumerate(KINDS, 1):
        found = explained(store, uuid_of(number))
        assert_named(found, step, kind)
        assert found.position is not None
        assert (found.position.host, found.position.certainty) == (None, Certainty.CERTAIN)


def test_of_several_attempts_the_first_that_failed_on_a_host_is_explained_and_the_others_are_told(
    build_site: Site, wire: Wire, store: DuckDbStore
) -> None:
    build_site.calls.begin(failing("compute.spawn", ComputeError("cannot spawn: [Errno 28] No space left on device")))
    build_site.build(build_site.enter())
    store.append(table(wire.messages))
    found = explained(store, REQUEST_ID)
    assert (found.ending, [cause.id for cause in found.causes]) == (Ending.FAILED, ["disk-full"])
    spawned = [(rung.attempt, rung.hosts) for rung in found.ladder if rung.step == "spawn"]
    assert [attempt for attempt, _ in spawned] == [1, 2, 3]
    assert {host for _, (host,) in spawned} == set(HOSTS)
    assert [failure.step for failure in found.earlier_failures] == ["spawn", "spawn"]


def test_where_no_further_host_was_left_it_is_the_failure_on_the_host_that_counts(
    build_site: Site, wire: Wire, store: DuckDbStore
) -> None:
    build_site.calls.begin(failing("compute.spawn", ComputeError("cannot spawn: [Errno 28] No space left on device")))
    build_site.build(build_site.enter(), build_site.builder(build_site.calls, max_attempts=10))
    store.append(table(wire.messages))
    found = explained(store, uuid_of(1))
    assert found.failure is not None
    assert (found.failure.step, [cause.id for cause in found.causes]) == ("spawn", ["disk-full"])
    assert {failure.step for failure in found.earlier_failures} == {"spawn", "schedule"}


def test_a_host_that_is_full_is_told_from_no_host_at_all(build_site: Site, wire: Wire, store: DuckDbStore) -> None:
    build_site.calls.begin(failing("claims.claim", NoRoomError("cannot claim 2048 MB of memory: 0 are left")))
    build_site.build(build_site.enter())
    store.append(table(wire.messages))
    assert [cause.id for cause in explained(store, uuid_of(1)).causes] == ["host-full"]


def test_where_the_guest_could_not_be_destroyed_nothing_is_claimed_of_where_it_is(
    build_site: Site, wire: Wire, store: DuckDbStore
) -> None:
    build_site.calls.begin(
        failing("compute.spawn", ConflictError("cannot spawn: a reason")),
        failing("compute.destroy", ComputeError("cannot destroy: another")),
    )
    build_site.build(build_site.enter())
    store.append(table(wire.messages))
    found = explained(store, uuid_of(1))
    assert found.failure is not None
    assert found.failure.error == "ConflictError: cannot spawn: a reason"
    assert found.position is not None
    assert (found.position.certainty, found.position.is_safe) == (Certainty.UNKNOWN, None)
    assert found.position.host == build_site.instance().host


def test_one_that_was_built_is_where_it_was_built(build_site: Site, wire: Wire, store: DuckDbStore) -> None:
    build_site.build(build_site.enter())
    store.append(table(wire.messages))
    found = explained(store, uuid_of(1))
    assert (found.ending, found.failure) == (Ending.COMPLETED, None)
    assert found.position is not None
    assert (found.position.host, found.position.certainty) == (build_site.instance().host, Certainty.CERTAIN)
