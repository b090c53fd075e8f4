"""An evacuation that fails: explain names the step, the error and its cause, and where the instance is."""

import pytest

from cloud.errors import ComputeError
from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.query.explain.explanation import Certainty
from tests.conductor.moves.evacuate_site import CASES, HERE, Case, EvacuationSite
from tests.conductor.moves.test_evacuate import STEPS
from tests.db.making import uuid_of
from tests.query.explain.fixtures import directory, evacuation
from tests.query.explain.injected import INJECTED, assert_named, failing, two_kinds
from tests.query.explain.wire import Wire, explained, table

__all__ = ["directory", "evacuation"]

own_disks = pytest.mark.parametrize("case", [CASES["own disks"]], ids=["own disks"])


@own_disks
def test_the_step_that_failed_its_error_and_its_cause_are_named(
    evacuation: EvacuationSite, wire: Wire, store: DuckDbStore, case: Case
) -> None:
    wanted: dict[int, tuple[str, str]] = {}
    number = 0
    for turn, (name, step) in enumerate(STEPS.items()):
        for kind in two_kinds(turn):
            number += 1
            evacuation.enter(number)
            evacuation.calls.begin(failing(name, INJECTED[kind].error))
            evacuation.move(evacuation.begin(number))
            wanted[evacuation.migration(number).id] = (step, kind)
            evacuation.clear_away(number)
    store.append(table(wire.messages))
    for migration_id, (step, kind) in wanted.items():
        found = explained(store, str(migration_id))
        assert_named(found, step, kind)
        assert found.position is not None
        assert (found.position.host, found.position.certainty, found.position.is_safe) == (
            HERE,
            Certainty.CERTAIN,
            None,
        )


@own_disks
def test_behind_the_hand_over_it_is_likely_the_destinations_and_may_not_run(
    evacuation: EvacuationSite, wire: Wire, store: DuckDbStore, case: Case
) -> None:
    evacuation.enter()
    evacuation.calls.begin(failing("compute.evacuate_here", ComputeError("cannot do it: a reason")))
    evacuation.move(evacuation.begin())
    store.append(table(wire.messages))
    found = explained(store, uuid_of(1))
    assert found.failure is not None
    assert (found.failure.step, found.failure.error) == ("spawn", "ComputeError: cannot do it: a reason")
    assert found.position is not None
    assert (found.position.host, found.position.certainty) == (evacuation.migration().dest_compute, Certainty.LIKELY)


@own_disks
def test_while_its_host_is_up_it_is_refused_and_that_is_said(
    evacuation: EvacuationSite, wire: Wire, store: DuckDbStore, case: Case
) -> None:
    evacuation.enter()
    begun = evacuation.begin()
    evacuation.report_up(HERE)
    evacuation.move(begun)
    store.append(table(wire.messages))
    assert [cause.id for cause in explained(store, str(begun)).causes] == ["source-is-up"]


@pytest.mark.parametrize("case", [Case(is_shared=False, on_shared_storage=True)], ids=["it is not shared"])
def test_that_storage_is_not_as_was_said_is_said(
    evacuation: EvacuationSite, wire: Wire, store: DuckDbStore, case: Case
) -> None:
    evacuation.enter()
    evacuation.move(evacuation.begin())
    store.append(table(wire.messages))
    (cause,) = explained(store, uuid_of(1)).causes
    assert cause.id == "storage-not-as-asked"
    assert "with on_shared_storage True" in cause.seen_in.text
