"""What a host tells of itself."""

import pytest

from cloud.domain.flavor import Resources
from cloud.domain.instance import PowerState
from cloud.errors import ComputeError
from cloud.services.compute.tracker import Reserved, ResourceTracker
from tests.compute.site import HOST, OTHER, UUID, Site


def tracker(site: Site, reserved: Reserved) -> ResourceTracker:
    return ResourceTracker(site.host, "192.0.2.7", reserved, site.clock)


def test_it_tells_what_instances_may_have(site: Site) -> None:
    site.run(UUID)
    site.run(OTHER)
    site.driver.power_off(OTHER)
    tracker(site, Reserved(memory_mb=512, disk_mb=1025)).report()
    node = site.records.nodes.get(HOST)
    assert node.total == Resources(memory_mb=15488, vcpus=4, disk_gb=98)
    assert (node.node, node.host_ip, node.running_vms, node.free_disk_gb) == (HOST, "192.0.2.7", 1, 40)
    assert (node.hypervisor_type, node.hypervisor_version) == ("simulated", 1)
    assert node.cpu_info["topology"]["cores"] == 4
    assert node.storage_id == site.open_driver().storage_id()


def test_a_host_is_never_less_than_nothing(site: Site) -> None:
    tracker(site, Reserved(memory_mb=20_000, disk_mb=1 << 30)).report()
    assert site.records.nodes.get(HOST).total == Resources(memory_mb=0, vcpus=4, disk_gb=0)


@pytest.mark.parametrize("step", ["resources", "instances"])
def test_a_hypervisor_that_does_not_answer_is_told_by_nobody(site: Site, step: str) -> None:
    site.turn(fail=[step])
    with pytest.raises(ComputeError, match=f"step {step} fails by knob"):
        tracker(site, Reserved()).report()
    assert site.records.asked == []


def test_its_info_is_the_same_as_json(site: Site) -> None:
    site.run()
    info = dict(tracker(site, Reserved(memory_mb=512)).info())
    assert set(info.pop("cpu_info")) == {"arch", "vendor", "model", "topology", "features"}
    assert info == {
        "host": HOST,
        "node": HOST,
        "memory_mb": 15488,
        "vcpus": 4,
        "disk_gb": 100,
        "free_disk_gb": 40,
        "running_vms": 1,
        "hypervisor_type": "simulated",
        "hypervisor_version": 1,
        "host_ip": "192.0.2.7",
    }
    assert site.driver.power_state(UUID) is PowerState.RUNNING
