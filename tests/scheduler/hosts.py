"""Hosts and requests for the tests of the scheduler, of which a test says only what it is about."""

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cloud.domain.flavor import Flavor, Resources
from cloud.domain.host import Aggregate, BuildRequest, ComputeNode, HostState

NOW = datetime(2014, 10, 16, 12, 0, tzinfo=UTC)


def chance(seed: int = 1) -> random.Random:
    return random.Random(seed)  # noqa: S311 - what is wanted is that it can be foretold


def node(host: str = "compute-01", **changes: Any) -> ComputeNode:
    """8 GiB, 4 vCPUs and 100 GB, of which nothing is used."""
    values: dict[str, Any] = {
        "total": Resources(8192, 4, 100),
        "used": Resources(0, 0, 0),
        "hypervisor_type": "QEMU",
        "hypervisor_version": 2001002,
        "cpu_info": {"arch": "x86_64"},
        "host_ip": "192.0.2.1",
        "running_vms": 0,
        "free_disk_gb": 100,
        "updated_at": NOW,
    }
    return ComputeNode(host=host, node=f"{host}.example.org", **values | changes)


def state(
    host: str = "compute-01",
    *,
    is_up: bool = True,
    is_enabled: bool = True,
    zone: str = "nova",
    aggregates: tuple[Aggregate, ...] = (),
    instances: tuple[str, ...] = (),
    **changes: Any,
) -> HostState:
    """A host that is up and enabled; `changes` are its node's."""
    return HostState(node(host, **changes), is_up, is_enabled, zone, aggregates, frozenset(instances))


def aggregate(**metadata: str) -> Aggregate:
    return Aggregate(1, "some", None, ("compute-01",), metadata, NOW, NOW)


def flavor(**changes: Any) -> Flavor:
    """512 MiB, one vCPU, 1 GB."""
    values: dict[str, Any] = {"memory_mb": 512, "vcpus": 1, "root_gb": 1}
    return Flavor(id=1, flavorid="1", name="m1.tiny", **values | changes)


def request(*, of_flavor: Mapping[str, Any] | None = None, **changes: Any) -> BuildRequest:
    """An instance of the flavor above."""
    values: dict[str, Any] = {"instance_uuid": "uuid-1", "project_id": "project-1", "image_id": "image-1"}
    return BuildRequest(flavor=flavor(**of_flavor or {}), **values | changes)
