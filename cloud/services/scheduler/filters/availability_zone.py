"""Only hosts of the zone that was asked for, if one was."""

from dataclasses import dataclass
from typing import ClassVar

from cloud.domain.host import BuildRequest, HostState


@dataclass(frozen=True, slots=True)
class AvailabilityZoneFilter:
    name: ClassVar[str] = "AvailabilityZoneFilter"

    def passes(self, host: HostState, request: BuildRequest) -> bool:
        return request.availability_zone in (None, host.availability_zone)
