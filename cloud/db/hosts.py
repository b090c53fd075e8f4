"""The table of compute hosts: what each reports of itself in, and what the scheduler and operators ask out."""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, Text, cast, func, select, update
from sqlalchemy.orm import Session

from cloud.db.aggregates import read_aggregates
from cloud.db.batches import batches
from cloud.db.bounds import check_values
from cloud.db.engine import Database
from cloud.db.models import ClaimRow, ComputeNodeRow, InstanceRow, ServiceRow
from cloud.domain.flavor import Resources
from cloud.domain.host import Aggregate, ComputeNode, HostState
from cloud.errors import HostNotFoundError

COMPUTE_BINARY = "nova-compute"


class ComputeNodeTable:
    """Every method is one transaction, and raises DatabaseUnavailableError as Database.transaction does."""

    def __init__(
        self,
        database: Database,
        now: Callable[[], datetime],
        *,
        down_after_s: float = 60.0,
        default_zone: str = "nova",
    ) -> None:
        """`default_zone` is that of a host whose service has never reported and that is in no aggregate with one."""
        self._database = database
        self._now = now
        self._down_after = timedelta(seconds=down_after_s)
        self._default_zone = default_zone

    def report(self, node: ComputeNode) -> None:
        """Note what a host says of itself; `used`, `id` and `updated_at` are this table's own business."""
        values = _values(node) | {"updated_at": self._now()}
        check_values(ComputeNodeRow, values)
        with self._database.transaction() as session:
            # The upsert alone would do, but PostgreSQL takes a new id for it each time, and they would run out.
            known = update(ComputeNodeRow).where(ComputeNodeRow.host == node.host).values(values)
            if session.scalar(known.returning(ComputeNodeRow.id)) is not None:
                return
            first = self._database.insert(ComputeNodeRow).values(**values)
            session.execute(first.on_conflict_do_update(index_elements=["host"], set_=values))

    def get(self, host: str) -> ComputeNode:
        """The host as it last reported; HostNotFoundError when it never did."""
        with self._database.reading() as session:
            row = session.execute(_nodes().where(ComputeNodeRow.host == host)).one_or_none()
        if row is None:
            raise HostNotFoundError(f"cannot find host {host}: it has never reported its resources")
        return _node(row)

    def all(self) -> tuple[ComputeNode, ...]:
        """Every host that ever reported, ordered by name."""
        with self._database.reading() as session:
            return _read_nodes(session)

    def states(self, asked: Collection[str] = ()) -> tuple[HostState, ...]:
        """All that a choice of a host goes by, ordered by name; of the instances `asked` for, where each is.

        Four statements at the most, however many hosts there are.
        """
        up_since = self._now() - self._down_after
        services = select(*_REPORT_COLUMNS).where(ServiceRow.binary == COMPUTE_BINARY)
        here = defaultdict[str, set[str]](set)
        with self._database.reading() as session:
            nodes = _read_nodes(session)
            reports = {row.host: row for row in session.execute(services)}
            aggregates = read_aggregates(session)
            for batch in batches(asked):
                for uuid, host in session.execute(_places(batch)):
                    if host is not None:
                        here[host].add(uuid)
        members = defaultdict[str, list[Aggregate]](list)
        for aggregate in aggregates:
            for host in aggregate.hosts:
                members[host].append(aggregate)
        return tuple(
            HostState(
                node=node,
                is_up=(report := reports.get(node.host)) is not None
                and report.updated_at >= up_since
                and not report.forced_down,
                is_enabled=report is None or not report.disabled,
                availability_zone=_zone(members[node.host], report) or self._default_zone,
                aggregates=tuple(members[node.host]),
                instances=frozenset(here[node.host]),
            )
            for node in nodes
        )

    def usage_by_project(self, host: str) -> Mapping[str, Resources]:
        """What each project's instances on the host have, ordered by project; HostNotFoundError as of `get`."""
        amounts = (InstanceRow.memory_mb, InstanceRow.vcpus, InstanceRow.root_gb + InstanceRow.ephemeral_gb)
        sums = (
            select(InstanceRow.project_id, *(func.sum(amount) for amount in amounts))
            .where(InstanceRow.host == host, InstanceRow.deleted_at.is_(None))
            .group_by(InstanceRow.project_id)
        )
        with self._database.reading() as session:
            if session.scalar(select(ComputeNodeRow.id).where(ComputeNodeRow.host == host)) is None:
                raise HostNotFoundError(f"cannot find host {host}: it has never reported its resources")
            found = {project_id: Resources(*amounts) for project_id, *amounts in session.execute(sums)}
        return dict(sorted(found.items()))


def _zone(aggregates: Sequence[Aggregate], report: Any) -> str | None:
    """Aggregates go over what the service says of itself; those of one host never name two zones."""
    named = (aggregate.availability_zone for aggregate in aggregates)
    return next((zone for zone in named if zone is not None), None if report is None else report.availability_zone)


def _places(uuids: Sequence[str]) -> "Select[str, str | None]":
    """Which instance is on which host; None for one that is on none yet."""
    return select(InstanceRow.uuid, InstanceRow.host).where(
        InstanceRow.uuid.in_(uuids), InstanceRow.deleted_at.is_(None)
    )


# Columns rather than rows of the mapper, and the processor as a text: a scheduler reads all hosts for each choice.
_REPORT_COLUMNS = (
    ServiceRow.host,
    ServiceRow.updated_at,
    ServiceRow.forced_down,
    ServiceRow.disabled,
    ServiceRow.availability_zone,
)
_NODE_COLUMNS = (
    ComputeNodeRow.host,
    ComputeNodeRow.node,
    ComputeNodeRow.memory_mb,
    ComputeNodeRow.vcpus,
    ComputeNodeRow.disk_gb,
    ComputeNodeRow.hypervisor_type,
    ComputeNodeRow.hypervisor_version,
    cast(ComputeNodeRow.cpu_info, Text),
    ComputeNodeRow.host_ip,
    ComputeNodeRow.running_vms,
    ComputeNodeRow.free_disk_gb,
    ComputeNodeRow.updated_at,
    ComputeNodeRow.storage_id,
    ComputeNodeRow.id,
)


def _nodes() -> Any:
    """The columns of hosts, and behind them the sums of their claims."""
    amounts = (ClaimRow.memory_mb, ClaimRow.vcpus, ClaimRow.disk_gb)
    claims = select(ClaimRow.host, *(func.sum(amount).label(amount.key) for amount in amounts))
    sums = claims.group_by(ClaimRow.host).subquery()
    claimed = (func.coalesce(sums.c[amount.key], 0) for amount in amounts)
    return select(*_NODE_COLUMNS, *claimed).outerjoin(sums, sums.c.host == ComputeNodeRow.host)


def _read_nodes(session: Session) -> tuple[ComputeNode, ...]:
    # Sorted here: the order of text in PostgreSQL depends on the locale that the database was made with.
    return tuple(sorted((_node(row) for row in session.execute(_nodes())), key=lambda node: node.host))


def _node(row: Sequence[Any]) -> ComputeNode:
    host, node, memory_mb, vcpus, disk_gb, kind, version, cpu_info, *rest = row
    host_ip, running_vms, free_disk_gb, updated_at, storage_id, number, *claimed = rest
    return ComputeNode(
        host=host,
        node=node,
        total=Resources(memory_mb, vcpus, disk_gb),
        used=Resources(*claimed),
        hypervisor_type=kind,
        hypervisor_version=version,
        cpu_info=_cpu_info(cpu_info),
        host_ip=host_ip,
        running_vms=running_vms,
        free_disk_gb=free_disk_gb,
        updated_at=updated_at,
        storage_id=storage_id,
        id=number,
    )


@lru_cache(maxsize=256)
def _cpu_info(text: str) -> Mapping[str, Any]:
    """Of a long text that most hosts have in common."""
    found: Mapping[str, Any] = json.loads(text)
    return found


def _values(node: ComputeNode) -> dict[str, Any]:
    return {
        "host": node.host,
        "node": node.node,
        **node.total.as_dict(),
        "free_disk_gb": node.free_disk_gb,
        "hypervisor_type": node.hypervisor_type,
        "hypervisor_version": node.hypervisor_version,
        "cpu_info": dict(node.cpu_info),
        "host_ip": node.host_ip,
        "running_vms": node.running_vms,
        "storage_id": node.storage_id,
    }
