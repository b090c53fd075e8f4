"""What is asked of a host that an admin has named: that it is that one; and instead of all filters, that it is up."""

from dataclasses import dataclass
from typing import ClassVar

from cloud.domain.host import BuildRequest, HostState


@dataclass(frozen=True, slots=True)
class ForcedHostFilter:
    name: ClassVar[str] = "ForcedHost"

    def passes(self, host: HostState, request: BuildRequest) -> bool:
        return host.node.host == request.forced_host


@dataclass(frozen=True, slots=True)
class RequestedHostFilter:
    """Before all the others, which are asked too."""

    name: ClassVar[str] = "RequestedHost"

    def passes(self, host: HostState, request: BuildRequest) -> bool:
        return host.node.host == request.requested_host


@dataclass(frozen=True, slots=True)
class UpFilter:
    """A disabled host will do: an admin tries it out before others get it."""

    name: ClassVar[str] = "Up"

    def passes(self, host: HostState, request: BuildRequest) -> bool:  # noqa: ARG002 - a filter's signature
        return host.is_up
