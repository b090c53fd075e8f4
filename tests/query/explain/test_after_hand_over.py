"""A move that fails where it is not undone any more: the step, where the instance is, and what else there may be of it.

What is said is held against the hypervisors and the database, which explain knows nothing of.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest

from cloud.doctor.finding import Kind
from cloud.domain.instance import PowerState, VmState
from cloud.domain.migration import MigrationStatus
from cloud.errors import ComputeError
from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.query.explain.explanation import Certainty, Explanation
from tests.conductor.moves.live_site import SOURCE, LiveSite
from tests.conductor.moves.resize_site import CASES, HERE, Case, ResizeSite
from tests.conductor.site import HOSTS, Point
from tests.db.making import uuid_of
from tests.query.explain.fixtures import directory, live, resize
from tests.query.explain.injected import failing
from tests.query.explain.wire import Wire, explained, table

__all__ = ["directory", "live", "resize"]

COLD = CASES["cold"]
NO = ComputeError("cannot do it: a reason")


@dataclass(frozen=True)
class Right:
    """What is to be said; `host` is `source` or `destination`, or None where it is to be no host."""

    step: str
    host: str | None
    certainty: Certainty
    is_safe: bool | None
    copies: str
    """Some words of it; empty where nothing is to be said."""


def assert_right(found: Explanation, right: Right, names: Mapping[str | None, str | None]) -> None:
    assert found.failure is not None
    assert found.position is not None
    position = found.position
    assert (found.failure.step, position.host, position.certainty, position.is_safe) == (
        right.step, names[right.host], right.certainty, right.is_safe,
    ), position.reason  # fmt: skip
    assert right.copies in " ".join(position.copies)
    assert bool(position.copies) is bool(right.copies)
    assert {*position.doctor} <= {str(kind) for kind in Kind}


def assert_true(found: Explanation, guests: Mapping[str, PowerState], in_database: str | None) -> None:
    """What is certain of the host is so in the database, and what is called safe is one guest."""
    assert found.position is not None
    if found.position.certainty is Certainty.CERTAIN and found.position.host is not None:
        assert found.position.host == in_database
        assert found.position.host in guests
    if found.position.is_safe is not None:
        assert (len(guests) == 1) is found.position.is_safe


@pytest.mark.parametrize(
    ("host", "knob", "right"),
    [
        ("there", "complete_arrival", Right("post", "destination", Certainty.LIKELY, None, "may still have its disk")),
        (SOURCE, "clear_departed", Right("cleanup", "destination", Certainty.CERTAIN, True, "may still have its disk")),
        (SOURCE, "clear_departed.disk", Right("cleanup", "destination", Certainty.CERTAIN, True, "still have its disk")),
    ],
)  # fmt: skip
def test_a_live_migration_that_was_handed_over_is_the_destinations(
    live: LiveSite, wire: Wire, store: DuckDbStore, host: str, knob: str, right: Right
) -> None:
    migration = live.enter()
    for name in HOSTS[1:] if host == "there" else [host]:
        live.turn(name, fail=[knob])
    live.move(migration)
    store.append(table(wire.messages))
    found = explained(store, str(migration.id))
    assert_right(found, right, {"destination": live.migration().dest_compute})
    assert_true(found, live.guests(), live.instance().host)
    assert [cause.id for cause in found.causes] == ["injected-failure"]
    assert live.migration().status is MigrationStatus.ERROR


def test_what_was_prepared_for_a_live_migration_and_cannot_be_cleared_is_said_to_be_left(
    live: LiveSite, wire: Wire, store: DuckDbStore
) -> None:
    live.calls.begin(failing("compute.start_live_transfer", NO), failing("compute.cancel_live_arrival", NO))
    live.move(live.enter())
    store.append(table(wire.messages))
    found = explained(store, uuid_of(1))
    assert_right(
        found,
        Right("transfer", "source", Certainty.CERTAIN, True, "what was left of the steps pre"),
        {"source": SOURCE},
    )
    assert_true(found, live.guests(), live.instance().host)


def test_one_that_neither_host_has_any_more_is_lost_and_not_called_safe(
    live: LiveSite, wire: Wire, store: DuckDbStore
) -> None:
    def lose(point: Point) -> None:
        if point[1:] == ("compute.start_live_transfer", "before"):
            live.hosts[SOURCE].driver.destroy(uuid_of(1))
            raise NO

    live.calls.begin(lose)
    live.move(live.enter())
    store.append(table(wire.messages))
    found = explained(store, uuid_of(1))
    assert_right(found, Right("transfer", None, Certainty.UNKNOWN, False, ""), {None: None})
    assert_true(found, live.guests(), live.instance().host)
    assert [cause.id for cause in found.causes] == ["guest-lost"]


def test_one_that_an_admin_has_given_up_may_be_on_both_hosts(live: LiveSite, wire: Wire, store: DuckDbStore) -> None:
    migration = live.enter()

    def on_wait() -> None:
        live.compute.silent = set(HOSTS)

    live.on_wait = on_wait
    live.move(migration)
    live.tables.instances.update(uuid_of(1), {"task_state": None, "vm_state": VmState.ERROR})
    live.move(live.migration())
    store.append(table(wire.messages))
    found = explained(store, uuid_of(1))
    assert_right(found, Right("transfer", None, Certainty.UNKNOWN, None, "start none before"), {None: None})
    assert found.position is not None
    assert "an admin has given it up" in found.position.reason


def asked_for(name: str, *, from_call: int = 1) -> Callable[[Point], None]:
    """Let that call fail, from so many on."""
    made = [0]

    def fail(point: Point) -> None:
        if point[1:] == (name, "before"):
            made[0] += 1
            if made[0] >= from_call:
                raise NO

    return fail


MOVING: Mapping[str, tuple[list[Callable[[], Callable[[Point], None]]], Right]] = {
    "it cannot be started": (
        [lambda: asked_for("compute.start_resized")],
        Right("post", "destination", Certainty.LIKELY, None, f"host {HERE} keeps its own copy"),
    ),
    "what was prepared cannot be cleared": (
        [lambda: asked_for("compute.adopt"), lambda: asked_for("compute.drop_aside")],
        Right("post", "source", Certainty.CERTAIN, None, "may have a copy of its disk"),
    ),
    "it cannot be taken back": (
        [lambda: asked_for("compute.adopt"), lambda: asked_for("compute.take_back")],
        Right("post", None, Certainty.UNKNOWN, None, "remove none"),
    ),
}


@pytest.mark.parametrize("case", [COLD], ids=str)
@pytest.mark.parametrize("what", MOVING)
def test_a_move_of_one_that_is_off_says_who_has_it_and_what_is_kept(
    resize: ResizeSite, wire: Wire, store: DuckDbStore, case: Case, what: str
) -> None:
    failures, right = MOVING[what]
    resize.enter()
    resize.calls.begin(*(make() for make in failures))
    resize.move(resize.begin())
    store.append(table(wire.messages))
    found = explained(store, uuid_of(1))
    assert_right(found, right, {"source": HERE, "destination": resize.migration().dest_compute, None: None})
    assert_true(found, guests_of(resize), resize.instance().host)
    assert resize.migration().status is MigrationStatus.ERROR


ENDING: Mapping[str, tuple[MigrationStatus, Callable[[], Callable[[Point], None]], MigrationStatus, Right]] = {
    "what the source kept cannot be removed": (
        MigrationStatus.CONFIRMING,
        lambda: asked_for("compute.drop_aside"),
        MigrationStatus.FINISHED,
        Right("confirm", "destination", Certainty.CERTAIN, True, "may still have what it kept"),
    ),
    "the destination does not set it aside": (
        MigrationStatus.REVERTING,
        lambda: asked_for("compute.set_aside"),
        MigrationStatus.FINISHED,
        Right("revert", "destination", Certainty.CERTAIN, True, f"host {HERE} keeps its own copy"),
    ),
    "the source does not start it": (
        MigrationStatus.REVERTING,
        lambda: asked_for("compute.take_back", from_call=2),
        MigrationStatus.ERROR,
        Right("revert", "source", Certainty.LIKELY, None, "may still have its copy"),
    ),
    "the destination cannot be cleared": (
        MigrationStatus.REVERTING,
        lambda: asked_for("compute.drop_aside"),
        MigrationStatus.ERROR,
        Right("cleanup", "source", Certainty.CERTAIN, True, "may still have its copy"),
    ),
    "neither host starts it": (
        MigrationStatus.REVERTING,
        lambda: asked_for("compute.take_back"),
        MigrationStatus.ERROR,
        Right("revert", None, Certainty.UNKNOWN, None, "remove none"),
    ),
}


@pytest.mark.parametrize("case", [COLD], ids=str)
@pytest.mark.parametrize("what", ENDING)
def test_an_ending_that_fails_says_who_has_it_and_what_is_kept(
    resize: ResizeSite, wire: Wire, store: DuckDbStore, case: Case, what: str
) -> None:
    begins, failure, ends, right = ENDING[what]
    resize.finish()
    resize.calls.begin(failure())
    resize.move(resize.begin_ending(begins))
    assert resize.migration().status is ends
    store.append(table(wire.messages))
    found = explained(store, str(resize.migration().id))
    assert_right(found, right, {"source": HERE, "destination": resize.migration().dest_compute, None: None})
    assert_true(found, guests_of(resize), resize.instance().host)


@pytest.mark.parametrize("case", [COLD], ids=str)
def test_a_revert_behind_a_confirmation_that_failed_is_what_counts(
    resize: ResizeSite, wire: Wire, store: DuckDbStore, case: Case
) -> None:
    resize.finish()
    resize.calls.begin(asked_for("compute.set_aside"))
    resize.move(resize.begin_ending(MigrationStatus.REVERTING))
    resize.calls.begin()
    resize.move(resize.begin_ending(MigrationStatus.REVERTING))
    store.append(table(wire.messages))
    found = explained(store, str(resize.migration().id))
    assert found.position is not None
    assert (found.position.host, found.position.certainty, found.position.copies) == (HERE, Certainty.CERTAIN, ())
    assert_true(found, guests_of(resize), resize.instance().host)


def guests_of(site: ResizeSite) -> dict[str, PowerState]:
    found = {host: driver.instances().get(uuid_of(1)) for host, driver in site.drivers.items()}
    return {host: state for host, state in found.items() if state is not None}
