"""What instances take of hosts: claimed before anything is built, so that no host is given away twice."""

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from cloud.db.bounds import check_values
from cloud.db.engine import Database
from cloud.db.instances import refuse_deleted
from cloud.db.models import ClaimRow, ComputeNodeRow
from cloud.domain.flavor import Resources
from cloud.errors import HostNotFoundError, NoRoomError

_NAMES: Mapping[str, str] = MappingProxyType({"memory_mb": "MB of memory", "vcpus": "vcpus", "disk_gb": "GB of disk"})


class ClaimTable:
    """Every method is one transaction, and raises DatabaseUnavailableError as Database.transaction does."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    def claim(self, instance_uuid: str, host: str, wanted: Resources, limits: Resources) -> None:
        """Take `wanted` of the host, of which `limits` may be taken by all; a second time is no change.

        NoRoomError names what there is too little of, HostNotFoundError a host that never reported,
        InstanceNotFoundError an instance that is deleted: nobody would release its claim.
        """
        values = {"instance_uuid": instance_uuid, "host": host, **wanted.as_dict()}
        check_values(ClaimRow, values)
        with self._database.transaction() as session:
            refuse_deleted(session, instance_uuid)
            # Held until the claim is there: of several who claim here, each sees what those before it have taken.
            node = select(ComputeNodeRow.id).where(ComputeNodeRow.host == host).with_for_update()
            if session.scalar(node) is None:
                raise HostNotFoundError(f"cannot claim of host {host}: it has never reported its resources")
            same = select(ClaimRow.id).where(ClaimRow.instance_uuid == instance_uuid, ClaimRow.host == host)
            if session.scalar(same) is not None:
                return
            _check_room(wanted, limits, taken(session, host))
            session.execute(insert(ClaimRow).values(**values, created_at=self._now()))

    def release(self, instance_uuid: str, host: str | None = None) -> None:
        """Give back what the instance has claimed, of all hosts or of one; nothing claimed is no change."""
        of_it = delete(ClaimRow).where(ClaimRow.instance_uuid == instance_uuid)
        if host is not None:
            of_it = of_it.where(ClaimRow.host == host)
        with self._database.transaction() as session:
            session.execute(of_it)

    def of(self, instance_uuid: str) -> Mapping[str, Resources]:
        """What the instance has claimed, by host."""
        columns = (ClaimRow.host, ClaimRow.memory_mb, ClaimRow.vcpus, ClaimRow.disk_gb)
        claims = select(*columns).where(ClaimRow.instance_uuid == instance_uuid)
        with self._database.reading() as session:
            return {host: Resources(*amounts) for host, *amounts in session.execute(claims)}


def taken(session: Session, host: str) -> Resources:
    """The sum of the claims of a host."""
    memory_mb, vcpus, disk_gb = (
        func.coalesce(func.sum(amount), 0) for amount in (ClaimRow.memory_mb, ClaimRow.vcpus, ClaimRow.disk_gb)
    )
    return Resources(*session.execute(select(memory_mb, vcpus, disk_gb).where(ClaimRow.host == host)).one())


def _check_room(wanted: Resources, limits: Resources, used: Resources) -> None:
    for resource, name in _NAMES.items():
        left = getattr(limits, resource) - getattr(used, resource)
        amount = getattr(wanted, resource)
        if amount > max(left, 0):
            raise NoRoomError(f"cannot claim {amount} {name}: {max(left, 0)} are left")
