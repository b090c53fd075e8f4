"""Keeps hosts of aggregates with `filter_tenant_id` for the projects that it lists."""

from dataclasses import dataclass
from typing import ClassVar

from cloud.domain.host import BuildRequest, HostState

_KEY = "filter_tenant_id"


@dataclass(frozen=True, slots=True)
class AggregateMultiTenancyIsolation:
    """Such a project may also be put elsewhere. A host in several of these aggregates is for the projects of each."""

    name: ClassVar[str] = "AggregateMultiTenancyIsolation"

    def passes(self, host: HostState, request: BuildRequest) -> bool:
        lists = [each.metadata[_KEY] for each in host.aggregates if _KEY in each.metadata]
        return not lists or any(
            request.project_id == project.strip() for projects in lists for project in projects.split(",")
        )
