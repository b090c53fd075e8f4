"""What a weigher is."""

from typing import ClassVar, Protocol

from cloud.domain.host import HostState


class Weigher(Protocol):
    """One measure of hosts, decided by nothing but what it is given."""

    name: ClassVar[str]
    """nova's, as nova.conf lists it."""

    def weigh(self, host: HostState) -> float:
        """More is better. The unit does not matter: hosts are compared with each other."""
        ...
