"""Which hosts an instance is evacuated to whose disk others see too, and what becomes of a disk that is left behind."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from cloud.domain.flavor import Resources
from cloud.domain.host import BuildRequest, Candidate
from cloud.domain.instance import VmState
from cloud.domain.migration import MigrationStatus
from cloud.errors import NoValidHostError
from cloud.services.conductor.tables import Tables
from cloud.services.scheduler.filters.table import DEFAULT_FILTER_NAMES, filters_by_name
from cloud.services.scheduler.ratios import Ratios
from cloud.services.scheduler.scheduler import Rules, select
from cloud.services.scheduler.weighers.ram import RamWeigher
from tests.conductor.moves.evacuate_fixtures import case, site
from tests.conductor.moves.evacuate_site import ELSEWHERE, HERE, RUNNING, THERE, Case, EvacuationSite
from tests.conductor.site import Killed, first_time, raising
from tests.db.making import SMALL, uuid_of

__all__ = ["case", "site"]

pytestmark = pytest.mark.parametrize("case", [Case(is_shared=True, unmounted=THERE)], indirect=True, ids=["unmounted"])
SECRET = b"what its owner has written"
RULES = Rules(tuple(filters_by_name(Ratios())[name] for name in DEFAULT_FILTER_NAMES), weighers=((RamWeigher(), 1.0),))
"""Those that there are by default."""


class RealScheduler:
    """With the filters and weighers that it has by default."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def select_hosts(self, request: BuildRequest) -> Sequence[Candidate]:
        choice = select(self._tables.compute_nodes.states(), request, RULES, random.Random(1))  # noqa: S311
        if not choice.candidates:
            raise NoValidHostError(f"no valid host: {choice.explain()}")
        return choice.candidates


@pytest.fixture(autouse=True)
def real_scheduler(site: EvacuationSite) -> None:
    site.scheduler = RealScheduler(site.tables)  # type: ignore[assignment]


def write(site: EvacuationSite) -> Path:
    """To the disk of the instance; where that is."""
    disk = site.directory / "shared" / uuid_of(1) / "disk"
    with disk.open("r+b") as file:
        file.write(SECRET)
    return disk


def read(disk: Path) -> bytes:
    with disk.open("rb") as file:
        return file.read(len(SECRET))


def test_it_goes_where_its_disk_is_though_another_host_has_more_room(site: EvacuationSite) -> None:
    site.report_room(ELSEWHERE, SMALL.resources)
    site.enter()
    disk = write(site)
    site.move(site.begin())
    assert site.instance().host == ELSEWHERE
    assert read(disk) == SECRET
    site.assert_evacuated()


def test_a_conductor_that_takes_it_up_later_knows_where_it_may_go(site: EvacuationSite) -> None:
    site.report_room(ELSEWHERE, SMALL.resources)
    site.enter()
    begun = site.begin()
    site.calls.begin(first_time("claims.claim", "before", raising(Killed())))
    with pytest.raises(Killed):
        site.move(begun)
    site.move(begun)
    assert site.instance().host == ELSEWHERE
    site.assert_evacuated()


@pytest.mark.parametrize("is_forced", [True, False], ids=["forced", "requested"])
def test_a_host_that_does_not_see_its_disk_is_refused_also_when_it_is_named(
    site: EvacuationSite, *, is_forced: bool
) -> None:
    site.enter()
    site.move(site.begin(host=THERE, is_forced=is_forced))
    site.assert_undone()
    assert "Storage 1 -> 0" in str(site.migration().error)


def test_where_none_of_those_is_up_that_see_its_disk_it_is_not_made_anew_unasked(site: EvacuationSite) -> None:
    site.enter()
    write(site)
    site.clock.advance(61)
    site.report_up(THERE)
    site.move(site.begin())
    assert (site.migration().status, site.instance().host) == (MigrationStatus.FAILED, HERE)
    assert "no valid host" in str(site.migration().error)
    site.move(site.begin(host=THERE, is_forced=True))
    assert (site.instance().vm_state, site.instance().host) == (VmState.ACTIVE, THERE)


def left_behind(site: EvacuationSite) -> None:
    """Made anew, as an admin wants it, where its disk is not seen."""
    site.enter()
    assert read(write(site)) == SECRET
    site.move(site.begin(host=THERE, is_forced=True, may_leave_disk=True))
    assert (site.instance().vm_state, site.instance().host) == (VmState.ACTIVE, THERE)
    assert (site.migration().destination or {})["shares_disk"] is False


def test_a_disk_that_is_left_behind_is_kept_when_its_host_comes_back(site: EvacuationSite) -> None:
    left_behind(site)
    for _ in range(2):
        site.come_back()
        assert site.guests() == {THERE: RUNNING}
        (copy,) = site.hosts[HERE].open_driver().kept_copies()
        assert copy.uuid == uuid_of(1)
        (disk,) = (site.directory / "shared").rglob("disk")
        assert (copy.name in str(disk), read(disk)) == (True, SECRET)


def test_a_disk_from_an_earlier_time_is_not_taken_for_its_own(site: EvacuationSite) -> None:
    """It was left behind, and nobody has put it aside: its host has not come back."""
    left_behind(site)
    site.clock.advance(61)
    site.report_up(ELSEWHERE)
    site.move(site.begin(source=THERE, host=ELSEWHERE, is_forced=True))
    assert (site.migration().status, site.instance().host) == (MigrationStatus.FAILED, THERE)
    assert f"which is not the one that host {THERE} had" in str(site.migration().error)
    site.come_back()
    site.move(site.begin(source=THERE, host=ELSEWHERE, is_forced=True))
    assert site.instance().host == ELSEWHERE
    assert read(site.directory / "shared" / uuid_of(1) / "disk") != SECRET
    assert [copy.uuid for copy in site.hosts[HERE].open_driver().kept_copies()] == [uuid_of(1)]


@pytest.mark.parametrize("may_leave_disk", [True, False])
def test_where_its_disk_should_be_and_is_not_it_is_made_anew_by_particular_wish_only(
    site: EvacuationSite, *, may_leave_disk: bool
) -> None:
    site.enter()
    disk = site.directory / "shared" / uuid_of(1)
    disk.rename(site.directory / "lost")
    site.move(site.begin(host=ELSEWHERE, is_forced=True, may_leave_disk=may_leave_disk))
    if may_leave_disk:
        assert (site.migration().status, site.instance().host) == (MigrationStatus.COMPLETED, ELSEWHERE)
        return
    site.assert_undone()
    fault = site.fault()
    assert fault is not None
    assert fault.message == (
        f"cannot evacuate instance {uuid_of(1)} to the host: it does not see the disk, "
        "though it has the storage of its old host"
    )


def test_from_a_host_that_has_not_said_which_storage_it_has_it_may_go_anywhere(site: EvacuationSite) -> None:
    """As one whose nova-compute is of an earlier version."""
    site.enter()
    site.tables.compute_nodes.report(replace(site.tables.compute_nodes.get(HERE), storage_id=None))
    site.report_room(ELSEWHERE, Resources(memory_mb=0, vcpus=0, disk_gb=0))
    site.move(site.begin())
    assert site.instance().host == THERE
