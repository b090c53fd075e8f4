"""A cold migration or a resize that fails: explain names the step, the error and its cause, and where the instance is."""

import pytest

from cloud.domain.migration import MigrationStatus
from cloud.errors import ComputeError
from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.query.explain.explanation import Certainty
from cloud.logs.query.explain.operation import Ending
from tests.conductor.moves.resize_site import ASKED, CASES, HERE, Case, ResizeSite
from tests.conductor.moves.test_resize import STEPS, asked_before_hand_over
from tests.db.making import uuid_of
from tests.query.explain.fixtures import directory, resize
from tests.query.explain.injected import INJECTED, assert_named, failing, one_kind, two_kinds
from tests.query.explain.wire import Wire, explained, table

__all__ = ["directory", "resize"]

COLD, STAYS = CASES["cold"], CASES["resize where it is"]
one_of_each = pytest.mark.parametrize("case", [COLD, CASES["resize, shared storage"], STAYS], ids=str)


@one_of_each
def test_the_step_that_failed_its_error_and_its_cause_are_named(
    resize: ResizeSite, wire: Wire, store: DuckDbStore, case: Case
) -> None:
    wanted: dict[int, tuple[str, str]] = {}
    number = 0
    for turn, name in enumerate(asked_before_hand_over(resize)):
        for kind in two_kinds(turn) if case is COLD else one_kind(turn):
            number += 1
            resize.enter(number)
            resize.calls.begin(failing(name, INJECTED[kind].error))
            resize.move(resize.begin(number))
            wanted[resize.migration(number).id] = (STEPS[name], kind)
            resize.clear_away(number)
    store.append(table(wire.messages))
    assert {step for step, _ in wanted.values()} >= {"schedule", "claim", "pre"}
    for migration_id, (step, kind) in wanted.items():
        found = explained(store, str(migration_id))
        assert_named(found, step, kind)
        assert found.position is not None
        assert (found.position.host, found.position.certainty, found.position.is_safe) == (
            HERE,
            Certainty.CERTAIN,
            True,
        )


@pytest.mark.parametrize("case", [COLD], ids=str)
@pytest.mark.parametrize(
    ("knob", "step"),
    [("prepare_disk", "pre"), ("send_disk.copy", "transfer"), ("set_aside", "post"), ("adopt.disk", "post")],
)
def test_a_knob_that_lets_the_hypervisor_fail_is_told_as_such(
    resize: ResizeSite, wire: Wire, store: DuckDbStore, case: Case, knob: str, step: str
) -> None:
    resize.enter()
    resize.turn(knob)
    resize.move(resize.begin())
    store.append(table(wire.messages))
    found = explained(store, ASKED)
    assert found.failure is not None
    assert (found.failure.step, [cause.id for cause in found.causes]) == (step, ["injected-failure"])


@pytest.mark.parametrize("case", [COLD], ids=str)
def test_one_that_waits_is_at_its_destination_and_its_source_keeps_a_copy(
    resize: ResizeSite, wire: Wire, store: DuckDbStore, case: Case
) -> None:
    resize.finish()
    store.append(table(wire.messages))
    found = explained(store, uuid_of(1))
    assert (found.ending, found.failure) == (Ending.COMPLETED, None)
    assert found.position is not None
    assert (found.position.host, found.position.is_safe) == (resize.migration().dest_compute, True)
    assert "waits to be confirmed" in found.position.reason


@pytest.mark.parametrize("case", [COLD], ids=str)
def test_a_confirmation_that_fails_is_told_of_the_request_that_asked_for_it(
    resize: ResizeSite, wire: Wire, store: DuckDbStore, case: Case
) -> None:
    resize.finish()
    resize.calls.begin(failing("compute.drop_aside", ComputeError("cannot do it: a reason")))
    resize.move(resize.begin_ending(MigrationStatus.CONFIRMING))
    store.append(table(wire.messages))
    found = explained(store, str(resize.migration().id))
    assert found.failure is not None
    assert (found.failure.step, found.failure.error) == ("confirm", "ComputeError: cannot do it: a reason")
    assert found.position is not None
    assert found.position.host == resize.migration().dest_compute


@pytest.mark.parametrize("case", [COLD], ids=str)
def test_one_that_was_reverted_is_back_at_its_source(
    resize: ResizeSite, wire: Wire, store: DuckDbStore, case: Case
) -> None:
    resize.finish()
    resize.calls.begin()
    resize.move(resize.begin_ending(MigrationStatus.REVERTING))
    store.append(table(wire.messages))
    found = explained(store, uuid_of(1))
    assert found.position is not None
    assert (found.position.host, found.position.certainty, found.position.is_safe) == (HERE, Certainty.CERTAIN, True)
