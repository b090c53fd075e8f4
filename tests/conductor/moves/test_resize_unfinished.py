"""A resize whose new host has the instance and cannot start it: its old host has what it was, until somebody decides."""

from pathlib import Path

import pytest

from cloud.domain.instance import PowerState, VmState
from cloud.domain.migration import MigrationStatus
from cloud.errors import ComputeError
from tests.conductor.moves.resize_fixtures import case, site
from tests.conductor.moves.resize_site import CASES, HERE, Case, ResizeSite
from tests.conductor.site import Point, first_time, raising
from tests.db.making import SMALL, uuid_of
from tests.virt.test_keeping_contract import SECRET

__all__ = ["case", "site"]

CONFIRMING, REVERTING = MigrationStatus.CONFIRMING, MigrationStatus.REVERTING
NO = ComputeError("cannot start it: the network is gone")
RUNNING_ONES = pytest.mark.parametrize(
    "case", [CASES[name] for name in ("cold", "resize, shared storage", "resize where it is")], ids=str
)
OTHER_HOST = pytest.mark.parametrize("case", [CASES["cold"], CASES["resize, shared storage"]], ids=str)
LOCAL = pytest.mark.parametrize("case", [CASES["cold"]], ids=str)


def leave_unfinished(site: ResizeSite) -> str:
    """The host that has it."""

    def fail(point: Point) -> None:
        if point[1:] == ("compute.start_resized", "before"):
            raise NO

    site.enter()
    site.calls.begin(fail)
    site.move(site.begin())
    site.calls.begin()
    site.waited_s.clear()
    assert_unfinished(site)
    return str(site.instance().host)


def assert_unfinished(site: ResizeSite, vm_state: VmState = VmState.ERROR) -> None:
    """Nothing has changed of what both hosts have."""
    case, instance, migration = site.case, site.instance(), site.migration()
    host = HERE if case.stays else str(migration.dest_compute)
    assert (instance.vm_state, instance.task_state) == (vm_state, None)
    assert (instance.host, instance.flavor) == (host, case.flavor)
    assert vm_state is not VmState.ERROR or instance.power_state is PowerState.SHUTDOWN
    assert migration.status is MigrationStatus.ERROR
    assert site.guests() == {host: PowerState.SHUTDOWN}
    assert case.stays or f"{HERE}/aside" in site.traces()


def start_by_hand(site: ResizeSite) -> None:
    """As a hard reboot does it."""
    site.drivers[str(site.instance().host)].power_on(uuid_of(1))
    site.tables.instances.update(uuid_of(1), {"vm_state": VmState.ACTIVE, "power_state": PowerState.RUNNING})


def test_it_is_reverted_to_what_it_was_where_it_was(site: ResizeSite) -> None:
    leave_unfinished(site)
    site.move(site.begin_ending(REVERTING))
    site.assert_reverted()
    assert site.waited_s == []


@OTHER_HOST
def test_reverted_it_has_the_disk_that_it_had(site: ResizeSite, case: Case) -> None:
    site.enter()
    disk = site.directory / ("shared/disks" if case.is_shared else f"{HERE}/instances") / uuid_of(1) / "disk"
    with disk.open("r+b") as file:
        file.write(SECRET)
    site.calls.begin(lambda point: raising(NO)() if point[1:] == ("compute.start_resized", "before") else None)
    site.move(site.begin())
    site.calls.begin()
    site.move(site.begin_ending(REVERTING))
    site.assert_reverted()
    assert beginning(disk) == SECRET


def beginning(disk: Path) -> bytes:
    with disk.open("rb") as file:
        return file.read(len(SECRET))


def test_a_revert_that_fails_leaves_it_as_it_was_and_may_be_asked_for_again(site: ResizeSite) -> None:
    leave_unfinished(site)
    step = "compute.resize_here" if site.case.stays else "compute.take_back"
    site.calls.begin(first_time(step, "before", raising(NO)))
    site.move(site.begin_ending(REVERTING))
    assert_unfinished(site)
    assert site.migration().error == f"step revert: {NO}"
    site.calls.begin()
    site.move(site.begin_ending(REVERTING))
    site.assert_reverted()


@LOCAL
def test_it_goes_back_also_where_its_new_host_has_lost_it(site: ResizeSite) -> None:
    host = leave_unfinished(site)
    site.drivers[host].destroy(uuid_of(1))
    site.move(site.begin_ending(REVERTING))
    site.assert_reverted()


@OTHER_HOST
def test_while_its_new_host_is_down_it_is_not_reverted_since_it_may_run_there(site: ResizeSite) -> None:
    leave_unfinished(site)
    site.clock.advance(3600)
    site.say_alive(HERE)
    site.move(site.begin_ending(REVERTING))
    assert_unfinished(site)
    assert "is down" in str(site.migration().error)


@RUNNING_ONES
def test_it_is_confirmed_when_it_runs_after_all(site: ResizeSite) -> None:
    leave_unfinished(site)
    start_by_hand(site)
    site.move(site.begin_ending(CONFIRMING))
    site.assert_confirmed()


@RUNNING_ONES
def test_while_it_does_not_run_nothing_is_confirmed_whatever_the_database_says(site: ResizeSite) -> None:
    host = leave_unfinished(site)
    site.tables.instances.update(uuid_of(1), {"vm_state": VmState.ACTIVE, "power_state": PowerState.RUNNING})
    site.move(site.begin_ending(CONFIRMING))
    assert_unfinished(site, VmState.ACTIVE)
    assert site.migration().error == (
        f"step confirm: cannot confirm resize of instance {uuid_of(1)}: it does not run on host {host}, "
        "its power state is SHUTDOWN"
    )
    kept = {host: site.case.flavor.resources} | ({} if site.case.stays else {HERE: SMALL.resources})
    assert site.tables.claims.of(uuid_of(1)).keys() == kept.keys()
    start_by_hand(site)
    site.move(site.begin_ending(CONFIRMING))
    site.assert_confirmed()


@OTHER_HOST
def test_deleted_while_it_is_confirmed_it_leaves_nothing(site: ResizeSite) -> None:
    leave_unfinished(site)
    start_by_hand(site)
    site.calls.begin(first_time("compute.guest_state", "before", lambda: site.delete(hears=True)))
    site.move(site.begin_ending(CONFIRMING))
    site.assert_nothing_left()


@OTHER_HOST
def test_deleted_while_its_old_host_cannot_be_cleared_it_waits_until_that_can(site: ResizeSite) -> None:
    leave_unfinished(site)
    start_by_hand(site)
    site.turn("drop_aside")
    site.calls.begin(first_time("compute.drop_aside", "before", lambda: site.delete(hears=True)))
    site.move(site.begin_ending(CONFIRMING))
    assert site.migration().status is MigrationStatus.FINISHED
    site.turn()
    site.clear_up()
    site.assert_nothing_left()


@OTHER_HOST
def test_where_its_old_host_cannot_be_cleared_it_may_be_confirmed_again(site: ResizeSite) -> None:
    host = leave_unfinished(site)
    start_by_hand(site)
    site.turn("drop_aside")
    site.move(site.begin_ending(CONFIRMING))
    site.turn()
    instance, migration = site.instance(), site.migration()
    assert (instance.vm_state, instance.task_state, instance.host) == (VmState.ACTIVE, None, host)
    assert migration.status is MigrationStatus.ERROR
    site.move(site.begin_ending(CONFIRMING))
    site.assert_confirmed()
