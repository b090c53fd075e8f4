"""A live migration that fails: explain names the step, the error and its cause, and where the instance is."""

import pytest

from cloud.errors import ComputeError
from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.query.explain.explanation import Certainty, Verdict
from cloud.logs.query.explain.operation import Ending
from tests.conductor.moves.live_site import REQUEST_ID, SOURCE, LiveSite
from tests.conductor.moves.test_live import STEPS
from tests.conductor.site import HOSTS, Killed, first_time, raising
from tests.db.making import uuid_of
from tests.query.explain.fixtures import directory, live
from tests.query.explain.injected import INJECTED, assert_named, failing, two_kinds
from tests.query.explain.wire import Wire, explained, table

__all__ = ["directory", "live"]

STAYED = (SOURCE, Certainty.CERTAIN, True)


@pytest.mark.parametrize("step", STEPS)
def test_the_step_that_failed_its_error_and_its_cause_are_named(
    live: LiveSite, wire: Wire, store: DuckDbStore, step: str
) -> None:
    ids: dict[str, int] = {}
    for number, kind in enumerate(two_kinds(list(STEPS).index(step)), 1):
        live.calls.begin(failing(STEPS[step], INJECTED[kind].error))
        live.move(live.enter(number))
        ids[kind] = live.migration(number).id
        live.clear_away(number)
    store.append(table(wire.messages))
    for kind, migration_id in ids.items():
        found = explained(store, str(migration_id))
        assert_named(found, step, kind)
        assert found.position is not None
        assert (found.position.host, found.position.certainty, found.position.is_safe) == STAYED


def test_a_migration_its_instance_and_its_request_lead_to_the_same(
    live: LiveSite, wire: Wire, store: DuckDbStore
) -> None:
    live.calls.begin(failing(STEPS["pre"], ComputeError("cannot do it")))
    live.move(live.enter())
    store.append(table(wire.messages))
    asked = {"migration": str(live.migration().id), "instance": uuid_of(1), "request": REQUEST_ID}
    for kind, subject in asked.items():
        found = explained(store, subject)
        assert (found.kind, found.id, found.migration, found.instance) == (
            kind,
            subject,
            asked["migration"],
            uuid_of(1),
        )
        assert found.requests == (REQUEST_ID,)
        assert (found.source, found.destination) == (SOURCE, live.migration().dest_compute)


@pytest.mark.parametrize(
    ("host", "knob", "step"),
    [
        *(
            (SOURCE, knob, "transfer")
            for knob in ("transfer.start", "transfer.disk", "transfer.memory", "transfer.stop")
        ),
        (SOURCE, "check_can_leave", "source_check"),
        *((None, knob, "pre") for knob in ("prepare_arrival", "prepare_arrival.ready")),
        (None, "check_can_come", "dest_check"),
    ],
)
def test_a_knob_that_lets_the_hypervisor_fail_is_told_as_such(
    live: LiveSite, wire: Wire, store: DuckDbStore, host: str | None, knob: str, step: str
) -> None:
    migration = live.enter()
    for name in HOSTS if host is None else [host]:
        live.turn(name, fail=[knob])
    live.move(migration)
    store.append(table(wire.messages))
    found = explained(store, str(migration.id))
    assert found.failure is not None
    assert (found.failure.step, [cause.id for cause in found.causes]) == (step, ["injected-failure"])
    assert f"fails by knob '{knob}'" in found.failure.error
    assert found.causes[0].title == f"a knob of the simulated hypervisor lets step {knob} fail"


def test_the_ladder_has_every_stage_with_its_hosts_and_what_was_not_reached(
    live: LiveSite, wire: Wire, store: DuckDbStore
) -> None:
    live.calls.begin(failing(STEPS["pre"], ComputeError("cannot do it")))
    live.move(live.enter())
    store.append(table(wire.messages))
    found = explained(store, uuid_of(1))
    destination = str(live.migration().dest_compute)
    assert [(rung.step, rung.outcome, rung.hosts) for rung in found.ladder] == [
        ("request", "no line", ()),
        ("source_check", "completed", (SOURCE,)),
        ("schedule", "completed", ("controller",)),
        ("claim", "completed", ("controller",)),
        ("dest_check", "completed", (destination, SOURCE)),
        ("pre", "failed", (destination,)),
        ("rollback", "completed", (destination, SOURCE)),
        ("transfer", "not reached", ()),
        ("post", "not reached", ()),
        ("cleanup", "not reached", ()),
    ]
    assert {rung.attempt for rung in found.ladder} == {1}
    assert all(rung.took_s is not None for rung in found.ladder if rung.outcome in ("completed", "failed"))


def test_one_that_is_aborted_is_no_fault_and_stays_where_it_was(live: LiveSite, wire: Wire, store: DuckDbStore) -> None:
    migration = live.enter()
    live.on_wait = lambda: live.abort(migration) if len(live.waited_s) == 1 else live.let_all_go()
    live.move(migration)
    store.append(table(wire.messages))
    found = explained(store, str(migration.id))
    assert (found.ending, [cause.id for cause in found.causes]) == (Ending.CANCELLED, ["migration-cancelled"])
    assert found.position is not None
    assert (found.position.host, found.position.certainty, found.position.is_safe) == STAYED


def test_one_that_nobody_can_find_is_said_to_be_nowhere_for_certain(
    live: LiveSite, wire: Wire, store: DuckDbStore
) -> None:
    migration = live.enter()

    def on_wait() -> None:
        live.compute.silent = set(HOSTS)

    live.on_wait = on_wait
    live.move(migration)
    store.append(table(wire.messages))
    found = explained(store, str(migration.id))
    assert found.failure is not None
    assert [cause.id for cause in found.causes] == ["whereabouts-unknown"], found.failure
    assert found.position is not None
    assert (found.position.host, found.position.certainty, found.position.is_safe) == (None, Certainty.UNKNOWN, None)


def test_one_that_was_handed_over_is_the_destinations_though_its_source_was_not_cleared(
    live: LiveSite, wire: Wire, store: DuckDbStore
) -> None:
    live.calls.begin(failing("compute.clear_departed", ComputeError("cannot do it")))
    live.move(live.enter())
    store.append(table(wire.messages))
    found = explained(store, uuid_of(1))
    assert found.failure is not None
    assert (found.failure.step, found.ending) == ("cleanup", Ending.FAILED)
    assert len(found.failure.echoes) >= 7  # each attempt before it was given up
    assert found.position is not None
    assert (found.position.host, found.position.is_safe) == (live.migration().dest_compute, True)


def test_a_step_that_a_conductor_has_died_over_is_said_to_be_taken_up_again(
    live: LiveSite, wire: Wire, store: DuckDbStore
) -> None:
    migration = live.enter()
    live.calls.begin(first_time("compute.prepare_live_arrival", "after", raising(Killed())))
    with pytest.raises(Killed):
        live.move(migration)
    live.calls.begin(failing("compute.start_live_transfer", ComputeError("cannot do it: a reason")))
    live.move(migration)
    store.append(table(wire.messages))
    found = explained(store, str(migration.id))
    rungs = [(rung.step, rung.outcome, rung.notes) for rung in found.ladder if rung.step in ("pre", "transfer")]
    assert rungs == [
        ("pre", "cut off", ()),
        ("pre", "completed", ("taken up again",)),
        ("transfer", "failed", ()),
    ]
    assert any(sentence.startswith("step pre was cut off") for sentence in found.not_seen)


def test_one_that_did_not_fail_is_not_explained_away(live: LiveSite, wire: Wire, store: DuckDbStore) -> None:
    live.move(live.enter())
    store.append(table(wire.messages))
    found = explained(store, uuid_of(1))
    assert (found.ending, found.verdict, found.failure, found.causes) == (
        Ending.COMPLETED,
        Verdict.NO_FAILURE,
        None,
        (),
    )
    assert found.position is not None
    assert (found.position.host, found.position.certainty) == (live.migration().dest_compute, Certainty.CERTAIN)


def test_each_host_that_was_tried_in_vain_has_its_place_in_the_ladder(
    live: LiveSite, wire: Wire, store: DuckDbStore
) -> None:
    for name in HOSTS:
        live.turn(name, fail=["check_can_come"])
    live.move(live.enter())
    store.append(table(wire.messages))
    found = explained(store, uuid_of(1))
    checks = [(rung.attempt, rung.outcome, rung.hosts[0]) for rung in found.ladder if rung.step == "dest_check"]
    tried = [host for _, _, host in checks]
    assert [(attempt, outcome) for attempt, outcome, _ in checks] == [(1, "refused"), (2, "failed")]
    assert set(tried) == set(HOSTS) - {SOURCE}
    assert found.failure is not None
    assert found.failure.hosts[0] == tried[1]
    assert [(failure.step, failure.hosts[0]) for failure in found.earlier_failures] == [("dest_check", tried[0])]


def test_a_refusal_behind_which_another_host_has_failed_is_not_the_failure(
    live: LiveSite, wire: Wire, store: DuckDbStore
) -> None:
    live.calls.begin(
        first_time("compute.check_live_destination", "before", raising(ComputeError("cannot come: a reason"))),
        failing("compute.start_live_transfer", ComputeError("Cannot get interface MTU on 'br100': No such device")),
    )
    live.move(live.enter())
    store.append(table(wire.messages))
    found = explained(store, uuid_of(1))
    assert found.failure is not None
    assert (found.failure.step, [cause.id for cause in found.causes]) == ("transfer", ["missing-bridge"])
    assert [(failure.step, failure.error) for failure in found.earlier_failures] == [
        ("dest_check", "ComputeError: cannot come: a reason")
    ]
    assert found.destination == live.migration().dest_compute


def test_of_two_migrations_of_one_request_each_keeps_its_own_lines(
    live: LiveSite, wire: Wire, store: DuckDbStore
) -> None:
    live.calls.begin(failing(STEPS["pre"], INJECTED["disk full"].error))
    live.move(live.enter(1))
    live.calls.begin(failing(STEPS["source_check"], INJECTED["no answer"].error))
    live.move(live.enter(2))
    store.append(table(wire.messages))
    for number, step, kind in ((1, "pre", "disk full"), (2, "source_check", "no answer")):
        assert_named(explained(store, str(live.migration(number).id)), step, kind)
    found = explained(store, REQUEST_ID)
    assert (found.migration, found.instance) == (str(live.migration(2).id), uuid_of(2))
    assert [(other.migration, other.ending) for other in found.others] == [(str(live.migration(1).id), Ending.FAILED)]
