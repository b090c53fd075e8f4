"""Only hosts in aggregates whose metadata has what the flavor's extra specs ask for."""

from dataclasses import dataclass
from typing import ClassVar

from cloud.domain.host import BuildRequest, HostState
from cloud.services.scheduler.filters.extra_specs import is_met

_SCOPE = "aggregate_instance_extra_specs"


@dataclass(frozen=True, slots=True)
class AggregateInstanceExtraSpecsFilter:
    """Extra specs with a scope other than this filter's (`hw:cpu_policy`) are somebody else's."""

    name: ClassVar[str] = "AggregateInstanceExtraSpecsFilter"

    def passes(self, host: HostState, request: BuildRequest) -> bool:
        for spec, wanted in request.flavor.extra_specs.items():
            scope, colon, key = spec.rpartition(":")
            if colon and scope != _SCOPE:
                continue
            values = (each.metadata[key] for each in host.aggregates if key in each.metadata)
            if not any(is_met(wanted, value) for value in values):
                return False
        return True
