"""What counts against a project's quota while servers are resized, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cloud.db.instances import InstanceTable, NewInstance
from cloud.db.migration_records import MigrationTable, NewMigration
from cloud.db.quotas import QuotaLimits
from cloud.domain.expected import Expected
from cloud.domain.flavor import Flavor
from cloud.domain.instance import Instance, VmState
from cloud.domain.migration import Migration, MigrationStatus, MigrationType
from cloud.errors import QuotaError

SMALL = Flavor(1, "1", "small", memory_mb=512, vcpus=1, root_gb=1)
LARGE = Flavor(2, "2", "large", memory_mb=2048, vcpus=3, root_gb=1)
WIDE = Flavor(3, "3", "wide", memory_mb=256, vcpus=5, root_gb=1)
UNLIMITED = QuotaLimits(-1, -1, -1)


def make(instances: InstanceTable, number: int = 0, *, project: str = "p", flavor: Flavor = SMALL) -> Instance:
    uuid = f"8b9fc2a4-84be-47f8-b0b4-{number:012d}"
    (made,) = instances.create([NewInstance(uuid, project, "u", "vm", flavor, "r-1")], UNLIMITED)
    return instances.update(made.uuid, {"vm_state": VmState.ACTIVE, "task_state": None, "host": "HostB"})


def begin(
    migrations: MigrationTable,
    instance: Instance,
    new: Flavor,
    *,
    kind: MigrationType = MigrationType.RESIZE,
    quota: QuotaLimits | None = None,
) -> Migration:
    wanted = NewMigration(
        instance.uuid,
        kind,
        "req-1",
        "HostB",
        None,
        old_flavor=instance.flavor,
        new_flavor=new,
        old_vm_state=VmState.ACTIVE,
    )
    return migrations.begin(wanted, {}, Expected(), quota=quota)[0]


def used(instances: InstanceTable, project: str = "p") -> tuple[int, int, int]:
    usage = instances.usage(project)
    return usage.instances, usage.cores, usage.ram_mb


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (SMALL, LARGE, (1, 3, 2048)),
        (LARGE, SMALL, (1, 3, 2048)),
        (LARGE, WIDE, (1, 5, 2048)),
        (SMALL, SMALL, (1, 1, 512)),
    ],
)
def test_from_its_beginning_to_its_end_a_resize_counts_with_the_larger_of_each(
    instances: InstanceTable, migrations: MigrationTable, old: Flavor, new: Flavor, expected: tuple[int, int, int]
) -> None:
    instance = make(instances, flavor=old)
    make(instances, 1, project="other")
    migration = begin(migrations, instance, new)
    assert used(instances) == expected
    instances.update(instance.uuid, {"flavor": new, "vm_state": VmState.RESIZED})
    for status in (MigrationStatus.FINISHED, MigrationStatus.REVERTING):
        migrations.update(migration.id, {"status": status})
        assert used(instances) == expected
    migrations.update(migration.id, {"status": MigrationStatus.CONFIRMED})
    assert used(instances) == (1, new.vcpus, new.memory_mb)
    assert used(instances, "other") == (1, 1, 512)


def test_what_waits_for_nobody_any_more_counts_with_what_it_has(
    instances: InstanceTable, migrations: MigrationTable
) -> None:
    instance = make(instances, flavor=LARGE)
    migration = begin(migrations, instance, SMALL)
    migrations.update(migration.id, {"status": MigrationStatus.FINISHED})
    instances.update(instance.uuid, {"flavor": SMALL, "vm_state": VmState.RESIZED})
    instances.update(instance.uuid, {"vm_state": VmState.ACTIVE})  # as an admin resets a state
    assert used(instances) == (1, 1, 512)
    instances.update(instance.uuid, {"vm_state": VmState.RESIZED})
    instances.delete(instance.uuid)
    assert used(instances) == (0, 0, 0)


def test_moves_that_change_no_flavor_count_for_nothing(instances: InstanceTable, migrations: MigrationTable) -> None:
    for number, kind in enumerate(kind for kind in MigrationType if kind is not MigrationType.RESIZE):
        begin(migrations, make(instances, number), SMALL, kind=kind)
    assert used(instances) == (3, 3, 1536)


@pytest.mark.parametrize(
    ("quota", "new", "message"),
    [
        (QuotaLimits(-1, 3, -1), WIDE, "quota of cores is 3, 1 are used and 4 more were wanted"),
        (QuotaLimits(-1, -1, 2047), LARGE, "quota of ram is 2047, 512 are used and 1536 more were wanted"),
        (
            QuotaLimits(0, 2, 600),
            LARGE,
            "quota of cores is 2, 1 are used and 2 more were wanted; quota of ram is 600, 512 are used and 1536 more were wanted",
        ),
    ],
)
def test_a_resize_beyond_the_quota_is_refused_and_nothing_is_entered(
    instances: InstanceTable, migrations: MigrationTable, quota: QuotaLimits, new: Flavor, message: str
) -> None:
    instance = make(instances)
    with pytest.raises(QuotaError) as caught:
        begin(migrations, instance, new, quota=quota)
    assert str(caught.value) == f"cannot migrate instance {instance.uuid}: {message}"
    assert migrations.newest(instance.uuid) is None
    assert instances.get(instance.uuid) == instance


@pytest.mark.parametrize(
    ("quota", "new"),
    [(QuotaLimits(1, 3, 2048), LARGE), (QuotaLimits(0, 5, 0), WIDE), (QuotaLimits(0, 0, 0), SMALL), (UNLIMITED, WIDE)],
)
def test_what_a_resize_takes_no_more_of_is_not_asked_about(
    instances: InstanceTable, migrations: MigrationTable, quota: QuotaLimits, new: Flavor
) -> None:
    assert begin(migrations, make(instances), new, quota=quota).new_flavor == new


def test_resizes_at_the_same_time_do_not_go_beyond_the_quota_together(
    instances: InstanceTable, migrations: MigrationTable
) -> None:
    made = [make(instances, number) for number in range(6)]

    def resize(instance: Instance) -> Any:
        try:
            return begin(migrations, instance, LARGE, quota=QuotaLimits(-1, 12, -1))
        except QuotaError:
            return None

    with ThreadPoolExecutor(6) as pool:
        begun = [migration for migration in pool.map(resize, made) if migration is not None]
    assert len(begun) == 3
    assert used(instances) == (6, 12, 6 * 512 + 3 * 1536)
