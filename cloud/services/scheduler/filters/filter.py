"""What a filter is."""

from typing import ClassVar, Protocol

from cloud.domain.host import BuildRequest, HostState


class Filter(Protocol):
    """A condition on hosts, decided by nothing but what it is given."""

    name: ClassVar[str]
    """nova's, as nova.conf lists it."""

    def passes(self, host: HostState, request: BuildRequest) -> bool:
        """Whether `host` may take what is requested, as far as this filter goes."""
        ...
