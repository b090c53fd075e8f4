"""The table of migrations, alike on SQLite and PostgreSQL."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from cloud.db.claims import ClaimTable
from cloud.db.hosts import ComputeNodeTable
from cloud.db.instance_faults import NewFault
from cloud.db.instances import InstanceTable, Usage
from cloud.db.migration_hold import MigrationAsKnown
from cloud.db.migration_records import MigrationQuery, MigrationTable, NewMigration
from cloud.db.quotas import QuotaLimits
from cloud.domain.expected import ANY, Expected
from cloud.domain.flavor import Resources
from cloud.domain.instance import Instance, TaskState, VmState
from cloud.domain.migration import IN_PROGRESS, Migration, MigrationStatus, MigrationType
from cloud.errors import (
    BadRequestError,
    InstanceNotFoundError,
    InstanceStateError,
    MigrationNotFoundError,
    MigrationStateError,
    QuotaError,
)
from tests.db.conftest import Clock
from tests.db.making import NO_QUOTA, SMALL, at_once, compute_node, failures, new_instance, uuid_of

IDLE = Expected(task_states=[None])
MOVING = Expected(task_states=[TaskState.MIGRATING])
ROOM = Resources(100_000, 100, 1000)
LARGE = replace(SMALL, id=4, flavorid="4", name="m1.large", memory_mb=8192, vcpus=4)


@pytest.fixture
def instance(instances: InstanceTable) -> Instance:
    """One that runs on host a."""
    return active(instances, 1)


def active(instances: InstanceTable, number: int) -> Instance:
    instances.create([new_instance(number)], NO_QUOTA)
    return instances.update(
        uuid_of(number), {"vm_state": VmState.ACTIVE, "task_state": None, "host": "a", "node": "a.example.org"}
    )


def new(number: int = 1, **changes: Any) -> NewMigration:
    """Of the instance whose uuid is that number."""
    values: dict[str, Any] = {
        "instance_uuid": uuid_of(number),
        "type": MigrationType.LIVE,
        "request_id": "req-1",
        "source_compute": "a",
        "source_node": "a.example.org",
        "old_flavor": SMALL,
        "new_flavor": SMALL,
        "old_vm_state": VmState.ACTIVE,
        "options": {"block_migration": None, "host": "b"},
    }
    return NewMigration(**values | changes)


def begin(migrations: MigrationTable, number: int = 1, **changes: Any) -> Migration:
    return migrations.begin(new(number, **changes), {"task_state": TaskState.MIGRATING}, IDLE)[0]


def end(migrations: MigrationTable, migration: Migration, status: MigrationStatus = MigrationStatus.COMPLETED) -> None:
    migrations.end(migration.id, status, instance_changes={"task_state": None}, expected=MOVING)


def test_migration_begins_together_with_the_task_of_its_instance(
    migrations: MigrationTable, instance: Instance, clock: Clock
) -> None:
    clock.advance(5)
    migration, changed = migrations.begin(new(), {"task_state": TaskState.MIGRATING}, IDLE)
    assert migration == Migration(
        id=1,
        uuid=migration.uuid,
        instance_uuid=instance.uuid,
        type=MigrationType.LIVE,
        status=MigrationStatus.ACCEPTED,
        request_id="req-1",
        source_compute="a",
        source_node="a.example.org",
        dest_compute=None,
        old_flavor=SMALL,
        new_flavor=SMALL,
        old_vm_state=VmState.ACTIVE,
        options={"block_migration": None, "host": "b"},
        created_at=clock.now,
        updated_at=clock.now,
    )
    assert changed == replace(instance, task_state=TaskState.MIGRATING, updated_at=clock.now)
    assert migrations.get(1) == migration
    assert migrations.get_of(instance.uuid, 1) == migration


def test_instance_in_another_state_begins_nothing(
    migrations: MigrationTable, instances: InstanceTable, instance: Instance
) -> None:
    instances.update(instance.uuid, {"task_state": TaskState.REBOOTING})
    with pytest.raises(InstanceStateError, match="its vm_state is active, its task_state rebooting"):
        begin(migrations)
    with pytest.raises(InstanceNotFoundError):
        begin(migrations, 2)
    assert migrations.list(MigrationQuery()) == ()


@pytest.mark.parametrize("status", sorted(IN_PROGRESS))
def test_instance_with_a_migration_in_progress_begins_no_other(
    migrations: MigrationTable, instances: InstanceTable, instance: Instance, status: MigrationStatus
) -> None:
    migrations.update(begin(migrations).id, {"status": status})
    instances.update(instance.uuid, {"task_state": None})  # by hand, or by a defect
    with pytest.raises(InstanceStateError) as caught:
        begin(migrations)
    assert str(caught.value) == f"cannot migrate instance {instance.uuid}: its migration 1 is in progress"
    assert instances.get(instance.uuid).task_state is None
    assert len(migrations.list(MigrationQuery())) == 1


@pytest.mark.parametrize("status", [MigrationStatus.COMPLETED, MigrationStatus.ERROR, MigrationStatus.FINISHED])
def test_instance_whose_migration_ended_or_waits_begins_another(
    migrations: MigrationTable, instance: Instance, status: MigrationStatus
) -> None:
    end(migrations, begin(migrations), status)
    assert begin(migrations).id == 2


@pytest.mark.parametrize(
    ("vm_state", "status"),
    [(VmState.RESIZED, MigrationStatus.FINISHED), (VmState.ACTIVE, MigrationStatus.ERROR)],
)
def test_a_resize_that_waits_ends_where_an_instance_that_is_not_resized_any_more_begins_another(
    migrations: MigrationTable,
    instances: InstanceTable,
    instance: Instance,
    vm_state: VmState,
    status: MigrationStatus,
) -> None:
    active(instances, 2)
    for number in (1, 2):
        finished(migrations, number)
    instances.update(instance.uuid, {"vm_state": vm_state})
    begin(migrations)
    assert [migrations.get(number).status for number in (1, 2)] == [status, MigrationStatus.FINISHED]


def test_of_twenty_at_once_one_begins(migrations: MigrationTable, instances: InstanceTable, instance: Instance) -> None:
    done = at_once(20, lambda _number: begin(migrations))
    assert [type(exc) for exc in failures(done)] == [InstanceStateError] * 19
    assert len(migrations.list(MigrationQuery())) == 1
    assert instances.get(instance.uuid).task_state is TaskState.MIGRATING


def test_of_twenty_at_once_that_expect_nothing_one_begins(migrations: MigrationTable, instance: Instance) -> None:
    done = at_once(20, lambda _number: migrations.begin(new(), {"task_state": TaskState.MIGRATING}, ANY))
    assert [type(exc) for exc in failures(done)] == [InstanceStateError] * 19
    assert len(migrations.list(MigrationQuery())) == 1


def test_migration_of_another_instance_or_none_is_not_found(migrations: MigrationTable, instance: Instance) -> None:
    begin(migrations)
    with pytest.raises(MigrationNotFoundError, match=f"cannot find migration 1 of instance {uuid_of(2)}"):
        migrations.get_of(uuid_of(2), 1)
    for number in (2, 0, -1, 2**31, 2**70):
        for ask in (migrations.get, migrations.want_abort, lambda each: migrations.update(each, {"progress": 1})):
            with pytest.raises(MigrationNotFoundError, match=f"cannot find migration {number}$"):
                ask(number)


@pytest.fixture
def several(migrations: MigrationTable, instances: InstanceTable) -> Mapping[int, Migration]:
    """Of four instances, the last of which has a second one that runs."""
    for number in (1, 2, 3, 4):
        active(instances, number)
    begin(migrations, 1, source_compute="a", dest_compute="b")
    begin(migrations, 2, source_compute="b", dest_compute="c", type=MigrationType.RESIZE)
    begin(migrations, 3, source_compute="c", type=MigrationType.EVACUATION)
    end(migrations, begin(migrations, 4, source_compute="a", dest_compute="c"), MigrationStatus.FAILED)
    migrations.update(begin(migrations, 4, source_compute="a", dest_compute="c").id, {"status": "running"})
    return {each.id: each for each in migrations.list(MigrationQuery())}


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        (MigrationQuery(), [5, 4, 3, 2, 1]),
        (MigrationQuery(limit=2), [5, 4]),
        (MigrationQuery(host="b"), [2, 1]),
        (MigrationQuery(source_compute="a"), [5, 4, 1]),
        (MigrationQuery(dest_compute="c"), [5, 4, 2]),
        (MigrationQuery(source_compute="a", dest_compute="c", statuses=[MigrationStatus.FAILED]), [4]),
        (MigrationQuery(instance_uuid=uuid_of(4)), [5, 4]),
        (MigrationQuery(types=[MigrationType.RESIZE, MigrationType.EVACUATION]), [3, 2]),
        (MigrationQuery(statuses=IN_PROGRESS), [5, 3, 2, 1]),
        (MigrationQuery(statuses=[]), []),
        (MigrationQuery(host="nowhere"), []),
    ],
)
def test_list_is_newest_first_and_all_conditions_hold(
    migrations: MigrationTable, several: Mapping[int, Migration], query: MigrationQuery, ids: list[int]
) -> None:
    assert [each.id for each in migrations.list(query)] == ids


def test_page_begins_behind_its_marker(migrations: MigrationTable, several: Mapping[int, Migration]) -> None:
    page = migrations.list(MigrationQuery(host="c", limit=2, marker=several[5].uuid))
    assert [each.id for each in page] == [4, 3]
    with pytest.raises(BadRequestError, match="cannot list migrations behind nothing: there is no such migration"):
        migrations.list(MigrationQuery(marker="nothing"))


def test_newest_is_the_last_one_of_the_instance(migrations: MigrationTable, several: Mapping[int, Migration]) -> None:
    assert migrations.newest(uuid_of(4)) == several[5]
    assert migrations.newest(uuid_of(2), [MigrationType.RESIZE]) == several[2]
    assert migrations.newest(uuid_of(2), [MigrationType.LIVE]) is None
    assert migrations.newest(uuid_of(9)) is None


def test_journal_is_written_and_read(migrations: MigrationTable, instance: Instance, clock: Clock) -> None:
    begun = begin(migrations)
    clock.advance(3)
    changes: dict[str, Any] = {
        "status": MigrationStatus.RUNNING,
        "request_id": "req-2",
        "source_node": None,
        "dest_compute": "b",
        "dest_node": "b.example.org",
        "dest_host": "192.0.2.12",
        "options": {"block_migration": True},
        "step": "transfer",
        "is_undoing": True,
        "is_handed_over": True,
        "destination": {"uri": "x", "ports": [1, 2]},
        "progress": 40,
        "memory_total_bytes": 2**33,
        "memory_processed_bytes": 2**32,
        "memory_remaining_bytes": 2**32,
        "disk_total_bytes": 2**40,
        "disk_processed_bytes": 1,
        "disk_remaining_bytes": 2**40 - 1,
        "downtime_ms": 12,
        "error": "x" * 70_000,
        "owner": "f" * 32,
        "transfer_began_at": clock.now,
        "uncertain_since": clock.now,
        "due_at": clock.now + timedelta(seconds=60),
    }
    changed = migrations.update(begun.id, changes)
    assert changed == replace(begun, **changes | {"error": "x" * 65_536}, updated_at=clock.now)
    assert migrations.get(begun.id) == changed
    assert migrations.update(begun.id, {"destination": None}).destination is None


@pytest.mark.parametrize(
    "changes",
    [
        {"id": 2},
        {"instance_uuid": "x"},
        {"type": "resize"},
        {"is_abort_wanted": True},
        {"updated_at": None},
        {"status": "wobbly"},
        {"status": None},
        {"is_undoing": 1},
        {"step": 5},
        {"options": None},
    ],
)
def test_change_that_is_none_is_refused(
    migrations: MigrationTable, instance: Instance, changes: Mapping[str, Any]
) -> None:
    begun = begin(migrations)
    with pytest.raises(ValueError, match=r"^cannot update migration 1: "):
        migrations.update(begun.id, changes)
    assert migrations.get(begun.id) == begun


def test_change_is_made_only_in_an_expected_status(migrations: MigrationTable, instance: Instance) -> None:
    begun = begin(migrations)
    migrations.update(begun.id, {"step": "claim", "status": "preparing"}, statuses=[MigrationStatus.ACCEPTED])
    with pytest.raises(MigrationStateError) as caught:
        migrations.update(begun.id, {"step": "transfer"}, statuses=[MigrationStatus.ACCEPTED, MigrationStatus.RUNNING])
    assert str(caught.value) == "cannot update migration 1: its status is preparing, its step claim"
    assert migrations.get(begun.id).step == "claim"


@pytest.mark.parametrize(
    "still",
    [
        {"step": "transfer"},
        {"step": None},
        {"is_undoing": True},
        {"is_handed_over": True},
        {"is_abort_wanted": True},
        {"dest_compute": "b"},
        {"request_id": "req-9"},
        {"owner": "f" * 32},
        {"status": "running"},
        {"step": "claim", "is_undoing": True},
    ],
)
def test_change_is_made_only_where_the_rest_is_still_so(
    migrations: MigrationTable, instance: Instance, still: Mapping[str, Any]
) -> None:
    found = migrations.update(begin(migrations).id, {"step": "claim"})
    with pytest.raises(MigrationStateError):
        migrations.update(found.id, {"step": "dest_check"}, still=still)
    assert migrations.get(found.id) == found
    as_it_is = {name: getattr(found, name) for name in still}
    assert migrations.update(found.id, {"step": "dest_check"}, still=as_it_is).step == "dest_check"


def test_field_that_is_not_compared_is_refused(migrations: MigrationTable, instance: Instance) -> None:
    with pytest.raises(ValueError, match="cannot compare a migration's options"):
        migrations.update(begin(migrations).id, {}, still={"options": {}})


def test_of_twenty_who_take_it_up_at_once_one_does(
    migrations: MigrationTable, instance: Instance, clock: Clock
) -> None:
    begun = begin(migrations)
    clock.advance(120.5)
    done = at_once(20, lambda _number: migrations.update(begun.id, {}, still={"updated_at": begun.updated_at}))
    assert [type(exc) for exc in failures(done)] == [MigrationStateError] * 19
    assert migrations.get(begun.id).updated_at == clock.now


def left(migrations: MigrationTable, silent_since: datetime, waiting_since: datetime, limit: int = 10) -> list[int]:
    return [each.id for each in migrations.left(silent_since, waiting_since=waiting_since, limit=limit)]


def test_left_are_those_in_progress_that_nobody_wrote_of_oldest_first(
    migrations: MigrationTable, instances: InstanceTable, clock: Clock
) -> None:
    for number in (1, 2, 3, 4):
        active(instances, number)
        begin(migrations, number)
        clock.advance(10)
    migrations.update(1, {"progress": 10})
    end(migrations, migrations.get(3))
    never, begun = clock.now - timedelta(days=1), clock.now - timedelta(seconds=10)
    assert left(migrations, never, begun) == [2, 4]
    assert left(migrations, never, begun, limit=1) == [2]
    assert left(migrations, never, begun - timedelta(seconds=1)) == [2]
    assert left(migrations, never, clock.now) == [2, 4, 1]
    assert left(migrations, clock.now, never) == []
    migrations.update(4, {"owner": "a"})
    assert left(migrations, clock.now, never) == [4]
    assert left(migrations, never, clock.now) == [2, 1]


def test_one_that_is_to_be_asked_again_is_left_when_it_is_due_or_its_instance_was_changed(
    migrations: MigrationTable, instances: InstanceTable, instance: Instance, clock: Clock
) -> None:
    never = clock.now - timedelta(days=1)
    begun = begin(migrations)
    due_at = clock.now + timedelta(seconds=60)
    migrations.update(begun.id, {"due_at": due_at, "uncertain_since": clock.now})
    clock.advance(59)
    assert left(migrations, never, never) == []
    clock.advance(1)
    assert left(migrations, never, never) == [begun.id]
    migrations.update(begun.id, {"due_at": due_at + timedelta(seconds=600)})
    assert left(migrations, never, never) == []
    clock.advance(1)
    instances.update(instance.uuid, {"task_state": None})
    assert left(migrations, never, never) == [begun.id]
    migrations.update(begun.id, {"owner": "a"})
    assert left(migrations, never, never) == []


def test_owners_that_live_are_noted_and_nobody_else(
    migrations: MigrationTable, instances: InstanceTable, clock: Clock
) -> None:
    for number, owner in ((1, "a"), (2, "b"), (3, "a"), (4, None)):
        active(instances, number)
        migrations.update(begin(migrations, number).id, {"owner": owner})
    migrations.update(3, {"status": MigrationStatus.COMPLETED})
    before = clock.now
    clock.advance(60)
    migrations.touch(["a", "c"])
    assert [migrations.get(number).updated_at for number in (1, 2, 3, 4)] == [clock.now, before, before, before]
    migrations.touch([])


def test_whoever_was_overtaken_writes_nothing(
    migrations: MigrationTable, instances: InstanceTable, instance: Instance
) -> None:
    found = migrations.update(begin(migrations).id, {"owner": "a"})
    held = instances.get(instance.uuid)
    overtaken: Mapping[str, Any] = {"owner": "b"}
    fault = NewFault(500, "cannot migrate")
    for write in (
        lambda: migrations.update(found.id, {"status": "failed"}, still=overtaken, fault=fault),
        lambda: migrations.update_both(
            found.id,
            {"status": "failed"},
            instance_changes={"task_state": None},
            expected=ANY,
            still=overtaken,
            fault=fault,
        ),
        lambda: migrations.hand_over(found.id, instance_changes=MOVED, expected=ANY, still=overtaken, releases="a"),
    ):
        with pytest.raises(MigrationStateError):
            write()
    assert (migrations.get(found.id), instances.get(instance.uuid)) == (found, held)
    assert instances.faults([instance.uuid]) == {}


def test_a_fault_comes_with_the_end_that_it_explains(
    migrations: MigrationTable, instances: InstanceTable, instance: Instance
) -> None:
    begun = begin(migrations)
    fault = NewFault(500, "cannot migrate", "details", "a")
    held = instances.update(instance.uuid, {"task_state": TaskState.DELETING})
    with pytest.raises(InstanceStateError):
        migrations.update_both(
            begun.id, {"status": "failed"}, instance_changes={"task_state": None}, expected=MOVING, fault=fault
        )
    assert instances.faults([instance.uuid]) == {}
    assert migrations.update(begun.id, {"status": "failed"}, fault=fault).has_ended
    found = instances.faults([instance.uuid])[instance.uuid]
    assert (found.code, found.message, found.details, found.host) == (500, "cannot migrate", "details", "a")
    assert instances.get(instance.uuid) == held


def test_hand_over_gives_back_what_the_instance_has_claimed_of_the_host_that_it_leaves(
    migrations: MigrationTable, claims: ClaimTable, nodes: ComputeNodeTable, instance: Instance
) -> None:
    for host in ("a", "b"):
        nodes.report(compute_node(host, ROOM))
        claims.claim(instance.uuid, host, SMALL.resources, ROOM)
    begun = begin(migrations)
    with pytest.raises(InstanceStateError):
        migrations.hand_over(begun.id, instance_changes=MOVED, expected=replace(MOVING, host="c"), releases="a")
    assert sorted(claims.of(instance.uuid)) == ["a", "b"]
    migrations.hand_over(begun.id, instance_changes=MOVED, expected=replace(MOVING, host="a"), releases="a")
    assert sorted(claims.of(instance.uuid)) == ["b"]


def test_abort_is_wanted_and_says_nothing_of_who_works_on_it(
    migrations: MigrationTable, instance: Instance, clock: Clock
) -> None:
    begun = begin(migrations)
    clock.advance(5)
    assert migrations.want_abort(begun.id) == replace(begun, is_abort_wanted=True)
    assert migrations.want_abort(begun.id) == replace(begun, is_abort_wanted=True)
    assert migrations.want_force_complete(begun.id) == replace(
        begun, is_abort_wanted=True, is_force_complete_wanted=True
    )


def test_migration_that_is_handed_over_or_ended_is_not_aborted(migrations: MigrationTable, instance: Instance) -> None:
    begun = begin(migrations)
    migrations.update(begun.id, {"is_handed_over": True, "step": "post"})
    for want, verb in ((migrations.want_abort, "abort"), (migrations.want_force_complete, "force completion of")):
        with pytest.raises(MigrationStateError) as caught:
            want(begun.id)
        assert str(caught.value) == (
            f"cannot {verb} migration 1: its status is accepted, its step post, it is handed over"
        )
    migrations.update(begun.id, {"is_handed_over": False, "is_undoing": True, "status": "failed"})
    with pytest.raises(MigrationStateError, match="its status is failed, its step post, it is being undone"):
        migrations.want_abort(begun.id)
    assert migrations.get(begun.id).is_abort_wanted is False


MOVED: Mapping[str, Any] = {"host": "b", "node": "b.example.org", "flavor": LARGE}


def test_instance_and_migration_are_handed_over_together(
    migrations: MigrationTable, instances: InstanceTable, instance: Instance
) -> None:
    begun = begin(migrations)
    changes: dict[str, Any] = {"status": MigrationStatus.POST_MIGRATING, "step": "post"}
    migration, moved = migrations.hand_over(
        begun.id, instance_changes=MOVED, expected=replace(MOVING, host="a"), migration_changes=changes
    )
    assert migration == replace(begun, **changes, is_handed_over=True)
    assert (moved.host, moved.node, moved.flavor, moved.task_state) == ("b", "b.example.org", LARGE, "migrating")
    assert (instances.get(instance.uuid), migrations.get(begun.id)) == (moved, migration)
    again, _ = migrations.hand_over(begun.id, instance_changes=MOVED, expected=MOVING)
    assert again == migration


@pytest.mark.parametrize(
    ("changes", "instance_changes", "error"),
    [
        ({"is_undoing": True}, {}, MigrationStateError),
        ({"status": "failed"}, {}, MigrationStateError),
        ({}, {"task_state": TaskState.DELETING}, InstanceStateError),
        ({}, {"host": "c"}, InstanceStateError),
    ],
)
def test_hand_over_is_both_or_neither(
    migrations: MigrationTable,
    instances: InstanceTable,
    instance: Instance,
    changes: Mapping[str, Any],
    instance_changes: Mapping[str, Any],
    error: type[Exception],
) -> None:
    found = migrations.update(begin(migrations).id, changes)
    held = instances.update(instance.uuid, instance_changes)
    with pytest.raises(error):
        migrations.hand_over(found.id, instance_changes=MOVED, expected=replace(MOVING, host="a"))
    assert (migrations.get(found.id), instances.get(instance.uuid)) == (found, held)


@pytest.mark.parametrize("status", [MigrationStatus.FAILED, MigrationStatus.FINISHED, MigrationStatus.CONFIRMED])
def test_migration_ends_together_with_the_task_of_its_instance(
    migrations: MigrationTable, instance: Instance, clock: Clock, status: MigrationStatus
) -> None:
    begun = begin(migrations)
    clock.advance(9)
    ended, idle = migrations.end(
        begun.id, status, instance_changes={"task_state": None}, expected=MOVING, error="no host was found"
    )
    assert ended == replace(begun, status=status, error="no host was found", updated_at=clock.now)
    assert idle == replace(instance, updated_at=clock.now)


def test_end_is_both_or_neither_and_comes_once(
    migrations: MigrationTable, instances: InstanceTable, instance: Instance
) -> None:
    begun = begin(migrations)
    held = instances.update(instance.uuid, {"task_state": TaskState.DELETING})
    with pytest.raises(InstanceStateError):
        end(migrations, begun)
    assert (migrations.get(begun.id), instances.get(instance.uuid)) == (begun, held)
    instances.update(instance.uuid, {"task_state": TaskState.MIGRATING})
    end(migrations, begun)
    held = instances.update(instance.uuid, {"task_state": TaskState.MIGRATING})
    with pytest.raises(MigrationStateError, match="cannot update migration 1: its status is completed"):
        end(migrations, begun, MigrationStatus.FAILED)
    assert instances.get(instance.uuid) == held
    for status in IN_PROGRESS:
        with pytest.raises(ValueError, match=f"cannot end migration 1: {status} is no end"):
            end(migrations, begun, status)


def test_migration_outlives_its_instance(
    migrations: MigrationTable, instances: InstanceTable, instance: Instance
) -> None:
    begun = begin(migrations)
    instances.delete(instance.uuid)
    with pytest.raises(InstanceNotFoundError):
        end(migrations, begun)
    assert migrations.update(begun.id, {"status": "cancelled"}).has_ended
    assert migrations.list(MigrationQuery(instance_uuid=instance.uuid))[0].status is MigrationStatus.CANCELLED


def test_hand_overs_and_beginnings_at_once_do_not_wait_for_each_other(
    migrations: MigrationTable, instances: InstanceTable, instance: Instance
) -> None:
    begun = begin(migrations)

    def work(number: int) -> None:
        if number % 2:
            migrations.hand_over(begun.id, instance_changes=MOVED, expected=ANY)
        else:
            migrations.update(begun.id, {"progress": number})
            instances.update(instance.uuid, {"progress": number})

    assert failures(at_once(20, work)) == []
    assert migrations.get(begun.id).is_handed_over


def finished(migrations: MigrationTable, number: int) -> Migration:
    """One that waits to be confirmed or reverted."""
    begun = begin(migrations, number, type=MigrationType.RESIZE, new_flavor=LARGE, dest_compute="b")
    resized = {"task_state": None, "vm_state": VmState.RESIZED, "flavor": LARGE, "host": "b"}
    return migrations.end(begun.id, MigrationStatus.FINISHED, instance_changes=resized, expected=MOVING)[0]


def test_waiting_are_those_that_finished_long_ago_or_whose_instance_is_deleted(
    migrations: MigrationTable, instances: InstanceTable, clock: Clock
) -> None:
    for number in (1, 2, 3, 4):
        active(instances, number)
        finished(migrations, number)
        clock.advance(10)
    end(migrations, begin(migrations, 1))  # another one, which does not wait
    instances.delete(uuid_of(4))
    now = clock.now

    def waiting(older_than: datetime | None, tried_before: datetime = now, limit: int = 10) -> list[int]:
        return [each.id for each in migrations.waiting(older_than, tried_before=tried_before, limit=limit)]

    assert waiting(now - timedelta(seconds=30)) == [1, 2, 4]
    assert waiting(now - timedelta(seconds=30), limit=1) == [1]
    assert waiting(None) == [4]
    migrations.update(1, {"error": "its old host is down"})
    assert waiting(now, tried_before=now - timedelta(seconds=1)) == [2, 3, 4]
    assert waiting(now) == [2, 3, 4, 1]


GROWN = QuotaLimits(instances=-1, cores=5, ram_mb=-1)


def grow(migrations: MigrationTable, number: int, quota: QuotaLimits) -> Migration:
    """From one vcpu to four."""
    resize = new(number, type=MigrationType.RESIZE, new_flavor=LARGE)
    return migrations.begin(resize, {"task_state": TaskState.RESIZE_PREP}, IDLE, quota=quota, verb="resize")[0]


def test_resize_beyond_the_quota_begins_nothing(migrations: MigrationTable, instances: InstanceTable) -> None:
    for number in (1, 2):
        active(instances, number)
    grow(migrations, 1, GROWN)
    with pytest.raises(QuotaError) as caught:
        grow(migrations, 2, GROWN)
    assert str(caught.value) == (
        f"cannot resize instance {uuid_of(2)}: quota of cores is 5, 5 are used and 3 more were wanted"
    )
    assert instances.get(uuid_of(2)).task_state is None
    assert len(migrations.list(MigrationQuery())) == 1


def test_of_ten_resizes_at_once_into_a_quota_of_one_one_begins(
    migrations: MigrationTable, instances: InstanceTable
) -> None:
    for number in range(10):
        active(instances, number)
    quota = QuotaLimits(instances=-1, cores=13, ram_mb=-1)
    done = at_once(10, lambda number: grow(migrations, number, quota))
    assert [type(exc) for exc in failures(done)] == [QuotaError] * 9
    assert instances.usage("p1") == Usage(instances=10, cores=13, ram_mb=10 * 2048 + 6144)


def test_larger_flavor_counts_until_a_resize_is_confirmed(
    migrations: MigrationTable, instances: InstanceTable, instance: Instance
) -> None:
    instances.update(instance.uuid, {"flavor": LARGE})
    shrinking = begin(migrations, type=MigrationType.RESIZE, old_flavor=LARGE, new_flavor=SMALL)
    resized = {"task_state": None, "vm_state": VmState.RESIZED, "flavor": SMALL}
    migrations.end(shrinking.id, MigrationStatus.FINISHED, instance_changes=resized, expected=MOVING)
    assert instances.usage("p1") == Usage(instances=1, cores=4, ram_mb=8192)
    migrations.update(shrinking.id, {"status": MigrationStatus.CONFIRMED})
    assert instances.usage("p1") == Usage(instances=1, cores=1, ram_mb=2048)


@pytest.mark.parametrize("name", ["want_abort", "want_force_complete"])
def test_what_is_wanted_of_one_that_waits_is_due_at_once(
    migrations: MigrationTable, instances: InstanceTable, instance: Instance, clock: Clock, name: str
) -> None:
    later = clock.now + timedelta(seconds=300)
    active(instances, 2)
    active(instances, 3)
    waits, is_owned, is_new = (begin(migrations, number).id for number in (1, 2, 3))
    migrations.update(waits, {"owner": None, "due_at": later})
    migrations.update(is_owned, {"owner": "other", "due_at": later})
    clock.advance(1)
    for migration_id in (waits, is_owned, is_new):
        assert getattr(migrations, name)(migration_id).due_at == migrations.get(migration_id).due_at
    assert [migrations.get(each).due_at for each in (waits, is_owned, is_new)] == [clock.now, later, None]
    assert {migrations.get(each).updated_at for each in (waits, is_owned)} == {clock.now - timedelta(seconds=1)}
    silent_since = clock.now - timedelta(seconds=180)
    assert [each.id for each in migrations.left(silent_since, waiting_since=silent_since)] == [waits]


def test_claims_are_changed_for_a_migration_only_while_it_is_as_known(
    migrations: MigrationTable, claims: ClaimTable, nodes: ComputeNodeTable, instance: Instance
) -> None:
    nodes.report(compute_node("b"))
    migration = migrations.update(begin(migrations).id, {"owner": "one"})
    known = MigrationAsKnown(migration.id, migration.status, {"owner": "one", "step": None})
    larger = LARGE.resources
    claims.claim(instance.uuid, "b", SMALL.resources, ROOM, migration=known)
    claims.resize(instance.uuid, "b", larger, ROOM, migration=known)
    for changes in ({"owner": "other"}, {"owner": "one", "status": MigrationStatus.ERROR}):
        migrations.update(migration.id, changes)
        with pytest.raises(MigrationStateError, match="cannot go on with migration 1: others have gone on with it"):
            claims.release(instance.uuid, "b", migration=known)
        with pytest.raises(MigrationStateError):
            claims.resize(instance.uuid, "b", SMALL.resources, None, migration=known)
        with pytest.raises(MigrationStateError):
            claims.claim(instance.uuid, "b", SMALL.resources, ROOM, migration=known)
        assert claims.of(instance.uuid) == {"b": larger}
    migrations.update(migration.id, {"status": migration.status})
    claims.release(instance.uuid, "b", migration=known)
    assert claims.of(instance.uuid) == {}
