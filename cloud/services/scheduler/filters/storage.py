"""Hosts that have the disk which an instance is to go on with, asked for only where it is."""

from dataclasses import dataclass
from typing import ClassVar

from cloud.domain.host import BuildRequest, HostState


@dataclass(frozen=True, slots=True)
class StorageFilter:
    """Of a host that an admin forces, too."""

    name: ClassVar[str] = "Storage"

    def passes(self, host: HostState, request: BuildRequest) -> bool:
        return host.node.storage_id == request.storage_id
