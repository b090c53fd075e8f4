"""What a compute host does, in parts: for whoever serves its requests."""

from collections.abc import Sequence
from dataclasses import dataclass

from cloud.services.compute.builds import Builds
from cloud.services.compute.cold_migrations import ColdMigrations
from cloud.services.compute.copies import Copies
from cloud.services.compute.evacuations import Evacuations
from cloud.services.compute.fence import Fence
from cloud.services.compute.lifecycle import Lifecycle
from cloud.services.compute.live_migrations import LiveMigrations
from cloud.services.compute.snapshots import Snapshots
from cloud.services.compute.tracker import ResourceTracker
from cloud.services.compute.work import Host
from cloud.services.reporting import Reports


@dataclass(frozen=True, slots=True)
class Duties:
    """What this host does for others, and what it looks after by itself."""

    host: Host
    builds: Builds
    cold_migrations: ColdMigrations
    copies: Copies
    evacuations: Evacuations
    fence: Fence
    lifecycle: Lifecycle
    live_migrations: LiveMigrations
    snapshots: Snapshots
    tracker: ResourceTracker
    upkeep: Sequence[Reports]
    """In threads of their own: they wait for nova-conductor, and the audit does not."""
