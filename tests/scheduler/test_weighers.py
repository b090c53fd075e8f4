"""Each weigher on its own: a host, and what it weighs."""

import pytest

from cloud.domain.flavor import Resources
from cloud.domain.host import HostState
from cloud.services.scheduler.weighers.disk import DiskWeigher
from cloud.services.scheduler.weighers.num_instances import NumInstancesWeigher
from cloud.services.scheduler.weighers.ram import RamWeigher
from cloud.services.scheduler.weighers.table import WEIGHERS
from cloud.services.scheduler.weighers.weigher import Weigher
from tests.scheduler.hosts import state

CASES: list[tuple[Weigher, HostState, float]] = [
    (RamWeigher(), state(), 8192.0),
    (RamWeigher(), state(used=Resources(512, 0, 0)), 7680.0),
    (RamWeigher(), state(used=Resources(10000, 0, 0)), -1808.0),
    (DiskWeigher(), state(), 100.0),
    (DiskWeigher(), state(used=Resources(0, 0, 30)), 70.0),
    (DiskWeigher(), state(used=Resources(0, 0, 30), free_disk_gb=50), 50.0),
    (DiskWeigher(), state(used=Resources(0, 0, 130), free_disk_gb=50), -30.0),
    (NumInstancesWeigher(), state(), 0.0),
    (NumInstancesWeigher(), state(running_vms=7), 7.0),
]


@pytest.mark.parametrize(("weigher", "host", "weight"), CASES)
def test_weight_of_a_host(weigher: Weigher, host: HostState, weight: float) -> None:
    assert weigher.weigh(host) == weight


def test_weighers_have_novas_names() -> None:
    assert tuple(WEIGHERS) == ("RAMWeigher", "DiskWeigher", "NumInstancesWeigher")
    assert {type(weigher) for weigher in WEIGHERS.values()} == {type(weigher) for weigher, *_ in CASES}
