"""What nova-compute asks of others: nova-conductor, since it has no database; nova-network; the image service."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from cloud.domain.action import EventResult
from cloud.domain.expected import Expected
from cloud.domain.fixed_ip import FixedIp
from cloud.domain.host import ComputeNode
from cloud.domain.image import Image
from cloud.domain.instance import Instance
from cloud.domain.whereabouts import FormerHost, Whereabouts


class Records(Protocol):
    """ConductorClient is one, which may change instances of its own host.

    Changes are compare-and-set: InstanceStateError when it is not as expected, InstanceNotFoundError when it is gone.
    """

    def report_compute_node(self, node: ComputeNode) -> None: ...

    def get_instance(self, uuid: str) -> Instance:
        """InstanceNotFoundError for one that is deleted, too."""

    def instances_on_host(self, host: str) -> Sequence[Instance]: ...

    def update_instance(self, uuid: str, changes: Mapping[str, Any], expected: Expected) -> Instance: ...

    def instance_deleted(self, uuid: str) -> None:
        """It is gone: its claims and addresses are taken back with it."""

    def add_fault(
        self, uuid: str, code: int, message: str, details: str | None = None, host: str | None = None
    ) -> None:
        """Why it came to be in error."""

    def start_event(self, instance_uuid: str, event: str, *, host: str | None = None) -> object:
        """A step begins of what the running request has asked of it."""

    def finish_event(
        self,
        instance_uuid: str,
        event: str,
        *,
        result: EventResult,
        details: str | None = None,
        host: str | None = None,
    ) -> object: ...

    def whereabouts(self, uuids: Collection[str]) -> Sequence[Whereabouts]:
        """Of guests that this host's hypervisor has, in their order."""

    def former_hosts(self, uuid: str) -> Sequence[FormerHost]:
        """Where an instance was before an admin put it on this host."""

    def take_over_claim(self, uuid: str) -> None:
        """Its claim and its node are this host's."""


class Networks(Protocol):
    """NetworkClient is one."""

    def allocate_for_instance(self, host: str, uuid: str) -> FixedIp:
        """The address of the instance on that host; the one that it has, if it has one."""

    def dhcp_server(self, host: str) -> str:
        """Whom guests on that host ask for their address."""


class ImageSource(Protocol):
    """ImageClient is one."""

    def show(self, image_id: str) -> Image: ...

    def download(self, image_id: str, path: Path) -> Image:
        """Whole and checked, or no file at all."""

    def upload(self, image_id: str, data: IO[bytes]) -> Image: ...

    def delete(self, image_id: str) -> None: ...
