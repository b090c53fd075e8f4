"""The scheduler's part of nova.conf."""

from pathlib import Path

import pytest

from cloud.services.configuration import ConfigurationError, read_configuration
from cloud.services.scheduler.filters.compute import ComputeFilter
from cloud.services.scheduler.filters.ram import RamFilter
from cloud.services.scheduler.filters.table import DEFAULT_FILTER_NAMES
from cloud.services.scheduler.options import SCHEDULER_OPTIONS, configured_rules
from cloud.services.scheduler.ratios import Ratios
from cloud.services.scheduler.scheduler import Rules
from cloud.services.scheduler.weighers.disk import DiskWeigher
from cloud.services.scheduler.weighers.num_instances import NumInstancesWeigher
from cloud.services.scheduler.weighers.ram import RamWeigher


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "nova.conf"


def rules(file: Path, text: str) -> Rules:
    file.write_text(f"[DEFAULT]\n{text}\n")
    return configured_rules(read_configuration([file], groups={"DEFAULT": SCHEDULER_OPTIONS}))


def test_without_options_it_goes_by_novas_ratios_and_spreads_by_memory_and_disk(file: Path) -> None:
    chosen = rules(file, "")
    assert tuple(each.name for each in chosen.filters) == DEFAULT_FILTER_NAMES
    assert chosen.weighers == ((RamWeigher(), 1.0), (DiskWeigher(), 1.0), (NumInstancesWeigher(), 0.0))
    assert chosen.ratios == Ratios(memory=1.5, vcpus=16.0, disk=1.0)
    assert chosen.subset_size == 1


def test_everything_can_be_chosen(file: Path) -> None:
    text = """
        scheduler_default_filters = RamFilter, ComputeFilter
        scheduler_weight_classes = NumInstancesWeigher, RAMWeigher
        scheduler_host_subset_size = 5
        ram_allocation_ratio = 1.0
        cpu_allocation_ratio = 8
        disk_allocation_ratio = 2.5
        ram_weight_multiplier = 0.5
        num_instances_weight_multiplier = -3
    """
    ratios = Ratios(memory=1.0, vcpus=8.0, disk=2.5)
    assert rules(file, "\n".join(line.strip() for line in text.splitlines())) == Rules(
        filters=(RamFilter(ratios), ComputeFilter()),
        weighers=((NumInstancesWeigher(), -3.0), (RamWeigher(), 0.5)),
        ratios=ratios,
        subset_size=5,
    )


KNOWN_FILTERS = (
    "ComputeFilter, RetryFilter, AvailabilityZoneFilter, RamFilter, CoreFilter, DiskFilter, SameHostFilter, "
    "DifferentHostFilter, AggregateInstanceExtraSpecsFilter, ImagePropertiesFilter, AggregateMultiTenancyIsolation, "
    "JsonFilter"
)


@pytest.mark.parametrize(
    ("line", "option", "cause"),
    [
        (
            "scheduler_default_filters = ComputeFilter,RAMFilter",
            "scheduler_default_filters",
            f"unknown filter 'RAMFilter': expected some of {KNOWN_FILTERS}",
        ),
        (
            "scheduler_default_filters = RamFilter,ComputeFilter,RamFilter",
            "scheduler_default_filters",
            "filter RamFilter is listed more than once",
        ),
        (
            "scheduler_weight_classes = all_weighers",
            "scheduler_weight_classes",
            "unknown weigher 'all_weighers': expected some of RAMWeigher, DiskWeigher, NumInstancesWeigher",
        ),
        ("ram_allocation_ratio = 0", "ram_allocation_ratio", "Should be greater than or equal to 0.01"),
        ("cpu_allocation_ratio = nan", "cpu_allocation_ratio", "nan is not a number to count with"),
        ("scheduler_host_subset_size = 0", "scheduler_host_subset_size", "Should be greater than or equal to 1"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_option_and_what_is_known(
    file: Path, line: str, option: str, cause: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        rules(file, line)
    assert str(refused.value) == f"cannot use option {option} of {file}: {cause}"
