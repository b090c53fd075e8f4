"""What is wanted of a host, as it is known from the database: the same as the API's cast said."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from cloud.domain.host import BuildRequest
from cloud.domain.instance import Instance, PowerState, TaskState, VmState
from cloud.domain.migration import Migration, MigrationStatus, MigrationType
from cloud.services.conductor.moves.request import request_of
from tests.db.making import SMALL

UUID = "7b0c9c54-31f7-4a8e-a5a6-8c3a80b4a1d2"
NOW = datetime(2014, 10, 16, 12, 0, tzinfo=UTC)
LARGE = replace(SMALL, id=3, name="m1.large", memory_mb=8192)
INSTANCE = Instance(
    id=1,
    uuid=UUID,
    project_id="p1",
    user_id="u1",
    display_name="web",
    flavor=SMALL,
    vm_state=VmState.ACTIVE,
    task_state=TaskState.MIGRATING,
    power_state=PowerState.RUNNING,
    created_at=NOW,
    updated_at=NOW,
    image_id="70a599e0-31e7-49b7-b260-868f441e862b",
    host="compute-01",
    availability_zone="north",
    system_metadata={"image_hypervisor_type": "qemu", "image_min_disk": "5", "image_min_ram": "64"},
)


def migration(**options: Any) -> Migration:
    return Migration(
        id=1,
        uuid=UUID,
        instance_uuid=UUID,
        type=MigrationType.LIVE,
        status=MigrationStatus.ACCEPTED,
        request_id=None,
        source_compute="compute-01",
        dest_compute=None,
        old_flavor=SMALL,
        new_flavor=LARGE,
        old_vm_state=VmState.ACTIVE,
        created_at=NOW,
        updated_at=NOW,
        options=options,
    )


WANTED = BuildRequest(
    instance_uuid=UUID,
    project_id="p1",
    flavor=LARGE,
    image_id="70a599e0-31e7-49b7-b260-868f441e862b",
    image_properties={"hypervisor_type": "qemu"},
    min_disk_gb=5,
    min_ram_mb=64,
    availability_zone="north",
    ignored_hosts=("compute-01",),
)


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        ({}, {}),
        ({"host": "compute-02"}, {"requested_host": "compute-02"}),
        ({"host": "compute-02", "is_forced": False}, {"requested_host": "compute-02"}),
        ({"host": "compute-02", "is_forced": True}, {"forced_host": "compute-02"}),
        ({"host": None, "is_forced": False, "may_stay": True}, {"ignored_hosts": ()}),
    ],
)
def test_a_request_is_made_of_what_was_asked_for(options: dict[str, Any], changes: dict[str, Any]) -> None:
    assert request_of(migration(**options), INSTANCE) == replace(WANTED, **changes)
