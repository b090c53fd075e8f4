"""Copies that hosts keep: which of them are told, and which of them go, by whose wish; on either database."""

from collections.abc import Callable
from typing import Any

import pytest

from cloud.doctor.finding import Kind
from cloud.doctor.remedy import Destroys
from cloud.domain.instance import PowerState, TaskState, VmState
from cloud.domain.migration import MigrationStatus, MigrationType
from cloud.errors import InstanceStateError
from tests.db.making import SMALL, uuid_of
from tests.doctor.site import LIMITS, Site, Told

RUNNING, OFF = PowerState.RUNNING, PowerState.SHUTDOWN


def resize(site: Site, status: MigrationStatus, vm_state: VmState, **changes: Any) -> None:
    """It went from a to b, where its guest runs, and a has it set aside."""
    site.run(1, "b")
    migration = site.begin(1, type=MigrationType.RESIZE, **changes)
    site.tables.migrations.update(migration.id, {"status": status, "is_handed_over": True})
    site.set(1, vm_state=vm_state, task_state=None)
    site.keep(1, "a", is_for_revert=True)


def evacuate(site: Site, *, shares_disk: bool) -> None:
    """From b to c, where it runs."""
    migration = site.begin(1, type=MigrationType.EVACUATION, source_compute="b", dest_compute="c")
    ended = {"status": MigrationStatus.COMPLETED, "is_handed_over": True, "destination": {"shares_disk": shares_disk}}
    site.tables.migrations.update(migration.id, ended)
    site.tables.claims.move(uuid_of(1), "c", site.tables.instances.get(uuid_of(1)).flavor.resources)
    site.set(1, host="c", node="c.example.org", task_state=None)
    site.compute.guests["c"] = site.compute.guests.pop("b")
    site.compute.guests["b"] = {}


def test_copy_says_what_it_is_and_since_when(site: Site) -> None:
    site.run(1, "b")
    copy = site.keep(1, "a")
    finding = site.only()
    assert (finding.kind, finding.instance, finding.host) == (Kind.COPY_KEPT, uuid_of(1), "a")
    assert (finding.subject, finding.since) == (copy.name, copy.since)
    assert finding.what == (
        f"{copy.name} is kept there with a disk of 20.0 GB: "
        "its instance, which is on b, was made anew without it, or has another guest"
    )
    assert finding.mending == f"remove {copy.name} and its disk from a"


@pytest.mark.parametrize("is_for_revert", [False, True])
def test_copy_of_a_deleted_instance_is_removed(site: Site, *, is_for_revert: bool) -> None:
    site.run(1, "b")
    copy = site.keep(1, "a", is_for_revert=is_for_revert)
    site.tables.instances.delete(uuid_of(1))
    site.compute.guests["b"].clear()
    assert site.found() == [Told(Kind.COPY_KEPT, 1, "a")]
    remedy = site.only().remedy
    assert remedy is not None
    assert remedy.destroys is None
    assert site.mend() == []
    assert site.compute.asked == [("remove_kept_copy", "a", uuid_of(1), copy.name, "keeps_disk=False")]
    assert site.found() == []


@pytest.mark.parametrize("is_known", [False, True])
def test_copy_that_may_be_the_only_one_goes_by_particular_wish_only(site: Site, *, is_known: bool) -> None:
    if is_known:
        site.run(1, "b")
    site.keep(1, "a")
    remedy = site.only().remedy
    assert remedy is not None
    assert remedy.destroys is Destroys.COPY
    assert (site.only().as_dict()["destroys_copy"], site.only().as_dict()["destroys_running_guest"]) == (True, False)


@pytest.mark.parametrize("status", [MigrationStatus.FINISHED, MigrationStatus.CONFIRMING, MigrationStatus.RUNNING])
def test_copy_that_a_resize_waits_for_is_no_finding(site: Site, status: MigrationStatus) -> None:
    resize(site, status, VmState.RESIZED)
    assert [told for told in site.found() if told.kind is Kind.COPY_KEPT] == []


@pytest.mark.parametrize(
    ("storages", "keeps_disk"),
    [({}, True), ({"a": "nfs", "b": "nfs"}, True), ({"a": "a", "b": "b"}, False)],
    ids=["unknown", "shared", "own"],
)
def test_what_a_resize_has_left_goes_once_its_instance_runs_elsewhere(
    site: Site, storages: dict[str, str], *, keeps_disk: bool
) -> None:
    resize(site, MigrationStatus.ERROR, VmState.ACTIVE)
    site.store(**storages)
    assert Told(Kind.COPY_KEPT, 1, "a") in site.found()
    assert site.mend() == []
    assert site.compute.asked == [("remove_kept_copy", "a", uuid_of(1), uuid_of(1), f"{keeps_disk=}")]


@pytest.mark.parametrize(
    ("change", "mending"),
    [
        (lambda site: site.set(1, vm_state=VmState.ERROR), "nothing while it is in error: `nova resize-revert`"),
        (lambda site: site.compute.guests["b"].update({uuid_of(1): OFF}), "nothing while it does not run there"),
        (lambda site: site.compute.guests["b"].clear(), "nothing while it does not run there"),
        (lambda site: site.set(1, task_state=TaskState.REBOOTING), "nothing while it does not run there"),
        (lambda site: site.set(1, host="a"), "nothing: `nova reboot --hard` takes it back"),
    ],
)
def test_what_a_resize_has_left_stays_while_it_may_be_all_that_there_is(
    site: Site, change: Callable[[Site], object], mending: str
) -> None:
    resize(site, MigrationStatus.ERROR, VmState.ACTIVE)
    change(site)
    (finding,) = [each for each in site.look().findings if each.kind is Kind.COPY_KEPT]
    assert finding.remedy is None
    assert finding.mending.startswith(mending)


def test_room_for_a_revert_stays_claimed_until_the_copy_is_gone(site: Site) -> None:
    resize(site, MigrationStatus.ERROR, VmState.ACTIVE)
    site.tables.claims.claim(uuid_of(1), "a", SMALL.resources, LIMITS)
    assert site.found() == [Told(Kind.COPY_KEPT, 1, "a")]
    assert site.mend() == []
    assert site.found() == [Told(Kind.CLAIM_ELSEWHERE, 1, "a")]
    assert site.mend() == []
    assert site.found() == []


@pytest.mark.parametrize(("shares_disk", "destroys"), [(True, None), (False, Destroys.COPY)])
def test_copy_is_not_outdated_where_its_instance_was_made_anew_since(
    site: Site, *, shares_disk: bool, destroys: Destroys | None
) -> None:
    resize(site, MigrationStatus.ERROR, VmState.ACTIVE)
    evacuate(site, shares_disk=shares_disk)
    (finding,) = [each for each in site.look().findings if each.kind is Kind.COPY_KEPT]
    assert finding.remedy is not None
    assert finding.remedy.destroys is destroys


def test_resize_that_failed_before_it_moved_anything_does_not_hide_that_it_was_made_anew(site: Site) -> None:
    resize(site, MigrationStatus.ERROR, VmState.ACTIVE)
    evacuate(site, shares_disk=False)
    failed = site.begin(1, type=MigrationType.RESIZE, source_compute="c", dest_compute="a")
    site.tables.migrations.update(failed.id, {"status": MigrationStatus.FAILED})
    site.set(1, task_state=None)
    (finding,) = [each for each in site.look().findings if each.kind is Kind.COPY_KEPT]
    assert finding.remedy is not None
    assert finding.remedy.destroys is Destroys.COPY


@pytest.mark.parametrize(
    "change",
    [
        lambda site: site.compute.guests["b"].update({uuid_of(1): OFF}),
        lambda site: site.set(1, host="c"),
        lambda site: site.begin(1, source_compute="b", dest_compute="c"),
        lambda site: site.tables.instances.delete(uuid_of(1)),
    ],
)
def test_what_a_resize_has_left_stays_when_things_have_changed_meanwhile(
    site: Site, change: Callable[[Site], object]
) -> None:
    resize(site, MigrationStatus.ERROR, VmState.ACTIVE)
    doctor = site.doctor()
    (finding,) = [each for each in doctor.look().findings if each.kind is Kind.COPY_KEPT]
    change(site)
    with pytest.raises(InstanceStateError, match="cannot remove copy"):
        doctor.mend(finding)
    assert site.compute.asked == []


@pytest.mark.parametrize(
    "change",
    [
        lambda site: site.compute.guests["b"].update({uuid_of(1): OFF}),
        lambda site: site.compute.guests["b"].clear(),
        lambda site: site.set(1, host="c"),
        lambda site: site.set(1, host=None),
        lambda site: site.tables.instances.delete(uuid_of(1)),
    ],
)
@pytest.mark.parametrize("is_for_revert", [False, True])
def test_copy_that_may_be_the_only_one_stays_when_things_have_changed_meanwhile(
    site: Site, change: Callable[[Site], object], *, is_for_revert: bool
) -> None:
    site.run(1, "b")
    site.keep(1, "a", is_for_revert=is_for_revert)
    doctor = site.doctor()
    (finding,) = doctor.look().findings
    assert finding.as_dict()["destroys_copy"]
    change(site)
    with pytest.raises(InstanceStateError, match="cannot remove copy"):
        doctor.mend(finding)
    assert site.compute.asked == []


def test_copy_that_nobody_knew_stays_when_its_instance_is_known_by_now(site: Site) -> None:
    site.keep(1, "a")
    doctor = site.doctor()
    (finding,) = doctor.look().findings
    site.run(1, "b")
    with pytest.raises(InstanceStateError, match="cannot remove copy"):
        doctor.mend(finding)
    assert site.compute.asked == []


def test_host_of_an_earlier_version_is_looked_at_for_all_but_its_copies(site: Site) -> None:
    site.run(1, "a")
    site.tables.claims.claim(uuid_of(1), "b", SMALL.resources, LIMITS)
    site.compute.guests["b"][uuid_of(2)] = OFF
    site.compute.keep_no_copies.add("b")
    diagnosis = site.look()
    assert (diagnosis.silent, diagnosis.is_partial) == ({}, False)
    assert {each.kind: each.remedy is not None for each in diagnosis.findings} == {
        Kind.GUEST_UNKNOWN: True,
        Kind.CLAIM_ELSEWHERE: False,  # it may have what a revert needs that room for
    }
    claim = next(each for each in diagnosis.findings if each.kind is Kind.CLAIM_ELSEWHERE)
    assert claim.mending == "nothing while b may keep a copy of it for a revert, and is too old to say"


def test_copy_of_a_silent_host_is_not_known(site: Site) -> None:
    site.run(1, "b")
    site.keep(1, "a")
    site.compute.failures["a"] = InstanceStateError("no")
    assert site.found() == []
