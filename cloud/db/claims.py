"""What instances take of hosts: claimed before anything is built, so that no host is given away twice."""

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import ColumnElement, delete, func, insert, select, update
from sqlalchemy.orm import Session

from cloud.db.bounds import check_values
from cloud.db.engine import Database
from cloud.db.instance_changes import hold_expected, refuse_deleted
from cloud.db.migration_hold import MigrationAsKnown, hold_migration
from cloud.db.models import ClaimRow, ComputeNodeRow
from cloud.domain.claim import Claim
from cloud.domain.expected import ANY, Expected
from cloud.domain.flavor import Resources
from cloud.errors import HostNotFoundError, NoRoomError

_AMOUNTS = (ClaimRow.memory_mb, ClaimRow.vcpus, ClaimRow.disk_gb)
_NOTHING = Resources(0, 0, 0)
_NAMES: Mapping[str, str] = MappingProxyType({"memory_mb": "MB of memory", "vcpus": "vcpus", "disk_gb": "GB of disk"})


class ClaimTable:
    """Every method is one transaction, and raises DatabaseUnavailableError as Database.transaction does.

    With `migration` nothing is changed but while that is as known: MigrationStateError where it is not any more.
    """

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    def claim(
        self,
        instance_uuid: str,
        host: str,
        wanted: Resources,
        limits: Resources,
        *,
        migration: MigrationAsKnown | None = None,
    ) -> None:
        """Take `wanted` of the host, of which `limits` may be taken by all; a second time is no change.

        NoRoomError names what there is too little of, HostNotFoundError a host that never reported,
        InstanceNotFoundError an instance that is deleted: nobody would release its claim.
        """
        values = {"instance_uuid": instance_uuid, "host": host, **wanted.as_dict()}
        check_values(ClaimRow, values)
        with self._database.transaction() as session:
            refuse_deleted(session, instance_uuid)
            if migration is not None:
                hold_migration(session, migration)
            _hold_node(session, host)
            if _claimed(session, instance_uuid, host) is not None:
                return
            _check_room(wanted, limits, taken(session, host))
            session.execute(insert(ClaimRow).values(**values, created_at=self._now()))

    def resize(
        self,
        instance_uuid: str,
        host: str,
        wanted: Resources,
        limits: Resources | None,
        *,
        expected: Expected = ANY,
        migration: MigrationAsKnown | None = None,
    ) -> None:
        """Take `wanted` in place of what the instance has claimed of the host, which may be nothing.

        Only of what it takes more is asked whether there is room: none is asked for where `limits` is None, as for an
        instance that is there already. Errors as of `claim`, and it has what it had; `expected` as of `release`.
        """
        values = wanted.as_dict()
        check_values(ClaimRow, {"instance_uuid": instance_uuid, "host": host, **values})
        with self._database.transaction() as session:
            if expected != ANY:
                hold_expected(session, instance_uuid, expected, "claim for")
            refuse_deleted(session, instance_uuid)
            if migration is not None:
                hold_migration(session, migration)
            _hold_node(session, host)
            own = _claimed(session, instance_uuid, host)
            if limits is not None:
                _check_room(wanted, limits, taken(session, host), own or _NOTHING)
            if own is None:
                session.execute(
                    insert(ClaimRow).values(instance_uuid=instance_uuid, host=host, **values, created_at=self._now())
                )
            else:
                session.execute(update(ClaimRow).where(*_is_of(instance_uuid, host)).values(**values))

    def release(
        self,
        instance_uuid: str,
        host: str | None = None,
        *,
        expected: Expected = ANY,
        migration: MigrationAsKnown | None = None,
    ) -> None:
        """Give back what the instance has claimed, of all hosts or of one; nothing claimed is no change.

        With `expected` only of an instance that is so, and stays so meanwhile: InstanceStateError and
        InstanceNotFoundError as of InstanceTable.update.
        """
        of_it = delete(ClaimRow).where(ClaimRow.instance_uuid == instance_uuid)
        if host is not None:
            of_it = of_it.where(ClaimRow.host == host)
        with self._database.transaction() as session:
            if expected != ANY:
                hold_expected(session, instance_uuid, expected, "release claims of")
            if migration is not None:
                hold_migration(session, migration)
            session.execute(of_it)

    def move(self, instance_uuid: str, host: str, wanted: Resources) -> tuple[str, ...] | None:
        """Let it have claimed `wanted` of the host, whatever room there is, and nothing of others: it is there already.

        The other hosts that it had claimed of, in order; None for no change. Errors as of `claim`, but for NoRoomError.
        """
        values = {"instance_uuid": instance_uuid, "host": host, **wanted.as_dict()}
        check_values(ClaimRow, values)
        others = ClaimRow.instance_uuid == instance_uuid, ClaimRow.host != host
        with self._database.transaction() as session:
            refuse_deleted(session, instance_uuid)
            _hold_node(session, host)
            released = tuple(sorted(session.scalars(delete(ClaimRow).where(*others).returning(ClaimRow.host))))
            if _claimed(session, instance_uuid, host) is None:
                session.execute(insert(ClaimRow).values(**values, created_at=self._now()))
            elif not released:
                return None
        return released

    def of(self, instance_uuid: str) -> Mapping[str, Resources]:
        """What the instance has claimed, by host."""
        claims = select(ClaimRow.host, *_AMOUNTS).where(ClaimRow.instance_uuid == instance_uuid)
        with self._database.reading() as session:
            return {host: Resources(*amounts) for host, *amounts in session.execute(claims)}

    def page(self, behind: int, limit: int) -> tuple[Claim, ...]:
        """At most so many of all, by id; those whose id is above `behind`."""
        rows = select(ClaimRow).where(ClaimRow.id > behind).order_by(ClaimRow.id).limit(limit)
        with self._database.reading() as session:
            return tuple(
                Claim(
                    row.id,
                    row.instance_uuid,
                    row.host,
                    Resources(row.memory_mb, row.vcpus, row.disk_gb),
                    row.created_at,
                )
                for row in session.scalars(rows)
            )


def taken(session: Session, host: str) -> Resources:
    """The sum of the claims of a host."""
    memory_mb, vcpus, disk_gb = (func.coalesce(func.sum(amount), 0) for amount in _AMOUNTS)
    return Resources(*session.execute(select(memory_mb, vcpus, disk_gb).where(ClaimRow.host == host)).one())


def _hold_node(session: Session, host: str) -> None:
    """Until the claim is there: of several who claim here, each sees what those before it have taken."""
    node = select(ComputeNodeRow.id).where(ComputeNodeRow.host == host).with_for_update()
    if session.scalar(node) is None:
        raise HostNotFoundError(f"cannot claim of host {host}: it has never reported its resources")


def _claimed(session: Session, instance_uuid: str, host: str) -> Resources | None:
    row = session.execute(select(*_AMOUNTS).where(*_is_of(instance_uuid, host))).one_or_none()
    return None if row is None else Resources(*row)


def _is_of(instance_uuid: str, host: str) -> tuple[ColumnElement[bool], ...]:
    return ClaimRow.instance_uuid == instance_uuid, ClaimRow.host == host


def _check_room(wanted: Resources, limits: Resources, used: Resources, own: Resources = _NOTHING) -> None:
    """`own` is the part of `used` that `wanted` stands in for."""
    for resource, name in _NAMES.items():
        amount, has = getattr(wanted, resource), getattr(own, resource)
        left = max(getattr(limits, resource) - getattr(used, resource) + has, 0)
        if amount > max(left, has):
            raise NoRoomError(f"cannot claim {amount} {name}: {left} are left")
