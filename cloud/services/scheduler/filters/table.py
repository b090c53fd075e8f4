"""Every filter that nova.conf may choose."""

from collections.abc import Mapping, Sequence

from cloud.services.scheduler.filters.aggregate_instance_extra_specs import AggregateInstanceExtraSpecsFilter
from cloud.services.scheduler.filters.aggregate_multi_tenancy_isolation import AggregateMultiTenancyIsolation
from cloud.services.scheduler.filters.availability_zone import AvailabilityZoneFilter
from cloud.services.scheduler.filters.compute import ComputeFilter
from cloud.services.scheduler.filters.core import CoreFilter
from cloud.services.scheduler.filters.different_host import DifferentHostFilter
from cloud.services.scheduler.filters.disk import DiskFilter
from cloud.services.scheduler.filters.filter import Filter
from cloud.services.scheduler.filters.image_properties import ImagePropertiesFilter
from cloud.services.scheduler.filters.json_query import JsonFilter
from cloud.services.scheduler.filters.ram import RamFilter
from cloud.services.scheduler.filters.retry import RetryFilter
from cloud.services.scheduler.filters.same_host import SameHostFilter
from cloud.services.scheduler.ratios import Ratios


def filters_by_name(ratios: Ratios) -> Mapping[str, Filter]:
    """Those that count resources count up to `ratios`."""
    every: Sequence[Filter] = (
        ComputeFilter(),
        RetryFilter(),
        AvailabilityZoneFilter(),
        RamFilter(ratios),
        CoreFilter(ratios),
        DiskFilter(ratios),
        SameHostFilter(),
        DifferentHostFilter(),
        AggregateInstanceExtraSpecsFilter(),
        ImagePropertiesFilter(),
        AggregateMultiTenancyIsolation(),
        JsonFilter(),
    )
    return {each.name: each for each in every}


FILTER_NAMES = tuple(filters_by_name(Ratios()))
"""Cheap ones first, which leave fewer hosts to the others."""
DEFAULT_FILTER_NAMES = tuple(
    name for name in FILTER_NAMES if name not in (AggregateMultiTenancyIsolation.name, JsonFilter.name)
)
