"""Claims, addresses, nodes, tasks and migrations that are left, and what mends them; on either database."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from cloud.db.hosts import COMPUTE_BINARY
from cloud.doctor.bounds import Bounds
from cloud.doctor.finding import Kind
from cloud.domain.flavor import Resources
from cloud.domain.instance import PowerState, TaskState, VmState
from cloud.domain.migration import MigrationStatus
from cloud.errors import InstanceStateError
from cloud.rpc.errors import BusUnavailableError, RpcTimeoutError
from tests.db.making import NO_QUOTA, SMALL, new_instance, uuid_of
from tests.doctor.site import LIMITS, Site, Told


def test_claim_and_address_of_no_instance_are_released(site: Site) -> None:
    site.tables.claims.claim(uuid_of(8), "b", SMALL.resources, LIMITS)
    site.tables.fixed_ips.allocate(uuid_of(9), "private", "10.0.0.0/24")
    site.run(1)
    assert site.found() == [
        Told(Kind.CLAIM_WITHOUT_INSTANCE, 8, "b"),
        Told(Kind.ADDRESS_WITHOUT_INSTANCE, 9, None),
    ]
    assert site.mend() == []
    assert site.found() == []
    assert list(site.tables.claims.of(uuid_of(1))) == ["a"]
    assert site.tables.instances.get(uuid_of(1)).addresses == ("10.0.0.3",)


def test_claim_on_a_host_that_has_nothing_to_do_with_the_instance_is_released(site: Site) -> None:
    site.run(1, "a")
    site.tables.claims.claim(uuid_of(1), "c", SMALL.resources, LIMITS)
    assert site.found() == [Told(Kind.CLAIM_ELSEWHERE, 1, "c")]
    assert site.only().what == "2048 MB, 1 vcpus and 30 GB are claimed there, and the instance is on a"
    assert site.mend() == []
    assert list(site.tables.claims.of(uuid_of(1))) == ["a"]
    assert site.found() == []


def test_claim_on_a_silent_host_is_only_told(site: Site) -> None:
    site.run(1, "a")
    site.tables.claims.claim(uuid_of(1), "c", SMALL.resources, LIMITS)
    site.compute.failures["c"] = RpcTimeoutError("no reply in 10 s")
    assert site.found() == [Told(Kind.CLAIM_ELSEWHERE, 1, "c", is_mendable=False)]
    assert "c may have a guest of it, and does not say (no reply in 10 s)" in site.only().mending


def test_claim_of_an_instance_that_something_begins_with_is_not_released(site: Site) -> None:
    site.run(1, "a")
    site.tables.claims.claim(uuid_of(1), "c", SMALL.resources, LIMITS)
    doctor = site.doctor()
    (finding,) = doctor.look().findings
    site.begin(1, dest_compute="c")
    with pytest.raises(InstanceStateError):
        doctor.mend(finding)
    assert set(site.tables.claims.of(uuid_of(1))) == {"a", "c"}


def test_missing_claim_is_made_even_where_there_is_no_room(site: Site) -> None:
    site.run(1, "a")
    site.tables.claims.release(uuid_of(1))
    site.tables.claims.resize(uuid_of(7), "a", Resources(99999, 99, 9999), None)
    found = site.found()
    assert Told(Kind.CLAIM_MISSING, 1, "a") in found
    assert site.mend() == []
    assert site.tables.claims.of(uuid_of(1)) == {"a": SMALL.resources}
    assert site.found() == []


def test_claim_that_is_not_what_the_flavor_takes_is_made_so(site: Site) -> None:
    site.run(1, "a")
    site.tables.claims.resize(uuid_of(1), "a", Resources(1, 1, 1), None)
    assert site.found() == [Told(Kind.CLAIM_OF_WRONG_SIZE, 1, "a")]
    assert site.mend() == []
    assert site.tables.claims.of(uuid_of(1)) == {"a": SMALL.resources}


def test_what_the_guides_sql_leaves_after_its_host_is_gone_is_mended_one_by_one(site: Site) -> None:
    site.run(1, "a")
    site.compute.guests = {"a": {}, "b": {uuid_of(1): site.compute.guests["a"][uuid_of(1)]}, "c": {}}
    site.set(1, host="b")
    assert site.found() == [
        Told(Kind.NODE_STALE, 1, "b"),
        Told(Kind.CLAIM_ELSEWHERE, 1, "a"),
        Told(Kind.CLAIM_MISSING, 1, "b"),
    ]
    assert site.mend() == []
    assert site.tables.instances.get(uuid_of(1)).node == "b.example.org"
    assert list(site.tables.claims.of(uuid_of(1))) == ["b"]
    assert site.found() == []


def test_host_that_is_none_is_told(site: Site) -> None:
    site.run(1, "a")
    site.compute.guests["a"].clear()
    site.tables.claims.release(uuid_of(1))
    site.set(1, host="mistyped")
    assert Told(Kind.HOST_UNKNOWN, 1, "mistyped", is_mendable=False) in site.found()


@pytest.mark.parametrize(
    ("task_state", "method"),
    [
        (TaskState.REBOOTING, ("reboot_instance", "a", uuid_of(1), "SOFT")),
        (TaskState.REBOOTING_HARD, ("reboot_instance", "a", uuid_of(1), "HARD")),
        (TaskState.POWERING_ON, ("start_instance", "a", uuid_of(1))),
        (TaskState.POWERING_OFF, ("stop_instance", "a", uuid_of(1))),
        (TaskState.DELETING, ("delete_instance", "a", uuid_of(1))),
    ],
)
def test_task_that_its_host_has_not_done_is_asked_for_again(
    site: Site, task_state: TaskState, method: tuple[str, ...]
) -> None:
    site.run(1, task_state=task_state)
    site.age(minutes=29)
    assert site.found() == []
    site.age(minutes=1)
    assert site.found() == [Told(Kind.TASK_LEFT, 1, "a")]
    assert site.mend() == []
    assert site.compute.asked == [method]
    assert site.found() == []


@pytest.mark.parametrize(
    ("task_state", "after"),
    [
        (TaskState.MIGRATING, VmState.ACTIVE),
        (TaskState.RESIZE_PREP, VmState.ACTIVE),
        (TaskState.RESIZE_CONFIRMING, VmState.ACTIVE),
        (TaskState.SCHEDULING, VmState.ACTIVE),
        (TaskState.IMAGE_SNAPSHOT, VmState.ACTIVE),
        (TaskState.IMAGE_UPLOADING, VmState.ACTIVE),
        (TaskState.REBUILDING, VmState.ERROR),
    ],
)
def test_task_that_nobody_can_go_on_with_is_cleared(site: Site, task_state: TaskState, after: VmState) -> None:
    site.run(1, task_state=task_state)
    site.age(minutes=30)
    assert site.found() == [Told(Kind.TASK_LEFT, 1, "a")]
    assert site.mend() == []
    found = site.tables.instances.get(uuid_of(1))
    assert (found.vm_state, found.task_state) == (after, None)
    assert site.found() == []


def test_task_of_a_migration_that_is_over_is_cleared_and_of_one_that_is_not_it_is_not(site: Site) -> None:
    site.run(1)
    migration = site.begin(1)
    site.age(minutes=40)
    assert site.found() == [Told(Kind.MIGRATION_LEFT, 1, "a")]
    site.tables.migrations.update(migration.id, {"status": MigrationStatus.ERROR})  # and its instance was forgotten
    assert site.found() == [Told(Kind.TASK_LEFT, 1, "a")]
    assert site.mend() == []
    assert site.tables.instances.get(uuid_of(1)).task_state is None


def test_task_that_has_ended_and_begun_anew_is_not_cleared(site: Site) -> None:
    site.run(1, task_state=TaskState.MIGRATING)
    site.age(minutes=30)
    doctor = site.doctor()
    (finding,) = doctor.look().findings
    site.set(1, task_state=None)
    site.begin(1)
    with pytest.raises(InstanceStateError, match="it was changed at 2014-10-16T12:30:00"):
        doctor.mend(finding)
    assert site.tables.instances.get(uuid_of(1)).task_state is TaskState.MIGRATING


@pytest.mark.parametrize(
    "silence",
    [
        lambda site: site.compute.failures.update({"a": RpcTimeoutError("no reply")}),
        lambda site: site.tables.services.force_down("a", COMPUTE_BINARY, is_forced=True),
    ],
)
def test_task_of_a_silent_host_is_only_told(site: Site, silence: Callable[[Site], object]) -> None:
    site.run(1, task_state=TaskState.REBOOTING)
    site.age(minutes=30)
    silence(site)
    assert site.found() == [Told(Kind.TASK_LEFT, 1, "a", is_mendable=False)]
    assert "`nova reset-state` ends it" in site.only().mending


def building(site: Site) -> None:
    site.tables.instances.create([new_instance(1)], NO_QUOTA)


def test_build_that_does_not_move_on_is_given_up_by_the_conductor(site: Site) -> None:
    building(site)
    site.bounds = Bounds(build_timeout=timedelta(hours=1))
    site.age(minutes=59)
    assert site.found() == []
    site.age(minutes=1)
    assert site.found() == [Told(Kind.TASK_LEFT, 1, None)]
    assert site.mend() == []
    assert site.conductor.asked == [("end_overdue_build", uuid_of(1))]
    assert site.found() == []


def test_build_is_only_told_where_none_is_ever_given_up(site: Site) -> None:
    building(site)
    site.bounds = Bounds(build_timeout=timedelta(0))
    site.age(minutes=30)
    assert site.found() == [Told(Kind.TASK_LEFT, 1, None, is_mendable=False)]


def test_deletion_on_no_host_is_finished_when_all_hosts_have_answered(site: Site) -> None:
    building(site)
    site.set(1, task_state=TaskState.DELETING, vm_state=VmState.ERROR)
    site.age(minutes=30)
    site.compute.failures["b"] = RpcTimeoutError("no reply")
    assert site.found() == [Told(Kind.TASK_LEFT, 1, None, is_mendable=False)]
    del site.compute.failures["b"]
    assert site.mend() == []
    assert site.tables.instances.get(uuid_of(1), deleted=True).vm_state is VmState.DELETED
    assert site.found() == []


def test_migration_that_nobody_goes_on_with_is_taken_up(site: Site) -> None:
    site.run(1)
    migration = site.begin(1)
    site.tables.migrations.update(migration.id, {"step": "transfer", "status": MigrationStatus.RUNNING})
    site.age(minutes=29)
    assert site.found() == []
    site.age(minutes=1)
    finding = site.only()
    assert (finding.kind, finding.subject, finding.since) == (Kind.MIGRATION_LEFT, "1", migration.updated_at)
    assert finding.what == (
        "its migration 1 (live-migration) from a to b is running at step transfer, and nobody goes on with it"
    )
    assert site.mend() == []
    assert site.conductor.asked == [("move_instance", migration.id)]
    assert site.found() == []


def test_migration_of_which_nobody_can_say_for_long_where_its_instance_is_is_told(site: Site) -> None:
    """Its hosts are asked again and again, so that its row is never old."""
    site.run(1)
    migration = site.begin(1)
    waits = {"step": "transfer", "status": MigrationStatus.RUNNING, "error": "host b does not say"}
    since = site.tables.migrations.update(migration.id, waits).updated_at
    site.tables.migrations.update(migration.id, {"uncertain_since": since})
    site.age(minutes=29)
    site.tables.migrations.update(migration.id, {})
    assert site.found() == []
    site.age(minutes=1)
    assert site.found() == [Told(Kind.MIGRATION_UNCERTAIN, 1, "a", is_mendable=False)]
    finding = site.only()
    assert (finding.subject, finding.since) == ("1", since)
    assert finding.what == (
        "its migration 1 (live-migration) from a to b is running at step transfer, and waits: host b does not say"
    )
    site.age(minutes=30)
    assert site.found() == [Told(Kind.MIGRATION_LEFT, 1, "a")]


def test_more_than_a_page_of_everything_is_looked_at(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.doctor.surveyor.PAGE", 3)
    for number in range(1, 11):
        site.run(number, "abc"[number % 3])
    for number in (2, 4, 6, 8):
        site.begin(number, source_compute="c", dest_compute="b")
    assert site.look().counts == {
        "instances": 10,
        "claims": 10,
        "addresses": 10,
        "migrations": 4,
        "hosts": 3,
        "guests": 10,
    }


def test_silence_of_the_bus_is_an_error_and_not_that_of_hosts(site: Site) -> None:
    site.compute.failures["b"] = BusUnavailableError("no broker")
    with pytest.raises(BusUnavailableError):
        site.look()


def test_answer_of_another_version_is_silence(site: Site) -> None:
    site.compute.failures["b"] = ValueError("99 is not a valid PowerState")
    assert dict(site.look().silent) == {"b": "99 is not a valid PowerState"}


def test_finding_without_a_remedy_is_not_mended(site: Site) -> None:
    site.run(1)
    site.compute.guests["b"][uuid_of(1)] = PowerState.RUNNING  # and who has its disk, no host has said
    with pytest.raises(ValueError, match="it has no remedy"):
        site.doctor().mend(site.only())
