"""Only hosts whose nova-compute is alive, and that no operator has disabled."""

from dataclasses import dataclass
from typing import ClassVar

from cloud.domain.host import BuildRequest, HostState


@dataclass(frozen=True, slots=True)
class ComputeFilter:
    name: ClassVar[str] = "ComputeFilter"

    def passes(self, host: HostState, request: BuildRequest) -> bool:  # noqa: ARG002 - a filter's signature
        return host.is_up and host.is_enabled
