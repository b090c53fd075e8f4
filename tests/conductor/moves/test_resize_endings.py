"""A resize that waits is confirmed or reverted: what its old host keeps goes, or the instance goes back to it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cloud.domain.action import EventResult
from cloud.domain.instance import PowerState, TaskState, VmState
from cloud.domain.migration import MigrationStatus
from cloud.errors import ComputeError
from cloud.rpc.errors import RpcTimeoutError
from cloud.services.conductor.moves.move import WAITS_S
from cloud.services.conductor.whereabouts import IS_SILENT
from tests.conductor.moves.resize_fixtures import case, site
from tests.conductor.moves.resize_site import CASES, CONFIRMED, HERE, REVERTED, Case, ResizeSite
from tests.conductor.site import Point, first_time, raising
from tests.db.making import SMALL, uuid_of
from tests.services.said import Line

__all__ = ["case", "site"]

CONFIRMING, REVERTING = MigrationStatus.CONFIRMING, MigrationStatus.REVERTING
NO = ComputeError("cannot do it: the disk is full")
OTHER_HOST = pytest.mark.parametrize("case", [CASES["cold"], CASES["resize, shared storage"]], ids=str)
LOCAL = pytest.mark.parametrize("case", [CASES["cold"]], ids=str)


def failing(name: str, *, host: str | None = None, times: int = 1000) -> Callable[[Point], None]:
    """Let calls of that name fail before they do anything, so many of them."""
    left = [times]

    def fail(point: Point) -> None:
        if point[1:] == (name, "before") and left[0] > 0:
            left[0] -= 1
            raise NO

    return fail


def events(lines: list[Line]) -> list[str]:
    return [fields["event"] for _, _, fields in lines if "event" in fields]


def outcome(site: ResizeSite, request_id: str) -> tuple[str | None, list[tuple[str, EventResult | None]]]:
    """Of the action that the request is."""
    action = site.action(request_id=request_id)
    return action.message, [(event.event, event.result) for event in action.events]


def test_confirmed_it_is_active_or_stopped_as_it_was_and_its_old_host_has_nothing(
    site: ResizeSite, lines: list[Line]
) -> None:
    site.finish()
    lines.clear()
    site.move(site.begin_ending(CONFIRMING))
    site.assert_confirmed()
    assert events(lines) == [
        f"resize.{step}.{suffix}" for step in ("confirm", "cleanup") for suffix in ("started", "completed")
    ]
    assert outcome(site, CONFIRMED) == (None, [("conductor_confirm_resize", EventResult.SUCCESS)])
    assert site.waited_s == []


def test_reverted_it_is_what_it_was_where_it_was(site: ResizeSite, lines: list[Line]) -> None:
    site.finish()
    lines.clear()
    site.move(site.begin_ending(REVERTING))
    site.assert_reverted()
    assert events(lines) == [
        f"resize.{step}.{suffix}" for step in ("revert", "cleanup") for suffix in ("started", "completed")
    ]
    assert outcome(site, REVERTED) == (None, [("conductor_revert_resize", EventResult.SUCCESS)])
    assert site.waited_s == []


def beginning(disk: Path) -> bytes:
    """All of it is as large as its flavor says, and a hole."""
    with disk.open("rb") as file:
        return file.read(100)


@OTHER_HOST
def test_reverted_it_has_the_disk_that_it_had(site: ResizeSite, case: Case) -> None:
    site.enter()
    disk = site.directory / ("shared/disks" if case.is_shared else f"{HERE}/instances") / uuid_of(1) / "disk"
    before = beginning(disk)
    site.move(site.begin())
    site.move(site.begin_ending(REVERTING))
    assert beginning(disk) == before
    assert before.startswith(b"disk of ")


def test_task_states_are_those_of_nova(site: ResizeSite) -> None:
    for number, status in enumerate((CONFIRMING, REVERTING), start=1):
        seen: set[tuple[VmState, TaskState | None]] = set()

        def look(point: Point, number: int = number, seen: set[tuple[VmState, TaskState | None]] = seen) -> None:
            if point[1].startswith("compute."):
                instance = site.instance(number)
                seen.add((instance.vm_state, instance.task_state))

        site.finish(number)
        site.calls.begin(look)
        site.move(site.begin_ending(status, number))
        state = TaskState.RESIZE_CONFIRMING if status is CONFIRMING else TaskState.RESIZE_REVERTING
        assert seen <= {(VmState.RESIZED, state)}


@OTHER_HOST
def test_a_confirmation_that_fails_for_a_moment_is_tried_again(site: ResizeSite) -> None:
    site.finish()
    site.calls.begin(failing("compute.drop_aside", times=2))
    site.move(site.begin_ending(CONFIRMING))
    site.assert_confirmed()
    assert tuple(site.waited_s) == WAITS_S[:2]


@OTHER_HOST
def test_where_it_cannot_be_confirmed_it_waits_again_and_says_why(site: ResizeSite) -> None:
    site.finish()
    site.calls.begin(failing("compute.drop_aside"))
    site.move(site.begin_ending(CONFIRMING))
    site.assert_waits()
    fault = site.fault()
    assert fault is not None
    assert fault.message == str(NO)
    assert site.migration().error == f"step confirm: {NO}"
    assert outcome(site, CONFIRMED) == ("Error", [("conductor_confirm_resize", EventResult.ERROR)])
    site.calls.begin()
    site.move(site.begin_ending(CONFIRMING))
    site.assert_confirmed()
    assert site.migration().error is None


@OTHER_HOST
def test_an_old_host_that_is_down_is_not_waited_for(site: ResizeSite) -> None:
    site.finish()
    site.clock.advance(3600)
    site.calls.begin()
    site.move(site.begin_ending(CONFIRMING))
    site.assert_waits()
    assert site.calls.made("compute.drop_aside") == 0
    assert site.migration().error == (
        f"step confirm: cannot move instance {uuid_of(1)}: nova-compute on host {HERE} is down"
    )


@OTHER_HOST
def test_with_a_host_that_is_down_nothing_is_reverted_and_nothing_has_to_be_undone(site: ResizeSite) -> None:
    site.finish()
    site.clock.advance(3600)
    site.calls.begin()
    site.move(site.begin_ending(REVERTING))
    site.assert_waits()
    assert [name for _, name, _ in site.calls.reached if name.startswith("compute.")] == []
    assert site.waited_s == []


def cut_off(point: Point) -> None:
    """As a host is that has no power, or no network."""
    if point[1:] in (("compute.set_aside", "before"), ("compute.drop_aside", "before")):
        raise ComputeError("no reply in 120 s") from RpcTimeoutError("no reply in 120 s")


@OTHER_HOST
def test_from_a_host_that_is_forced_down_and_silent_it_goes_back_to_the_old_one(site: ResizeSite, case: Case) -> None:
    """It is not lost with its new host: the old one has all that it had."""
    site.finish()
    host = str(site.instance().host)
    site.tables.services.force_down(host, "nova-compute", is_forced=True)
    site.calls.begin(cut_off)
    site.move(site.begin_ending(REVERTING))
    instance, migration = site.instance(), site.migration()
    assert (instance.vm_state, instance.task_state, instance.host) == (case.vm_state, None, HERE)
    assert (instance.flavor, migration.status) == (SMALL, MigrationStatus.REVERTED)
    assert site.tables.claims.of(instance.uuid) == {HERE: SMALL.resources}
    assert site.guests() == {HERE: case.power_state, host: case.power_state}  # which has not heard of it
    assert site.waited_s == []


@OTHER_HOST
@pytest.mark.parametrize("is_forced", [True, False])
def test_that_a_host_may_be_silent_is_noted_before_it_is_asked_and_until_it_answers(
    site: ResizeSite, *, is_forced: bool
) -> None:
    """From then on it lets its guest not run, should it come back before the instance is its old host's."""
    site.finish()
    site.tables.services.force_down(str(site.instance().host), "nova-compute", is_forced=is_forced)
    noted: list[object] = []

    def note(point: Point) -> None:
        if point[1:] in (("compute.set_aside", "before"), ("compute.take_back", "before")):
            noted.append((site.migration().destination or {}).get(IS_SILENT, False))

    site.calls.begin(note)
    site.move(site.begin_ending(REVERTING))
    assert noted == [is_forced, False, False]
    site.assert_reverted()


@OTHER_HOST
def test_a_host_that_is_forced_down_and_answers_that_it_cannot_is_not_silent(site: ResizeSite) -> None:
    site.finish()
    site.tables.services.force_down(str(site.instance().host), "nova-compute", is_forced=True)
    site.calls.begin(first_time("compute.set_aside", "before", raising(NO)))
    site.move(site.begin_ending(REVERTING))
    site.assert_waits()
    assert (site.migration().destination or {})[IS_SILENT] is False


@LOCAL
def test_deleted_while_it_is_taken_back_from_a_silent_host_it_leaves_nothing_on_the_old_one(site: ResizeSite) -> None:
    site.finish()
    site.tables.services.force_down(str(site.instance().host), "nova-compute", is_forced=True)

    def delete_and_fail() -> None:
        site.delete(hears=False)
        raise NO

    site.calls.begin(
        first_time("compute.set_aside", "before", lambda: cut_off((0, "compute.set_aside", "before"))),
        first_time("compute.take_back", "before", delete_and_fail),
    )
    site.move(site.begin_ending(REVERTING))
    assert site.calls.made("compute.drop_aside") == 1  # the other one would not answer
    assert site.traces() == set()
    assert HERE not in site.guests()


@OTHER_HOST
def test_a_host_that_answers_again_is_cleared_when_the_revert_is_asked_for_again(site: ResizeSite) -> None:
    site.finish()
    site.tables.services.force_down(str(site.instance().host), "nova-compute", is_forced=True)
    site.calls.begin(
        first_time("compute.set_aside", "before", lambda: cut_off((0, "compute.set_aside", "before"))),
        first_time("compute.take_back", "before", raising(NO)),
    )
    site.move(site.begin_ending(REVERTING))
    site.assert_waits()
    site.move(site.begin_ending(REVERTING))
    site.assert_reverted()


@OTHER_HOST
def test_from_a_host_that_is_forced_down_and_answers_it_is_reverted_as_from_any(site: ResizeSite) -> None:
    site.finish()
    site.tables.services.force_down(str(site.instance().host), "nova-compute", is_forced=True)
    site.move(site.begin_ending(REVERTING))
    site.assert_reverted()


@OTHER_HOST
@pytest.mark.parametrize("is_silent", [True, False])
def test_what_is_not_forced_down_or_answers_that_it_cannot_is_believed(site: ResizeSite, *, is_silent: bool) -> None:
    site.finish()
    if not is_silent:
        site.tables.services.force_down(str(site.instance().host), "nova-compute", is_forced=True)
    fail = (lambda: cut_off((0, "compute.set_aside", "before"))) if is_silent else raising(NO)
    site.calls.begin(first_time("compute.set_aside", "before", fail))
    site.move(site.begin_ending(REVERTING))
    site.assert_waits()


def test_before_its_old_host_has_it_again_a_revert_that_fails_is_undone(site: ResizeSite, lines: list[Line]) -> None:
    steps = ["compute.resize_here"] if site.case.stays else ["compute.set_aside", "compute.take_back"]
    for number, (name, when) in enumerate([(name, when) for name in steps for when in ("before", "after")], start=1):
        site.finish(number)
        lines.clear()
        site.calls.begin(first_time(name, when, raising(NO)))
        site.move(site.begin_ending(REVERTING, number))
        site.assert_waits(number)
        assert site.migration(number).error == f"step revert: {NO}"
        assert events(lines)[-3:] == ["resize.revert.failed", "resize.rollback.started", "resize.rollback.completed"]
        assert site.action(number, REVERTED).message == "Error"
        site.calls.begin()
        site.move(site.begin_ending(REVERTING, number))
        site.assert_reverted(number)
        site.clear_away(number)


@OTHER_HOST
def test_an_undo_of_a_revert_that_fails_once_leaves_it_waiting(site: ResizeSite) -> None:
    left = [1]

    def fail_undo(point: Point) -> None:
        if point[1:] == ("compute.take_back", "before") and site.migration().is_undoing and left[0] > 0:
            left[0] -= 1
            raise NO

    site.finish()
    site.calls.begin(first_time("compute.take_back", "after", raising(NO)), fail_undo)
    site.move(site.begin_ending(REVERTING))
    assert left == [0]
    site.assert_waits()


@OTHER_HOST
@pytest.mark.parametrize("exc", [NO, RpcTimeoutError("no reply in 30 s")], ids=["missing", "silent"])
def test_a_revert_is_undone_also_where_its_old_host_sets_nothing_aside_again(
    site: ResizeSite, case: Case, exc: Exception
) -> None:
    def fail_undo(point: Point) -> None:
        if point[1:] == ("compute.set_aside", "before") and site.migration().is_undoing:
            raise exc

    site.finish()
    host = str(site.instance().host)
    site.calls.begin(first_time("compute.take_back", "after", raising(NO)), fail_undo)
    site.move(site.begin_ending(REVERTING))
    assert site.guests() == {HERE: PowerState.SHUTDOWN, host: case.power_state}
    assert (site.instance().vm_state, site.migration().status) == (VmState.RESIZED, MigrationStatus.FINISHED)
    site.calls.begin()
    site.move(site.begin_ending(CONFIRMING))
    site.assert_confirmed()


@OTHER_HOST
def test_once_its_old_host_has_begun_to_remove_it_it_is_not_reverted(site: ResizeSite, case: Case) -> None:
    site.finish()
    host = str(site.instance().host)
    site.turn("drop_aside.disk")
    site.move(site.begin_ending(CONFIRMING))
    site.turn()
    assert site.migration().status is MigrationStatus.FINISHED
    site.calls.begin()
    site.move(site.begin_ending(REVERTING))
    assert site.guests() == {host: case.power_state}
    assert "it can only be confirmed" in str(site.migration().error)
    assert site.calls.made("compute.set_aside") == 0
    site.move(site.begin_ending(CONFIRMING))
    site.assert_confirmed()


@OTHER_HOST
def test_where_a_revert_cannot_be_undone_it_runs_nowhere_and_somebody_must_look(site: ResizeSite) -> None:
    site.finish()
    host = site.instance().host
    site.calls.begin(failing("compute.take_back"))
    site.move(site.begin_ending(REVERTING))
    instance, migration = site.instance(), site.migration()
    assert (instance.vm_state, instance.task_state, instance.host) == (VmState.ERROR, None, host)
    assert migration.status is MigrationStatus.ERROR
    assert str(migration.error).endswith("; may not be undone: revert")
    assert PowerState.RUNNING not in site.guests().values()
    assert site.tables.claims.of(instance.uuid).keys() == {HERE, host}


def test_once_its_old_host_has_it_again_a_revert_is_tried_until_it_runs(site: ResizeSite) -> None:
    site.finish()

    def fail_once(point: Point) -> None:
        if point[1:] == ("compute.take_back", "before") and site.migration().is_handed_over and not site.waited_s:
            raise NO

    site.calls.begin(fail_once)
    site.move(site.begin_ending(REVERTING))
    site.assert_reverted()
    assert site.waited_s == [WAITS_S[0]]


def test_where_it_does_not_start_at_its_old_host_it_is_in_error_there(site: ResizeSite) -> None:
    def fail(point: Point) -> None:
        if point[1:] == ("compute.take_back", "before") and site.migration().is_handed_over:
            raise NO

    site.finish()
    site.calls.begin(fail)
    site.move(site.begin_ending(REVERTING))
    instance, migration = site.instance(), site.migration()
    assert (instance.vm_state, instance.task_state, instance.host) == (VmState.ERROR, None, HERE)
    assert (instance.flavor, migration.status) == (SMALL, MigrationStatus.ERROR)
    assert PowerState.RUNNING not in site.guests().values()
    assert tuple(site.waited_s) == WAITS_S


@OTHER_HOST
def test_where_the_other_host_cannot_be_cleared_it_runs_as_before_and_the_claim_goes(
    site: ResizeSite, case: Case
) -> None:
    site.finish()
    site.calls.begin(failing("compute.drop_aside"))
    site.move(site.begin_ending(REVERTING))
    instance, migration = site.instance(), site.migration()
    assert (instance.vm_state, instance.task_state, instance.host) == (case.vm_state, None, HERE)
    assert (instance.flavor, instance.power_state) == (SMALL, case.power_state)
    assert site.guests() == {HERE: case.power_state}
    assert migration.status is MigrationStatus.ERROR
    assert migration.error == f"step cleanup: {NO}"
    assert site.tables.claims.of(instance.uuid).keys() == {HERE}


@LOCAL
def test_one_that_has_shut_itself_down_is_as_it_is_when_its_revert_is_undone(site: ResizeSite) -> None:
    site.finish()
    host = str(site.instance().host)
    site.drivers[host].power_off(uuid_of(1))
    site.tables.instances.update(uuid_of(1), {"power_state": PowerState.SHUTDOWN})
    site.calls.begin(first_time("compute.take_back", "after", raising(NO)))
    site.move(site.begin_ending(REVERTING))
    assert site.guests() == {host: PowerState.SHUTDOWN}
    assert site.instance().vm_state is VmState.RESIZED


@LOCAL
def test_the_same_instance_may_be_moved_again_once_it_is_confirmed(site: ResizeSite) -> None:
    site.finish()
    site.move(site.begin_ending(CONFIRMING))
    first = site.instance().host
    site.move(site.begin())
    assert site.instance().host != first
    site.move(site.begin_ending(REVERTING))
    assert site.guests() == {str(first): PowerState.RUNNING}
    assert site.tables.claims.of(uuid_of(1)).keys() == {first}
