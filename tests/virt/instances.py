"""Instances that nobody has built yet."""

from datetime import UTC, datetime

from cloud.domain.flavor import Flavor
from cloud.domain.instance import Instance, PowerState, TaskState, VmState

UUID = "7b0c9c54-31f7-4a8e-a5a6-8c3a80b4a1d2"
OTHER = "0e61a1de-2a3c-4b0b-9a52-3b1a5a1d7c11"
TINY = Flavor(id=1, flavorid="1", name="m1.tiny", memory_mb=512, vcpus=1, root_gb=1)
SMALL = Flavor(id=2, flavorid="2", name="m1.small", memory_mb=2048, vcpus=2, root_gb=20)


def instance(uuid: str = UUID, *, flavor: Flavor = TINY, name: str = "web") -> Instance:
    at = datetime(2014, 10, 16, 12, 0, tzinfo=UTC)
    return Instance(
        id=1,
        uuid=uuid,
        project_id="p",
        user_id="u",
        display_name=name,
        flavor=flavor,
        vm_state=VmState.BUILDING,
        task_state=TaskState.SPAWNING,
        power_state=PowerState.NOSTATE,
        created_at=at,
        updated_at=at,
        addresses=("10.0.0.2",),
    )
