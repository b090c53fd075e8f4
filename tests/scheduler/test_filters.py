"""Each filter on its own: a host, a request, and whether the one may take the other."""

from collections.abc import Sequence
from typing import Any

import pytest

from cloud.domain.flavor import Resources
from cloud.domain.host import BuildRequest, HostState
from cloud.services.scheduler.filters.aggregate_instance_extra_specs import AggregateInstanceExtraSpecsFilter
from cloud.services.scheduler.filters.aggregate_multi_tenancy_isolation import AggregateMultiTenancyIsolation
from cloud.services.scheduler.filters.availability_zone import AvailabilityZoneFilter
from cloud.services.scheduler.filters.compute import ComputeFilter
from cloud.services.scheduler.filters.core import CoreFilter
from cloud.services.scheduler.filters.different_host import DifferentHostFilter
from cloud.services.scheduler.filters.disk import DiskFilter
from cloud.services.scheduler.filters.filter import Filter
from cloud.services.scheduler.filters.forced_host import ForcedHostFilter, RequestedHostFilter, UpFilter
from cloud.services.scheduler.filters.image_properties import ImagePropertiesFilter
from cloud.services.scheduler.filters.json_query import JsonFilter
from cloud.services.scheduler.filters.ram import RamFilter
from cloud.services.scheduler.filters.retry import RetryFilter
from cloud.services.scheduler.filters.same_host import SameHostFilter
from cloud.services.scheduler.filters.table import DEFAULT_FILTER_NAMES, FILTER_NAMES, filters_by_name
from cloud.services.scheduler.ratios import Ratios
from tests.scheduler.hosts import aggregate, request, state

Case = tuple[HostState, BuildRequest, bool]
RATIOS = Ratios(memory=1.5, vcpus=16.0, disk=1.0)
STRICT = Ratios(memory=1.0, vcpus=1.0, disk=1.0)


def used(memory_mb: int = 0, vcpus: int = 0, disk_gb: int = 0) -> dict[str, Any]:
    return {"used": Resources(memory_mb, vcpus, disk_gb)}


def wants(**of_flavor: int) -> BuildRequest:
    return request(of_flavor=of_flavor)


def hints(**hints: object) -> BuildRequest:
    return request(hints=hints)


def specs(**extra_specs: str) -> BuildRequest:
    return request(of_flavor={"extra_specs": {key.replace("__", ":"): text for key, text in extra_specs.items()}})


def image(**properties: str) -> BuildRequest:
    return request(image_properties=properties)


CASES: dict[Filter, Sequence[Case]] = {
    ComputeFilter(): [
        (state(), request(), True),
        (state(is_up=False), request(), False),
        (state(is_enabled=False), request(), False),
        (state(is_up=False, is_enabled=False), request(), False),
    ],
    RetryFilter(): [
        (state(), request(), True),
        (state(), request(ignored_hosts=("compute-01",)), False),
        (state(), request(ignored_hosts=("compute-010", "compute-02")), True),
    ],
    AvailabilityZoneFilter(): [
        (state(zone="east"), request(), True),
        (state(zone="east"), request(availability_zone="east"), True),
        (state(zone="east"), request(availability_zone="west"), False),
        (state(zone="east"), request(availability_zone="East"), False),
    ],
    RamFilter(RATIOS): [  # 8192 MB, 12288 may be claimed
        (state(), wants(memory_mb=8192), True),
        (state(), wants(memory_mb=8193), False),
        (state(**used(memory_mb=4096)), wants(memory_mb=8192), True),
        (state(**used(memory_mb=4097)), wants(memory_mb=8192), False),
        (state(**used(memory_mb=11776)), wants(memory_mb=512), True),
        (state(**used(memory_mb=11777)), wants(memory_mb=512), False),
        (state(**used(memory_mb=20000)), wants(memory_mb=0), False),
    ],
    RamFilter(STRICT): [
        (state(**used(memory_mb=7680)), wants(memory_mb=512), True),
        (state(**used(memory_mb=7681)), wants(memory_mb=512), False),
    ],
    CoreFilter(RATIOS): [  # 4, 64 may be claimed
        (state(), wants(vcpus=4), True),
        (state(), wants(vcpus=5), False),
        (state(**used(vcpus=60)), wants(vcpus=4), True),
        (state(**used(vcpus=61)), wants(vcpus=4), False),
        (state(**used(vcpus=63)), wants(vcpus=1), True),
        (state(**used(vcpus=64)), wants(vcpus=1), False),
    ],
    DiskFilter(RATIOS): [  # 100 GB
        (state(), wants(root_gb=100), True),
        (state(), wants(root_gb=101), False),
        (state(), wants(root_gb=60, ephemeral_gb=40), True),
        (state(), wants(root_gb=60, ephemeral_gb=41), False),
        (state(**used(disk_gb=40)), wants(root_gb=60), True),
        (state(**used(disk_gb=41)), wants(root_gb=60), False),
        (state(free_disk_gb=60), wants(root_gb=60), True),
        (state(free_disk_gb=59), wants(root_gb=60), False),
        (state(free_disk_gb=120), wants(root_gb=101), False),
        (state(free_disk_gb=90, **used(disk_gb=40)), wants(root_gb=61), False),
    ],
    DiskFilter(Ratios(disk=2.0)): [  # 200 GB may be claimed
        (state(free_disk_gb=50, **used(disk_gb=40)), wants(root_gb=150), True),
        (state(free_disk_gb=50, **used(disk_gb=40)), wants(root_gb=151), False),
    ],
    SameHostFilter(): [
        (state(), request(), True),
        (state(instances=("a",)), request(), True),
        (state(instances=("a",)), hints(same_host="a"), True),
        (state(instances=("a",)), hints(same_host=["a", "b"]), True),
        (state(instances=("b",)), hints(same_host="a"), False),
        (state(), hints(same_host=["a"]), False),
        (state(), hints(same_host=[]), True),
        (state(), hints(different_host="a"), True),
    ],
    DifferentHostFilter(): [
        (state(), request(), True),
        (state(instances=("a",)), request(), True),
        (state(instances=("a",)), hints(different_host="a"), False),
        (state(instances=("a",)), hints(different_host=["b", "a"]), False),
        (state(instances=("b",)), hints(different_host="a"), True),
        (state(instances=("a",)), hints(same_host="a"), True),
    ],
    AggregateInstanceExtraSpecsFilter(): [
        (state(), request(), True),
        (state(), specs(ssd="true"), False),
        (state(aggregates=(aggregate(ssd="true"),)), specs(ssd="true"), True),
        (state(aggregates=(aggregate(ssd="false"),)), specs(ssd="true"), False),
        (state(aggregates=(aggregate(ssd="true"),)), specs(aggregate_instance_extra_specs__ssd="true"), True),
        (state(aggregates=(aggregate(ssd="false"),)), specs(aggregate_instance_extra_specs__ssd="true"), False),
        (state(), specs(hw__cpu_policy="dedicated"), True),
        (state(aggregates=(aggregate(ssd="false"), aggregate(ssd="true"))), specs(ssd="true"), True),
        (state(aggregates=(aggregate(ssd="true"), aggregate(gpu="2"))), specs(ssd="true", gpu=">= 2"), True),
        (state(aggregates=(aggregate(ssd="true"), aggregate(gpu="1"))), specs(ssd="true", gpu=">= 2"), False),
        (state(aggregates=(aggregate(ssd="true"),)), specs(ssd="true", gpu="1"), False),
    ],
    AggregateMultiTenancyIsolation(): [
        (state(), request(), True),
        (state(aggregates=(aggregate(ssd="true"),)), request(), True),
        (state(aggregates=(aggregate(filter_tenant_id="project-1"),)), request(), True),
        (state(aggregates=(aggregate(filter_tenant_id="project-2"),)), request(), False),
        (state(aggregates=(aggregate(filter_tenant_id="project-2, project-1"),)), request(), True),
        (state(aggregates=(aggregate(filter_tenant_id="project-10"),)), request(), False),
        (
            state(aggregates=(aggregate(filter_tenant_id="project-2"), aggregate(filter_tenant_id="project-1"))),
            request(),
            True,
        ),
        (state(aggregates=(aggregate(filter_tenant_id=""),)), request(), False),
    ],
    ImagePropertiesFilter(): [
        (state(), image(), True),
        (state(), image(os_distro="debian"), True),
        (state(), image(architecture="x86_64"), True),
        (state(), image(architecture="AMD64"), True),
        (state(), image(architecture="i386"), True),
        (state(), image(architecture="arm64"), False),
        (state(), image(hw_architecture="aarch64"), False),
        (state(cpu_info={"arch": "aarch64"}), image(architecture="arm64"), True),
        (state(cpu_info={"arch": "aarch64"}), image(architecture="i686"), False),
        (state(cpu_info={"arch": "i686"}), image(architecture="x86_64"), False),
        (state(cpu_info={}), image(architecture="x86_64"), False),
        (state(cpu_info={}), image(os_distro="debian"), True),
        (state(), image(architecture=""), True),
        (state(), image(hypervisor_type="qemu"), True),
        (state(), image(hypervisor_type="kvm"), True),
        (state(), image(img_hv_type="kvm"), True),
        (state(), image(hypervisor_type="xen"), False),
        (state(hypervisor_type="xen"), image(hypervisor_type="xapi"), True),
        (state(hypervisor_type="simulated"), image(hypervisor_type="kvm"), False),
        (state(), image(vm_mode="hvm"), True),
        (state(), image(vm_mode="xen"), False),
        (state(), image(hw_vm_mode="exe"), False),
        (state(hypervisor_type="xen"), image(vm_mode="pv"), True),
        (state(hypervisor_type="LXC"), image(vm_mode="exe"), True),
        (state(hypervisor_type="LXC"), image(vm_mode="hvm"), False),
        (state(), image(architecture="x86_64", hypervisor_type="kvm", vm_mode="hvm"), True),
        (state(), image(architecture="x86_64", hypervisor_type="kvm", vm_mode="xen"), False),
        (state(), image(hypervisor_version_requires=">=2.1"), True),  # it has 2.1.2
        (state(), image(hypervisor_version_requires=">2.1"), True),
        (state(), image(hypervisor_version_requires=">2.1.2"), False),
        (state(), image(hypervisor_version_requires="==2.1.2"), True),
        (state(), image(hypervisor_version_requires="!=2.1.2"), False),
        (state(), image(hypervisor_version_requires=" >= 1.10 , < 3"), True),
        (state(), image(hypervisor_version_requires=">=1.10, <2.1"), False),
        (state(), image(img_hv_requested_version="<=2"), False),
        (state(hypervisor_version=1002003), image(hypervisor_version_requires="==1.2.3"), True),
        (state(), image(hypervisor_version_requires="2.1.2"), False),
        (state(), image(hypervisor_version_requires=">=2.1,"), False),
        (state(), image(hypervisor_version_requires=">=two"), False),
        (state(), image(hypervisor_version_requires=">=" + "9" * 250), False),
        (state(), image(hypervisor_version_requires=">=2.\u0661"), False),
    ],
    JsonFilter(): [
        (state(), request(), True),
        (state(), hints(query='[">=", "$free_ram_mb", 8192]'), True),
        (state(), hints(query='[">", "$free_ram_mb", 8192]'), False),
        (state(**used(memory_mb=1)), hints(query='[">=", "$free_ram_mb", 8192]'), False),
        (state(**used(disk_gb=1)), hints(query='["=", "$free_disk_mb", 101376]'), True),
        (state(running_vms=3), hints(query='["in", "$num_instances", 1, 3, 5]'), True),
        (state(running_vms=2), hints(query='["in", "$num_instances", 1, 3, 5]'), False),
        (state(), hints(query='["=", "$hypervisor_type", "QEMU"]'), True),
        (state(), hints(query='["and", ["=", "$vcpus_total", 4], ["<", "$vcpus_used", 1]]'), True),
        (state(), hints(query='["and", ["=", "$vcpus_total", 4], ["<", 1, "$vcpus_used"]]'), False),
        (state(), hints(query='["or", ["=", "$vcpus_total", 5], ["<=", "$vcpus_used", 0]]'), True),
        (state(), hints(query='["not", ["=", "$vcpus_total", 4]]'), False),
        (state(), hints(query="[]"), True),
        # What cannot be read.
        (state(), hints(query=""), False),
        (state(), hints(query="{"), False),
        (state(), hints(query=["=", 1, 1]), False),
        (state(), hints(query='["=", "$vcpus_total"]'), False),
        (state(), hints(query='["~", 1, 1]'), False),
        (state(), hints(query='[["="], 1, 1]'), False),
        (state(), hints(query='["=", "$host", "compute-01"]'), False),
        (state(), hints(query='[">", "$vcpus_total", "4"]'), False),
        (state(), hints(query='["not", ' * 15 + "[]" + "]" * 15), False),
        (state(), hints(query='["and", ' * 16 + "1" + "]" * 16), True),
        (state(), hints(query='["and", ' * 17 + "1" + "]" * 17), False),
        (state(), hints(query="[" * 4000), False),
        (state(), hints(query="[" * 2000 + "]" * 2000), False),
        (state(), hints(query='["=", 1, 1]' + " " * 4096), False),
    ],
    ForcedHostFilter(): [
        (state(), request(forced_host="compute-01"), True),
        (state(), request(forced_host="compute-02"), False),
        (state(), request(forced_host="compute-01.example.org"), False),
    ],
    RequestedHostFilter(): [
        (state(), request(requested_host="compute-01"), True),
        (state(), request(requested_host="compute-02"), False),
    ],
    UpFilter(): [
        (state(is_enabled=False), request(), True),
        (state(is_up=False), request(), False),
    ],
}


@pytest.mark.parametrize(
    ("filter_", "host", "wanted", "passes"),
    [
        pytest.param(filter_, *case, id=f"{filter_.name}-{number}")
        for filter_, cases in CASES.items()
        for number, case in enumerate(cases)
    ],
)
def test_filter_passes_a_host_or_not(filter_: Filter, host: HostState, wanted: BuildRequest, passes: bool) -> None:
    assert filter_.passes(host, wanted) is passes


def test_every_filter_that_can_be_chosen_is_tested_above() -> None:
    assert {*FILTER_NAMES} <= {each.name for each in CASES}


def test_filters_have_novas_names() -> None:
    assert FILTER_NAMES == (
        "ComputeFilter",
        "RetryFilter",
        "AvailabilityZoneFilter",
        "RamFilter",
        "CoreFilter",
        "DiskFilter",
        "SameHostFilter",
        "DifferentHostFilter",
        "AggregateInstanceExtraSpecsFilter",
        "ImagePropertiesFilter",
        "AggregateMultiTenancyIsolation",
        "JsonFilter",
    )
    assert FILTER_NAMES[:-2] == DEFAULT_FILTER_NAMES


def test_filters_of_the_table_count_up_to_its_ratios() -> None:
    filters = filters_by_name(STRICT)
    assert [filters[name] for name in ("RamFilter", "CoreFilter", "DiskFilter")] == [
        RamFilter(STRICT),
        CoreFilter(STRICT),
        DiskFilter(STRICT),
    ]
