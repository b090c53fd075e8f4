"""Asks nova-conductor, under the names of its manager's methods."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from cloud.domain.action import EventResult
from cloud.domain.expected import ANY, Expected
from cloud.domain.fixed_ip import FixedIp
from cloud.domain.host import BuildRequest, ComputeNode
from cloud.domain.instance import Instance
from cloud.domain.service import Service, ServiceReport
from cloud.domain.whereabouts import FormerHost, Whereabouts
from cloud.rpc.client import RpcClient
from cloud.rpc.topology import Target

PAGE = 500
"""Services in one answer: about 150 kB, where a message has 1 MiB at the most."""
PAGE_BYTES = 500_000
"""Of instances in one answer, but for the last one: some are a kilobyte, and one with much metadata is hundreds."""
WHEREABOUTS_PAGE = 100
"""Guests that are asked about at a time: each is looked up on its own."""
REPORTED = (
    "host",
    "node",
    "total",
    "hypervisor_type",
    "hypervisor_version",
    "cpu_info",
    "host_ip",
    "running_vms",
    "free_disk_gb",
    "storage_id",
)
"""What a compute host says of itself; the rest of a ComputeNode is the table's own business."""

_CONDUCTOR = Target("conductor")
BUILDS = Target("conductor", "(builds)")
"""The queue of builds, of which every nova-conductor takes its share; no host has that name."""
MOVES = Target("conductor", "(moves)")
"""That of moves, in the same way."""


class ConductorClient:
    """Any nova-conductor will do. Raises what the manager's methods raise, and the bus's errors."""

    TIMEOUT_S = 10.0

    def __init__(self, client: RpcClient, *, host: str | None = None, timeout_s: float = TIMEOUT_S) -> None:
        """`host` is that of a nova-compute or nova-network: they change what is on their own host and no more."""
        self._client = client
        self._host = host
        self._timeout_s = timeout_s

    def report_service(self, report: ServiceReport) -> None:
        self._call("report_service", report=report.as_dict())

    def list_services(self, *, host: str | None = None, binary: str | None = None) -> Sequence[Service]:
        """Ordered by binary, then host; empty when nothing fits."""
        found: list[Service] = []
        further: dict[str, object] = {}
        while True:
            page = self._call("list_services", host=host, binary=binary, **further)
            found += [Service.from_dict(values) for values in page]
            # Each page has to begin behind the last one, so that this ends, whoever comes or goes meanwhile.
            if len(page) < PAGE or further.get("after") == [found[-1].binary, found[-1].host]:
                return found
            further["after"] = [found[-1].binary, found[-1].host]

    def enable_service(self, host: str, binary: str) -> Service:
        return Service.from_dict(self._call("enable_service", host=host, binary=binary))

    def disable_service(self, host: str, binary: str, reason: str | None) -> Service:
        return Service.from_dict(self._call("disable_service", host=host, binary=binary, reason=reason))

    def build_instance(self, request: BuildRequest) -> None:
        """Have an instance built that is entered, being scheduled. It is a cast: its row says what comes of it."""
        self._client.cast(BUILDS, "build_instance", {"request": request.as_dict()}, timeout_s=self._timeout_s)

    def end_overdue_build(self, uuid: str) -> None:
        """Have a build given up that nobody has moved on for `instance_build_timeout`. It is a cast."""
        self._client.cast(BUILDS, "end_overdue_build", {"uuid": uuid}, timeout_s=self._timeout_s)

    def move_instance(self, migration_id: int) -> None:
        """Have a migration that is entered carried out, or gone on with where it stands. It is a cast."""
        self._client.cast(MOVES, "move_instance", {"migration_id": migration_id}, timeout_s=self._timeout_s)

    def report_compute_node(self, node: ComputeNode) -> None:
        """Note how a compute host is, and that it is there."""
        self._call("report_compute_node", node=_reported(node))

    def get_instance(self, uuid: str) -> Instance:
        """InstanceNotFoundError when there is none, or it is deleted."""
        return Instance.from_dict(self._call("get_instance", uuid=uuid))

    def instances_on_host(self, host: str) -> Sequence[Instance]:
        """What is there or is being built there, newest first."""
        found: list[Instance] = []
        further: dict[str, object] = {}
        while True:
            page = self._call("instances_on_host", host=host, **further)
            found += [Instance.from_dict(values) for values in page["instances"]]
            if not page["has_more"] or not found or further.get("after") == found[-1].uuid:  # as above
                return found
            further["after"] = found[-1].uuid

    def update_instance(self, uuid: str, changes: Mapping[str, Any], expected: Expected = ANY) -> Instance:
        """Change fields of an instance that is on this host and in an expected state; as it is then.

        InstanceStateError says where and in which state it was instead, InstanceNotFoundError that it is gone;
        BadMessageError for a field that a host does not change.
        """
        changed = {name: _plain(value) for name, value in changes.items()}
        return Instance.from_dict(
            self._call_from_host("update_instance", uuid=uuid, changes=changed, expected=expected.as_dict())
        )

    def instance_deleted(self, uuid: str) -> None:
        """Nothing is left on this host of an instance that was to be deleted; a second time changes nothing."""
        self._call_from_host("instance_deleted", uuid=uuid)

    def add_fault(
        self, uuid: str, code: int, message: str, details: str | None = None, host: str | None = None
    ) -> None:
        """Note why an instance that is on this host came to be in error; `host` is where it happened."""
        self._call_from_host("add_fault", uuid=uuid, code=code, message=message, details=details, fault_host=host)

    def start_event(self, instance_uuid: str, event: str, *, host: str | None = None) -> None:
        """Note that a step begins of what the running request has asked of the instance."""
        self._call("start_event", uuid=instance_uuid, event=event, host=host)

    def finish_event(
        self,
        instance_uuid: str,
        event: str,
        *,
        result: EventResult,
        details: str | None = None,
        host: str | None = None,
    ) -> None:
        """Note how that step ended."""
        arguments = {"event": event, "result": str(result), "details": details, "host": host}
        self._call("finish_event", uuid=instance_uuid, **arguments)

    def allocate_fixed_ip(self, instance_uuid: str, network: str, cidr: str) -> FixedIp:
        """The lowest free address of the network, or the one that the instance has there already."""
        return FixedIp.from_dict(
            self._call_from_host("allocate_fixed_ip", instance_uuid=instance_uuid, network=network, cidr=cidr)
        )

    def release_fixed_ip(self, instance_uuid: str) -> None:
        """Give back what the instance has; nothing is no change."""
        self._call_from_host("release_fixed_ip", instance_uuid=instance_uuid)

    def whereabouts(self, uuids: Collection[str]) -> Sequence[Whereabouts]:
        """Where instances are of which this host's hypervisor has guests, in their order."""
        asked = list(uuids)
        found: list[Whereabouts] = []
        for first in range(0, len(asked), WHEREABOUTS_PAGE):
            page = self._call_from_host("whereabouts", uuids=asked[first : first + WHEREABOUTS_PAGE])
            found += [Whereabouts.from_dict(values) for values in page]
        return found

    def former_hosts(self, uuid: str) -> Sequence[FormerHost]:
        """Where an instance was before it was put on this host by hand.

        InstanceStateError unless it is being rebooted hard or rebuilt here.
        """
        return [FormerHost.from_dict(values) for values in self._call_from_host("former_hosts", uuid=uuid)]

    def take_over_claim(self, uuid: str) -> None:
        """Such an instance has its claim on this host and nowhere else, whatever room there is."""
        self._call_from_host("take_over_claim", uuid=uuid)

    def _call(self, method: str, **arguments: object) -> Any:
        return self._client.call(_CONDUCTOR, method, arguments, timeout_s=self._timeout_s)

    def _call_from_host(self, method: str, **arguments: object) -> Any:
        if self._host is None:
            raise ValueError(f"cannot call {method}: it is for a service of one host")
        return self._call(method, host=self._host, **arguments)


def _reported(node: ComputeNode) -> dict[str, Any]:
    values = asdict(node)
    return {name: values[name] for name in REPORTED}


def _plain(value: Any) -> Any:
    """A value of an instance's field as JSON has it."""
    if isinstance(value, datetime):
        return value.isoformat()
    return dict(value) if isinstance(value, Mapping) else value
