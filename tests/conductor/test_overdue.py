"""Builds that nobody goes on with: whose conductor died, and whose request is lost."""

from collections.abc import Iterator

import pytest
from loguru import logger

from cloud.domain.instance import TaskState, VmState
from cloud.logs.emit.context import RequestContext, current_context
from tests.conductor.site import REQUEST_ID, Killed, Site, first_time, raising
from tests.db.making import uuid_of
from tests.services.said import Line

PLACES = (
    ("instances.get", "before"),
    ("claims.claim", "before"),
    ("claims.claim", "after"),
    ("network.allocate_for_instance", "after"),
    ("compute.prepare_image", "after"),
    ("compute.spawn", "before"),
    ("compute.spawn", "after"),
)


@pytest.fixture
def contexts() -> Iterator[list[RequestContext]]:
    """To whom each line belongs."""
    found: list[RequestContext] = []
    logger.remove()
    sink = logger.add(lambda _message: found.append(current_context()), level=0)
    yield found
    logger.remove(sink)


def leave(site: Site, number: int = 1, *, name: str = "compute.spawn", when: str = "after") -> None:
    """A build whose conductor dies there."""
    site.calls.begin(first_time(name, when, raising(Killed())))
    with pytest.raises(Killed):
        site.build(site.enter(number))
    site.calls.begin()


@pytest.mark.parametrize(("name", "when"), PLACES)
def test_it_ends_in_error_with_nothing_left(site: Site, name: str, when: str) -> None:
    leave(site, name=name, when=when)
    task_state = site.instance().task_state
    builder = site.builder(site.calls)
    site.clock.advance(1800)
    assert builder.overdue() == [uuid_of(1)]
    builder.end_overdue(uuid_of(1))
    assert site.assert_in_error().message == (
        f"cannot build instance {uuid_of(1)}: its task_state was {task_state} for 1800 s and more"
    )
    assert builder.overdue() == []


def test_its_lines_and_its_end_belong_to_the_request_that_wanted_it(site: Site, contexts: list[RequestContext]) -> None:
    leave(site)
    site.clock.advance(1800)
    contexts.clear()
    site.builder(site.calls).end_overdue(uuid_of(1))
    assert set(contexts) == {RequestContext(request_id=REQUEST_ID, instance=uuid_of(1))}
    action = site.tables.actions.get(uuid_of(1), REQUEST_ID)
    assert (action.finished_at, action.message) == (site.clock.now, "Error")


def test_until_then_nobody_touches_it(site: Site) -> None:
    leave(site)
    before = site.instance()
    site.clock.advance(1799)
    builder = site.builder(site.calls)
    assert builder.overdue() == []
    builder.end_overdue(uuid_of(1))
    assert site.instance() == before
    assert site.left() == ([before.host], [before.host], 1)


def test_a_request_that_comes_later_still_changes_nothing(site: Site) -> None:
    leave(site)
    site.clock.advance(1800)
    site.builder(site.calls).end_overdue(uuid_of(1))
    before = site.instance()
    builder = site.builder(site.calls)
    site.build(site.scheduler.asked[0], builder)
    builder.end_overdue(uuid_of(1))
    assert site.instance() == before
    site.assert_in_error()


def test_one_that_is_to_be_deleted_is_deleted(site: Site, lines: list[Line]) -> None:
    leave(site)
    site.delete(uuid_of(1), hears=False)
    site.clock.advance(1800)
    builder = site.builder(site.calls)
    assert builder.overdue() == [uuid_of(1)]
    builder.end_overdue(uuid_of(1))
    site.assert_deleted()
    assert [fields["event"] for _, _, fields in lines if fields.get("event", "").startswith("instance.")] == [
        "instance.delete"
    ]


@pytest.mark.parametrize(
    ("vm_state", "task_state"), [(VmState.ACTIVE, None), (VmState.ACTIVE, TaskState.REBOOTING), (VmState.ERROR, None)]
)
def test_what_is_built_is_none_of_its_business(site: Site, vm_state: VmState, task_state: TaskState | None) -> None:
    site.build(site.enter())
    site.tables.instances.update(uuid_of(1), {"vm_state": vm_state, "task_state": task_state})
    before = site.instance()
    site.clock.advance(100_000)
    builder = site.builder(site.calls)
    assert builder.overdue() == []
    builder.end_overdue(uuid_of(1))
    builder.end_overdue(uuid_of(2))
    assert site.instance() == before


def test_those_that_stand_for_longest_come_first_and_not_all_at_once(site: Site) -> None:
    for number in range(1, 23):
        site.enter(number)
        site.clock.advance(1)
    site.clock.advance(1800)
    assert site.builder(site.calls).overdue() == [uuid_of(number) for number in range(1, 21)]


def test_without_a_timeout_builds_stand_for_ever(site: Site) -> None:
    leave(site)
    site.clock.advance(10**7)
    builder = site.builder(site.calls, timeout_s=0.0)
    assert builder.overdue() == []
    builder.end_overdue(uuid_of(1))
    assert site.instance().vm_state is VmState.BUILDING


def test_what_can_be_undone_of_it_is_and_the_rest_is_told(site: Site) -> None:
    leave(site)
    site.clock.advance(1800)

    def no_answer(point: tuple[int, str, str]) -> None:
        if point[1:] == ("compute.destroy", "before"):
            raise OSError("no answer")

    site.calls.begin(no_answer)
    host = site.instance().host
    site.builder(site.calls).end_overdue(uuid_of(1))
    instance, fault = site.instance(), site.fault()
    assert (instance.vm_state, instance.host) == (VmState.ERROR, host)
    assert site.left() == ([host], [host], 1)
    assert fault is not None
    assert fault.details is not None
    assert fault.details.splitlines()[-1] == f"may not be undone on host {host}: spawn, network, claim"
