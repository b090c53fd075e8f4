"""Two compute hosts of one cloud, and what its database says of instances that leave the one for the other."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloud.db.engine import Database
from cloud.db.migration_records import NewMigration
from cloud.domain.expected import ANY
from cloud.domain.host import ComputeNode
from cloud.domain.instance import PowerState, TaskState, VmState
from cloud.domain.migration import Migration, MigrationStatus, MigrationType
from cloud.services.conductor.whereabouts import SHARES_DISK
from cloud.virt.keeping import KeptCopy
from tests.compute.site import ADDRESS, TINY, UUID, Peers, Site
from tests.db.conftest import Clock
from tests.db.making import TOTAL, compute_node

HERE, THERE = "compute-01", "compute-02"


class Neighbours:
    """`here` is the host that instances leave; with `shares_disks` both have their disks in one place."""

    def __init__(self, directory: Path, database: Database, clock: Clock, *, shares_disks: bool = False) -> None:
        self.clock = clock
        self._database = database
        self.peers = Peers()
        shared = directory / "shared" if shares_disks else None
        self.here, self.there = (
            Site(directory / name, database, clock, name=name, peers=self.peers, shared_disks=shared)
            for name in (HERE, THERE)
        )
        self.tables = self.here.records.tables
        for name in (HERE, THERE):
            self.tables.compute_nodes.report(_node(name))

    def run(self, uuid: str = UUID, **changes: Any) -> None:
        """An instance that runs on `here`, and has its claim there."""
        self.here.run(uuid, **changes)
        self.tables.claims.claim(uuid, HERE, TINY.resources, TOTAL)

    def take_by_hand(self, uuid: str = UUID, host: str = THERE) -> None:
        """What the guide's UPDATE does."""
        self.tables.instances.update(uuid, {"host": host})

    def unmount(self) -> None:
        """`there` has its disks for itself from now on."""
        self.there = Site(
            self.there.directory, self._database, self.clock, name=THERE, peers=self.peers, shared_disks=None
        )

    def begin(self, uuid: str = UUID, kind: MigrationType = MigrationType.EVACUATION, **changes: Any) -> Migration:
        """A migration from `here` to `there` that is under way; an evacuation as it is before its hand-over."""
        instance = self.tables.instances.get(uuid)
        is_back = instance.host == THERE
        new = NewMigration(
            instance_uuid=uuid,
            type=kind,
            request_id=None,
            source_compute=THERE if is_back else HERE,
            source_node=instance.node,
            old_flavor=TINY,
            new_flavor=TINY,
            old_vm_state=instance.vm_state,
            dest_compute=HERE if is_back else THERE,
        )
        task_state = TaskState.REBUILDING if kind is MigrationType.EVACUATION else TaskState.MIGRATING
        migration, _ = self.tables.migrations.begin(new, {"task_state": task_state}, ANY)
        return self.tables.migrations.update(migration.id, {"status": MigrationStatus.RUNNING, **changes})

    def hand_over(self, migration: Migration, **changes: Any) -> Migration:
        """The instance is the destination's; the guest is not looked after."""
        instance: Mapping[str, Any] = {"host": migration.dest_compute, "node": migration.dest_compute}
        handed, _ = self.tables.migrations.hand_over(
            migration.id, instance_changes=instance, expected=ANY, migration_changes=changes
        )
        return handed

    def end(self, migration: Migration, status: MigrationStatus = MigrationStatus.COMPLETED) -> None:
        vm_state = VmState.ERROR if status is MigrationStatus.ERROR else VmState.ACTIVE
        changes = {"task_state": None, "vm_state": vm_state}
        self.tables.migrations.end(migration.id, status, instance_changes=changes, expected=ANY)

    def evacuate(self, uuid: str = UUID, status: MigrationStatus = MigrationStatus.COMPLETED) -> None:
        """All of it, and the guest runs on `there`; of a host that died, whose own guest runs on."""
        begun, shares_disk = self.begin(uuid), self.there.shared_disks is not None
        handed = self.hand_over(begun, destination={SHARES_DISK: shares_disk})
        if status is MigrationStatus.COMPLETED:
            self.there.evacuations.evacuate_here(uuid, [ADDRESS], shares_disk=shares_disk, is_running=True)
        self.end(handed, status)

    def copies(self) -> Sequence[KeptCopy]:
        """What `here` keeps."""
        return self.here.open_driver().kept_copies()

    def guests(self, uuid: str = UUID) -> tuple[PowerState | None, PowerState | None]:
        """Here and there; None where there is none."""
        return self.here.driver.instances().get(uuid), self.there.driver.instances().get(uuid)


def _node(name: str) -> ComputeNode:
    return replace(compute_node(name), node=name)
