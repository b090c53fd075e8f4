"""What a project's instances take in all, held against its quota: instances, and what resizes may take beyond them."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Self

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from cloud.db.models import InstanceRow, MigrationRow
from cloud.db.quotas import UNLIMITED, QuotaLimits
from cloud.domain.flavor import Flavor
from cloud.domain.instance import VmState
from cloud.domain.migration import IN_PROGRESS, MigrationStatus, MigrationType
from cloud.errors import QuotaError


@dataclass(frozen=True, slots=True)
class Usage:
    """By what flavors say."""

    instances: int
    cores: int
    ram_mb: int

    @classmethod
    def of_resize(cls, old: Flavor, new: Flavor) -> Self:
        """What an instance takes more with the new flavor; of what it takes less, nothing is free before its end."""
        return cls(0, max(0, new.vcpus - old.vcpus), max(0, new.memory_mb - old.memory_mb))


def usage_of(session: Session, project_id: str) -> Usage:
    """Of all instances that are not deleted; of one that is being resized, or may be taken back, the larger flavor."""
    cores, ram_mb = (func.coalesce(func.sum(column), 0) for column in (InstanceRow.vcpus, InstanceRow.memory_mb))
    of_project = InstanceRow.project_id == project_id, InstanceRow.deleted_at.is_(None)
    counted = Usage(*session.execute(select(func.count(), cores, ram_mb).where(*of_project)).one())
    more_cores, more_ram_mb = _beyond_instances(session, project_id)
    return Usage(counted.instances, counted.cores + more_cores, counted.ram_mb + more_ram_mb)


def refuse_beyond(quota: QuotaLimits, used: Usage, more: Usage, what: str) -> None:
    """QuotaError, which says that `what` cannot be done, when the project would have more; it names the resources."""
    wanted = {
        "instances": (more.instances, used.instances, quota.instances),
        "cores": (more.cores, used.cores, quota.cores),
        "ram": (more.ram_mb, used.ram_mb, quota.ram_mb),
    }
    over = [
        f"quota of {resource} is {limit}, {taken} are used and {added} more were wanted"
        for resource, (added, taken, limit) in wanted.items()
        if limit != UNLIMITED and taken + added > limit
    ]
    if over:
        raise QuotaError(f"cannot {what}: {'; '.join(over)}")


def refuse_growth(quota: QuotaLimits, used: Usage, growth: Usage, what: str) -> None:
    """The same for an instance that grows: of what it takes no more of, there may be too much already."""
    grown = QuotaLimits(
        instances=UNLIMITED,
        cores=quota.cores if growth.cores else UNLIMITED,
        ram_mb=quota.ram_mb if growth.ram_mb else UNLIMITED,
    )
    refuse_beyond(grown, used, growth, what)


def _beyond_instances(session: Session, project_id: str) -> tuple[int, int]:
    """Cores and MiB that resizes under way will take, or that those which may be reverted would take again."""
    columns = (
        MigrationRow.old_flavor,
        MigrationRow.new_flavor,
        InstanceRow.uuid,
        InstanceRow.vcpus,
        InstanceRow.memory_mb,
    )
    waiting = (MigrationRow.status == MigrationStatus.FINISHED) & (InstanceRow.vm_state == VmState.RESIZED)
    resizes = (
        select(*columns)
        .join(InstanceRow, InstanceRow.uuid == MigrationRow.instance_uuid)
        .where(
            MigrationRow.type == MigrationType.RESIZE,
            or_(MigrationRow.status.in_(IN_PROGRESS), waiting),
            InstanceRow.project_id == project_id,
            InstanceRow.deleted_at.is_(None),
        )
    )
    more_cores, more_ram_mb = defaultdict[str, int](int), defaultdict[str, int](int)
    for old, new, uuid, vcpus, memory_mb in session.execute(resizes):
        more_cores[uuid] = max(more_cores[uuid], old["vcpus"] - vcpus, new["vcpus"] - vcpus)
        more_ram_mb[uuid] = max(more_ram_mb[uuid], old["memory_mb"] - memory_mb, new["memory_mb"] - memory_mb)
    return sum(more_cores.values()), sum(more_ram_mb.values())
