"""Not the hosts on which this build has failed already."""

from dataclasses import dataclass
from typing import ClassVar

from cloud.domain.host import BuildRequest, HostState


@dataclass(frozen=True, slots=True)
class RetryFilter:
    name: ClassVar[str] = "RetryFilter"

    def passes(self, host: HostState, request: BuildRequest) -> bool:
        return host.node.host not in request.ignored_hosts
