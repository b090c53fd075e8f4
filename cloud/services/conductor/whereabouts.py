"""Where instances are, for a nova-compute whose hypervisor has guests that may be another host's by now."""

from collections.abc import Sequence
from typing import Any

from cloud.db.hosts import COMPUTE_BINARY
from cloud.db.migration_records import MigrationQuery
from cloud.domain.expected import Expected
from cloud.domain.instance import Instance, TaskState, VmState
from cloud.domain.migration import Migration, MigrationStatus, MigrationType
from cloud.domain.whereabouts import Departure, FormerHost, Whereabouts
from cloud.errors import InstanceNotFoundError, InstanceStateError
from cloud.logs.emit import logger
from cloud.rpc.errors import BadMessageError
from cloud.rpc.methods import rpc_method
from cloud.services.conductor.client import WHEREABOUTS_PAGE
from cloud.services.conductor.reading import check_texts
from cloud.services.conductor.tables import Tables

SHARES_DISK = "shares_disk"
"""In an evacuation's `destination`: whether it uses the disk that the source has."""
IS_SILENT = "is_silent"
"""In that of a resize that is reverted: its new host is forced down, was not heard, and has still what it had."""
IS_SHARED = "is_shared"
"""In the `destination` of a resize: whether both hosts use the same storage."""
_BEGINS_ANEW = (TaskState.REBOOTING_HARD, TaskState.REBUILDING)
_LEAVES = (MigrationStatus.RUNNING, MigrationStatus.POST_MIGRATING, MigrationStatus.REVERTING)
"""Of an evacuation, from just before its hand-over on: what it is before that may still be refused.

Also of a resize that is reverted while its new host is silent, from the beginning.
"""
_HAS_LEFT = (MigrationStatus.COMPLETED, MigrationStatus.REVERTED, MigrationStatus.CANCELLED)
"""The last where it was deleted meanwhile."""
_MAX_MIGRATIONS = 20
"""Of one instance that are looked at: the last ones."""


class WhereaboutsMethods:
    """The part of the manager that knows which host may run what."""

    _tables: Tables

    @rpc_method
    def whereabouts(self, host: str, uuids: Sequence[str]) -> list[dict[str, Any]]:
        """Of guests that the hypervisor of `host` has, in their order; at most WHEREABOUTS_PAGE."""
        check_texts(host=host)
        if not isinstance(uuids, list) or len(uuids) > WHEREABOUTS_PAGE:
            raise BadMessageError(f"cannot tell whereabouts: uuids is not a list of {WHEREABOUTS_PAGE} or less")
        for uuid in uuids:
            check_texts(uuid=uuid)
        return [self._whereabouts(uuid, host).as_dict() for uuid in uuids]

    @rpc_method
    def former_hosts(self, uuid: str, host: str) -> list[dict[str, Any]]:
        """Hosts other than `host`, where the instance is, on which it was: by what it has claimed and by its node."""
        check_texts(uuid=uuid, host=host)
        instance = self._on_host_by_hand(uuid, host)
        hosts = {*self._tables.claims.of(uuid)}
        hosts |= {each.host for each in self._tables.compute_nodes.all() if each.node == instance.node}
        return [former_host(self._tables, each).as_dict() for each in sorted(hosts - {host})]

    @rpc_method
    def take_over_claim(self, uuid: str, host: str) -> None:
        """The instance, which is on `host` though nothing moved it there, has its claim there and nowhere else.

        Whatever room there is: it is there already. With it, the instance's node is the host's. A second time is no
        change. HostNotFoundError for a host that never reported.
        """
        check_texts(uuid=uuid, host=host)
        instance = self._on_host_by_hand(uuid, host)
        node = self._tables.compute_nodes.get(host).node
        released = self._tables.claims.move(uuid, host, instance.flavor.resources)
        if released is None and instance.node == node:
            return
        self._tables.instances.update(uuid, {"node": node}, expected=Expected(host=host))
        logger.bind(instance=uuid, host=host, was_node=instance.node, released_of=released or ()).warning(
            "instance was put on another host by hand, what it has claimed is moved there"
        )

    def _on_host_by_hand(self, uuid: str, host: str) -> Instance:
        """InstanceStateError unless it is on `host`, about to begin anew there, and all its migrations have ended."""
        instance = self._tables.instances.get(uuid)
        if instance.host != host or instance.task_state not in _BEGINS_ANEW:
            raise InstanceStateError(
                f"cannot take over instance {uuid} on host {host}: it is on host {instance.host}, "
                f"its task_state is {instance.task_state}"
            )
        newest = self._tables.migrations.newest(uuid)
        if newest is not None and not newest.has_ended:
            raise InstanceStateError(
                f"cannot take over instance {uuid} on host {host}: its migration {newest.id} is {newest.status}"
            )
        return instance

    def _whereabouts(self, uuid: str, host: str) -> Whereabouts:
        try:
            instance = self._tables.instances.get(uuid, deleted=True)
        except InstanceNotFoundError:
            return Whereabouts(uuid, None)
        query = MigrationQuery(instance_uuid=uuid, host=host, limit=_MAX_MIGRATIONS)
        migrations = self._tables.migrations.list(query)
        left_by = _left_by(migrations, host)
        return Whereabouts(
            uuid,
            instance.host,
            is_deleted=instance.deleted_at is not None,
            is_moving=any(_is_moving(instance, migration) for migration in migrations),
            departure=Departure.NONE if left_by is None else _departure(left_by),
            keeps_disk=left_by is None or _is_disk_in_use(instance, left_by),
        )


def former_host(tables: Tables, host: str) -> FormerHost:
    """As the table of services has it; one that has never reported is down."""
    services = tables.services.all(host=host, binary=COMPUTE_BINARY)
    return FormerHost(
        host,
        is_up=any(service.is_up for service in services),
        is_forced_down=any(service.is_forced_down for service in services),
    )


def _left_by(migrations: Sequence[Migration], host: str) -> Migration | None:
    """The evacuation by which it has left the host, or is leaving it; None where the last that moved it was another.

    So does the revert of a resize by which it had come, where the host was not heard. `migrations` have to do with the
    host, newest first. What was undone, or is being undone, has moved nothing.
    """
    moved = (each for each in migrations if each.is_handed_over or not (each.has_ended or each.is_undoing))
    last = next(moved, None)
    if last is None:
        return None
    is_evacuated = last.type is MigrationType.EVACUATION and last.source_compute == host
    is_taken_back = last.dest_compute == host and (last.destination or {}).get(IS_SILENT) is True
    return last if is_evacuated or is_taken_back else None


def _is_moving(instance: Instance, migration: Migration) -> bool:
    """One that waits to be confirmed or reverted holds the instance only while that is as it has left it."""
    if migration.status is not MigrationStatus.FINISHED:
        return migration.is_in_progress
    return instance.vm_state is VmState.RESIZED and instance.host == migration.dest_compute


def _is_disk_in_use(instance: Instance, left_by: Migration) -> bool:
    """Whether the other host goes on with the disk that this one has, or nobody knows."""
    shares = SHARES_DISK if left_by.type is MigrationType.EVACUATION else IS_SHARED
    return instance.deleted_at is None and (left_by.destination or {}).get(shares) is not False


def _departure(left_by: Migration) -> Departure:
    if left_by.status in _HAS_LEFT:
        return Departure.COMPLETED
    if left_by.has_ended:
        return Departure.IN_ERROR
    return Departure.UNDER_WAY if left_by.status in _LEAVES else Departure.NONE
