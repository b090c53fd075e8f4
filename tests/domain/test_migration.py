"""Migrations, as they travel over the bus, and the words they have."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cloud.domain.flavor import Flavor
from cloud.domain.instance import VmState
from cloud.domain.migration import ENDED, IN_PROGRESS, Migration, MigrationStatus, MigrationType

SMALL = Flavor(id=2, flavorid="2", name="m1.small", memory_mb=2048, vcpus=1, root_gb=20)
LARGE = Flavor(id=4, flavorid="4", name="m1.large", memory_mb=8192, vcpus=4, root_gb=80, extra_specs={"a": "b"})
MIGRATION = Migration(
    id=7,
    uuid="00000000-0000-0000-0000-000000000007",
    instance_uuid="00000000-0000-0000-0000-000000000001",
    type=MigrationType.RESIZE,
    status=MigrationStatus.POST_MIGRATING,
    request_id="req-1",
    source_compute="compute-01",
    dest_compute=None,
    old_flavor=SMALL,
    new_flavor=LARGE,
    old_vm_state=VmState.STOPPED,
    created_at=datetime(2014, 10, 16, 12, 0, tzinfo=UTC),
    updated_at=datetime(2014, 10, 16, 12, 0, 10, 250001, tzinfo=UTC),
    options={"block_migration": None},
)


@pytest.mark.parametrize(
    "migration",
    [MIGRATION, replace(MIGRATION, dest_compute="b", destination={"uri": "qemu+tcp://b/system"}, is_undoing=True)],
)
def test_migration_arrives_as_it_was_sent(migration: Migration) -> None:
    assert Migration.from_dict(json.loads(json.dumps(migration.as_dict()))) == migration


def test_migration_travels_in_nova_s_words() -> None:
    values = MIGRATION.as_dict()
    assert {name: values[name] for name in ("type", "status", "old_vm_state", "created_at", "updated_at")} == {
        "type": "resize",
        "status": "post-migrating",
        "old_vm_state": "stopped",
        "created_at": "2014-10-16T12:00:00+00:00",
        "updated_at": "2014-10-16T12:00:10.250001+00:00",
    }


def test_unknown_states_and_keys_are_refused() -> None:
    for name in ("type", "status", "old_vm_state"):
        with pytest.raises(ValueError, match="is not a valid"):
            Migration.from_dict(MIGRATION.as_dict() | {name: "wobbly"})
    with pytest.raises(TypeError):
        Migration.from_dict(MIGRATION.as_dict() | {"colour": "red"})


def test_each_status_has_ended_or_is_in_progress_but_that_which_waits() -> None:
    assert set(MigrationStatus) - {MigrationStatus.FINISHED} == ENDED | IN_PROGRESS
    assert ENDED.isdisjoint(IN_PROGRESS)
    assert not MIGRATION.has_ended
    assert MIGRATION.is_in_progress
    waiting = replace(MIGRATION, status=MigrationStatus.FINISHED)
    assert (waiting.has_ended, waiting.is_in_progress) == (False, False)
    assert replace(MIGRATION, status=MigrationStatus.ERROR).has_ended
