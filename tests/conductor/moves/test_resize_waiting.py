"""Resizes that nobody confirms or reverts, and those whose instance is deleted while they wait."""

import pytest

from cloud.domain.instance import TaskState, VmState
from cloud.domain.migration import MigrationStatus
from cloud.errors import ComputeError
from cloud.services.conductor.moves.waiting import TRY_AGAIN_AFTER, ConfirmWindow
from tests.conductor.moves.resize_fixtures import case, site
from tests.conductor.moves.resize_site import CASES, HERE, ResizeSite
from tests.conductor.site import Point
from tests.db.making import uuid_of

__all__ = ["case", "site"]

pytestmark = pytest.mark.parametrize("case", [CASES["resize, shared storage"]], ids=str)
HOUR_S = 3600.0


def test_after_the_window_it_is_confirmed_by_itself(site: ResizeSite) -> None:
    window = ConfirmWindow(site.tables, site.clock, window_s=10)
    site.finish()
    site.clock.advance(9)
    assert window.begin_due() == []
    site.assert_waits()
    site.clock.advance(1)
    (migration_id,) = window.begin_due()
    assert migration_id == site.migration().id
    assert site.instance().task_state is TaskState.RESIZE_CONFIRMING
    assert window.begin_due() == []
    site.move(migration_id)
    site.assert_confirmed()


def test_without_a_window_it_waits_for_ever(site: ResizeSite) -> None:
    site.finish()
    site.clock.advance(1000 * HOUR_S)
    assert ConfirmWindow(site.tables, site.clock, window_s=0).begin_due() == []
    site.assert_waits()


def test_of_an_instance_that_is_deleted_nothing_is_kept(site: ResizeSite) -> None:
    site.finish()
    site.delete(hears=True)
    assert site.traces() != set()
    site.clear_up()
    site.assert_nothing_left()
    assert site.migration().status is MigrationStatus.CONFIRMED


def test_an_instance_that_others_work_on_is_left(site: ResizeSite) -> None:
    window = ConfirmWindow(site.tables, site.clock, window_s=10)
    site.finish()
    site.tables.instances.update(uuid_of(1), {"task_state": TaskState.DELETING})
    site.clock.advance(HOUR_S)
    assert window.begin_due() == []
    site.tables.instances.update(uuid_of(1), {"task_state": None, "vm_state": VmState.ACTIVE})  # by an admin
    assert window.begin_due() == []
    assert site.migration().status is MigrationStatus.FINISHED


def test_those_that_others_work_on_do_not_hold_up_the_rest(site: ResizeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.services.conductor.moves.waiting.MAX_BEGUN", 1)
    site.finish(1)
    site.tables.instances.update(uuid_of(1), {"vm_state": VmState.ACTIVE})
    site.finish(2)
    site.clock.advance(HOUR_S)
    assert ConfirmWindow(site.tables, site.clock, window_s=10).begin_due() == [site.migration(2).id]


@pytest.mark.parametrize("is_reverted", [False, True])
def test_of_one_that_ended_in_error_and_is_deleted_nothing_is_kept_on_either_host(
    site: ResizeSite, *, is_reverted: bool
) -> None:
    def fail(point: Point) -> None:
        if point[1:] in (("compute.adopt", "after"), ("compute.drop_aside", "before")):
            raise ComputeError("cannot do it: no answer")

    if is_reverted:
        site.finish()
        site.calls.begin(fail)
        site.move(site.begin_ending(MigrationStatus.REVERTING))
    else:
        site.enter()
        site.calls.begin(fail)
        site.move(site.begin())
    assert site.migration().status is MigrationStatus.ERROR
    site.delete(hears=True)
    site.calls.begin()
    confirming = {"status": MigrationStatus.CONFIRMING, "step": None, "is_undoing": False, "is_handed_over": True}
    site.move(site.tables.migrations.update(site.migration().id, confirming).id)
    site.assert_nothing_left()


def test_one_that_is_being_reverted_is_not_confirmed(site: ResizeSite) -> None:
    site.finish()
    site.begin_ending(MigrationStatus.REVERTING)
    site.clock.advance(HOUR_S)
    assert ConfirmWindow(site.tables, site.clock, window_s=10).begin_due() == []


def test_what_has_failed_is_tried_again_only_later(site: ResizeSite) -> None:
    def fail(point: Point) -> None:
        if point[1:] == ("compute.drop_aside", "before"):
            raise ComputeError("cannot drop: no answer")

    window = ConfirmWindow(site.tables, site.clock, window_s=10)
    site.finish()
    site.clock.advance(10)
    site.calls.begin(fail)
    site.move(window.begin_due()[0])
    site.assert_waits()
    site.clock.advance(TRY_AGAIN_AFTER.total_seconds() - 1)
    assert window.begin_due() == []
    site.clock.advance(1)
    site.calls.begin()
    site.say_alive(HERE)
    site.move(window.begin_due()[0])
    site.assert_confirmed()
