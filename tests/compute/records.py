"""nova-conductor as nova-compute sees it, without a bus: the real tables, and what it lets a host do."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from cloud.db.actions import ActionTable
from cloud.db.engine import Database
from cloud.db.fixed_ips import FixedIpTable
from cloud.db.hosts import ComputeNodeTable
from cloud.db.instances import InstanceTable
from cloud.domain.action import EventResult
from cloud.domain.expected import ANY, Expected
from cloud.domain.host import ComputeNode
from cloud.domain.instance import Instance, TaskState
from cloud.domain.whereabouts import FormerHost, Whereabouts
from cloud.errors import InstanceNotFoundError
from cloud.services.conductor.tables import Tables
from cloud.services.conductor.whereabouts import WhereaboutsMethods
from tests.db.conftest import Clock


class _Whereabouts(WhereaboutsMethods):
    def __init__(self, tables: Tables) -> None:
        self._tables = tables


class TableRecords:
    """Implements Records for the host `host`; `away` has what a method raises, by its name.

    `before_update` is called once, before the next change: somebody else is faster.
    """

    def __init__(self, database: Database, clock: Clock, host: str) -> None:
        self.instances = InstanceTable(database, clock)
        self.actions = ActionTable(database, clock)
        self.nodes = ComputeNodeTable(database, clock)
        self.fixed_ips = FixedIpTable(database, clock)
        self.tables = Tables.of(database, clock, down_after_s=60)
        self._whereabouts = _Whereabouts(self.tables)
        self.host = host
        self.away: dict[str, Exception] = {}
        self.asked: list[str] = []
        self.before_update: Callable[[], object] | None = None

    def report_compute_node(self, node: ComputeNode) -> None:
        self._ask("report_compute_node")
        self.nodes.report(node)

    def get_instance(self, uuid: str) -> Instance:
        self._ask("get_instance")
        return Instance.from_dict(self.instances.get(uuid).as_dict())

    def instances_on_host(self, host: str) -> Sequence[Instance]:
        self._ask("instances_on_host")
        return self.instances.on_host(host)

    def update_instance(self, uuid: str, changes: Mapping[str, Any], expected: Expected = ANY) -> Instance:
        self._ask("update_instance")
        if self.before_update is not None:
            other, self.before_update = self.before_update, None
            other()
        travelled = {
            name: value.isoformat() if isinstance(value, datetime) else value for name, value in changes.items()
        }
        return self.instances.update(uuid, travelled, expected=replace(expected, host=self.host))

    def instance_deleted(self, uuid: str) -> None:
        self._ask("instance_deleted")
        try:
            self.instances.delete(uuid, expected=Expected(task_states=(TaskState.DELETING,), host=self.host))
        except InstanceNotFoundError:
            return

    def add_fault(
        self, uuid: str, code: int, message: str, details: str | None = None, host: str | None = None
    ) -> None:
        self._ask("add_fault")
        self.instances.add_fault(uuid, code, message, details, host)

    def start_event(self, instance_uuid: str, event: str, *, host: str | None = None) -> None:
        self._ask("start_event")
        self.actions.start_event(instance_uuid, event, host=host)

    def finish_event(
        self,
        instance_uuid: str,
        event: str,
        *,
        result: EventResult,
        details: str | None = None,
        host: str | None = None,
    ) -> None:
        self._ask("finish_event")
        self.actions.finish_event(instance_uuid, event, result=result, details=details, host=host)

    def whereabouts(self, uuids: Collection[str]) -> Sequence[Whereabouts]:
        self._ask("whereabouts")
        return [Whereabouts.from_dict(found) for found in self._whereabouts.whereabouts(self.host, list(uuids))]

    def former_hosts(self, uuid: str) -> Sequence[FormerHost]:
        self._ask("former_hosts")
        return [FormerHost.from_dict(found) for found in self._whereabouts.former_hosts(uuid, self.host)]

    def take_over_claim(self, uuid: str) -> None:
        self._ask("take_over_claim")
        self._whereabouts.take_over_claim(uuid, self.host)

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if what in self.away:
            raise self.away[what]
