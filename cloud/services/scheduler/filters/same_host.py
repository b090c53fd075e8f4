"""Only hosts that have one of the instances of the hint `same_host`, if there are any in it."""

from dataclasses import dataclass
from typing import ClassVar

from cloud.domain.host import BuildRequest, HostState
from cloud.services.scheduler.hints import SAME_HOST, hinted_instances


@dataclass(frozen=True, slots=True)
class SameHostFilter:
    name: ClassVar[str] = "SameHostFilter"

    def passes(self, host: HostState, request: BuildRequest) -> bool:
        wanted = hinted_instances(request, SAME_HOST)
        return not wanted or not wanted.isdisjoint(host.instances)
