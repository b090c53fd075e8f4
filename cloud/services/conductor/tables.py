"""What nova-conductor keeps in the database."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from cloud.db.actions import ActionTable
from cloud.db.claims import ClaimTable
from cloud.db.engine import Database
from cloud.db.fixed_ips import FixedIpTable
from cloud.db.hosts import ComputeNodeTable
from cloud.db.instances import InstanceTable
from cloud.db.migration_records import MigrationTable
from cloud.db.services import ServiceTable


@dataclass(frozen=True, slots=True)
class Tables:
    """All of one database."""

    services: ServiceTable
    instances: InstanceTable
    claims: ClaimTable
    fixed_ips: FixedIpTable
    actions: ActionTable
    compute_nodes: ComputeNodeTable
    migrations: MigrationTable

    @classmethod
    def of(cls, database: Database, now: Callable[[], datetime], *, down_after_s: float) -> Self:
        return cls(
            services=ServiceTable(database, now, down_after_s=down_after_s),
            instances=InstanceTable(database, now),
            claims=ClaimTable(database, now),
            fixed_ips=FixedIpTable(database, now),
            actions=ActionTable(database, now),
            compute_nodes=ComputeNodeTable(database, now, down_after_s=down_after_s),
            migrations=MigrationTable(database, now),
        )
