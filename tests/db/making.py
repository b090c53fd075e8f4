"""What tests of the tables put into them."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier
from typing import Any, TypeVar
from uuid import UUID

from cloud.db.instances import NewInstance
from cloud.db.quotas import QuotaLimits
from cloud.domain.flavor import Flavor, Resources
from cloud.domain.host import ComputeNode
from tests.db.conftest import Clock

SMALL = Flavor(id=2, flavorid="2", name="m1.small", memory_mb=2048, vcpus=1, root_gb=20, ephemeral_gb=10)
TOTAL = Resources(16384, 8, 200)
NO_QUOTA = QuotaLimits(-1, -1, -1)
Result = TypeVar("Result")


def uuid_of(number: int) -> str:
    return str(UUID(int=number))


def new_instance(number: int, **changes: Any) -> NewInstance:
    """The instance whose uuid is that number, in project `p1`."""
    values: dict[str, Any] = {
        "uuid": uuid_of(number),
        "project_id": "p1",
        "user_id": "u1",
        "display_name": f"web-{number}",
        "flavor": SMALL,
        "reservation_id": "r-abcdefgh",
    }
    return NewInstance(**values | changes)


def compute_node(host: str, total: Resources = TOTAL) -> ComputeNode:
    return ComputeNode(
        host=host,
        node=f"{host}.example.org",
        total=total,
        used=Resources(0, 0, 0),
        hypervisor_type="QEMU",
        hypervisor_version=2000000,
        cpu_info={"arch": "x86_64", "features": ["vmx"]},
        host_ip="192.0.2.11",
        running_vms=0,
        free_disk_gb=150,
        updated_at=Clock()(),
    )


def at_once(count: int, work: Callable[[int], Result]) -> Sequence["Future[Result]"]:
    """`work` of every number below `count`, each in a thread of its own, all beginning together; ended when returned."""
    start = Barrier(count)

    def one(number: int) -> Result:
        start.wait(30)
        return work(number)

    with ThreadPoolExecutor(count) as threads:
        return [threads.submit(one, number) for number in range(count)]


def failures(futures: Sequence["Future[Any]"]) -> list[BaseException]:
    return [exc for future in futures if (exc := future.exception()) is not None]
