"""The evacuation of an instance as a list of named steps: its host is broken, and it begins anew on another one.

It goes where its disk is, if other hosts see that; elsewhere only if an admin wants it so. The journal's `destination`
has, from `image` on, whether it goes on with the disk that its host had (`shares_disk`).

Until the hand-over, which is before anything runs at the destination, all is undone where a step fails, and the
instance is its old host's. That one, should it come back meanwhile, asks before it is up: from `spawn` on it lets the
guest not run, and before that it keeps it until it is told to give it up.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Protocol

from cloud.db.hosts import COMPUTE_BINARY
from cloud.domain.evacuation import storage_to_go_to
from cloud.domain.fixed_ip import FixedIp
from cloud.domain.instance import PowerState, TaskState, VmState
from cloud.domain.migration import MigrationStatus, MigrationType
from cloud.domain.whereabouts import FormerHost
from cloud.errors import ComputeError, ImageNotFoundError, InstanceStateError
from cloud.logs.emit import logger
from cloud.logs.events import EVACUATE
from cloud.services.compute.former_host import AskedToGiveUp, have_guest_given_up
from cloud.services.conductor.build import is_unwanted
from cloud.services.conductor.moves.journal import Journal
from cloud.services.conductor.moves.move import End, Kind, Move, MoveServices, described
from cloud.services.conductor.moves.place import Placing
from cloud.services.conductor.procedure import Failure, Step
from cloud.services.conductor.tables import Tables
from cloud.services.conductor.whereabouts import SHARES_DISK, former_host

EVENT = "conductor_evacuate_instance"
MAY_LEAVE_DISK = "may_leave_disk"
"""In the options: whether an admin lets it begin anew on the host that is named, though others see its disk."""
STATUSES: Mapping[str, MigrationStatus] = MappingProxyType(
    {
        "source_check": MigrationStatus.PREPARING,
        "schedule": MigrationStatus.PREPARING,
        "claim": MigrationStatus.PREPARING,
        "network": MigrationStatus.PREPARING,
        "image": MigrationStatus.PREPARING,
        "spawn": MigrationStatus.RUNNING,
        "cleanup": MigrationStatus.POST_MIGRATING,
    }
)
_VM_STATES = (VmState.ACTIVE, VmState.STOPPED, VmState.ERROR)


class EvacuationCompute(AskedToGiveUp, Protocol):
    """What an evacuation asks of nova-compute on either host. A second time changes nothing."""

    def sees_disk(self, host: str, uuid: str) -> bool: ...

    def prepare_image(self, host: str, image_id: str) -> None: ...

    def evacuate_here(
        self, host: str, uuid: str, fixed_ips: Sequence[FixedIp], *, shares_disk: bool, is_running: bool
    ) -> PowerState: ...


class EvacuationSteps:
    """What is done at each step, and what is taken back."""

    def __init__(
        self, tables: Tables, services: MoveServices[EvacuationCompute], journal: Journal, now: Callable[[], datetime]
    ) -> None:
        self._tables = tables
        self._network = services.network
        self._compute = services.compute
        self._journal = journal
        self._now = now
        placing = self._placing = Placing(tables, services.scheduler, journal, EVACUATE)
        steps = (
            Step("source_check", self._check_source),
            Step("schedule", self._schedule),
            Step("claim", self._claim, placing.release),
            Step("network", self._keep_addresses),
            Step("image", self._prepare_disk),
            Step("spawn", self._hand_over_and_spawn),
            Step("cleanup", self._release_source),
        )
        self.kind = Kind(
            types=(MigrationType.EVACUATION,),
            begins=MigrationStatus.ACCEPTED,
            event=EVENT,
            procedure=journal.procedure(EVACUATE, steps, STATUSES, task_states=(TaskState.REBUILDING,)),
            statuses=STATUSES,
            end_completed=self._end_completed,
            end_failed=self._end_failed,
        )

    def _check_source(self, move: Move) -> None:
        """Refused while its host is up, for nobody else may run it then."""
        instance = move.instance
        if instance.host != move.source or instance.vm_state not in _VM_STATES:
            raise InstanceStateError(
                f"cannot evacuate instance {move.uuid} from host {move.source}: "
                f"its vm_state is {instance.vm_state}, and it is on host {instance.host}"
            )
        if self._source(move).is_up:
            raise ComputeError(
                f"cannot evacuate instance {move.uuid} from host {move.source}: its {COMPUTE_BINARY} is up"
            )

    def _schedule(self, move: Move) -> None:
        self._narrow(move)
        self._placing.schedule(move)

    def _claim(self, move: Move) -> None:
        self._narrow(move)  # whoever takes it up here may have to choose hosts anew
        self._placing.claim(move)

    def _narrow(self, move: Move) -> None:
        """Not to its own host, and to those that see its disk."""
        request = move.request
        storage_id = storage_to_go_to(
            self._tables.compute_nodes.states(),
            move.source,
            named=request.forced_host or request.requested_host,
            may_leave_disk=bool(move.migration.options.get(MAY_LEAVE_DISK)),
        )
        ignored = tuple(sorted({*request.ignored_hosts, move.source}))
        move.request = replace(request, ignored_hosts=ignored, storage_id=storage_id)

    def _keep_addresses(self, move: Move) -> None:
        """They stay the instance's, whatever comes of this: there is nothing to undo."""
        if move.instance.addresses:
            self._network.allocate_for_instance(move.destination, move.uuid)

    def _prepare_disk(self, move: Move) -> None:
        """Find out what it is to begin anew with, and have that ready: nothing that can fail here is left for later."""
        asked = move.migration.options.get("on_shared_storage")
        shares_disk = self._compute.sees_disk(move.destination, move.uuid)
        if asked is not None and asked is not shares_disk:
            found = "is" if shares_disk else "is not"
            raise ComputeError(
                f"cannot evacuate instance {move.uuid} with on_shared_storage {asked}: "
                f"its disk {found} where host {move.destination} sees it"
            )
        source, destination = self._storages(move)
        are_known = None not in (source, destination)
        may_leave_disk = bool(move.migration.options.get(MAY_LEAVE_DISK))
        if not shares_disk and are_known and source == destination and not may_leave_disk:
            raise ComputeError(
                f"cannot evacuate instance {move.uuid} to host {move.destination}: it does not see the disk, "
                "though it has the storage of its old host"
            )
        if shares_disk and are_known and source != destination:
            raise ComputeError(
                f"cannot evacuate instance {move.uuid} to host {move.destination}: there is a disk of it, "
                f"which is not the one that host {move.source} had, but from an earlier time"
            )
        self._journal.note(move, destination={SHARES_DISK: shares_disk})
        if not shares_disk:
            self._prepare_image(move)

    def _storages(self, move: Move) -> tuple[str | None, str | None]:
        """Of the source and of the destination, as far as they have said."""
        known = {node.host: node.storage_id for node in self._tables.compute_nodes.all()}
        return known.get(move.source), known.get(move.destination)

    def _prepare_image(self, move: Move) -> None:
        image_id = move.instance.image_id
        if image_id is None:
            logger.bind(**described(move)).warning("instance was made of no image, its disk will be empty")
            return
        try:
            self._compute.prepare_image(move.destination, image_id)
        except ImageNotFoundError as exc:
            raise ImageNotFoundError(
                f"cannot evacuate instance {move.uuid} without shared storage: "
                f"image {image_id}, which it is made of, is not there: {exc}"
            ) from exc

    def _hand_over_and_spawn(self, move: Move) -> None:
        """In this order: from the hand-over on its old host, should it come back, has it not any more."""
        migration = move.migration
        if not migration.is_handed_over:
            have_guest_given_up(self._compute, self._source(move), move.uuid)
            self._journal.hand_over(
                move,
                instance={"host": move.destination, "node": migration.dest_node, "power_state": PowerState.NOSTATE},
                task_states=(TaskState.REBUILDING,),
            )
        if self._is_deleted(move):
            return
        shares_disk = _shares_disk(move)
        fixed_ips = self._tables.fixed_ips.of((move.uuid,)).get(move.uuid, ())
        power_state = self._compute.evacuate_here(
            move.destination, move.uuid, fixed_ips, shares_disk=shares_disk, is_running=_is_to_run(move)
        )
        changes: dict[str, Any] = {} if shares_disk else {"launched_at": self._now()}
        self._journal.change_instance(move, power_state=power_state, **changes)

    def _release_source(self, move: Move) -> None:
        """The guest that it has goes when it is back: it asks."""
        self._journal.release(move, move.source)
        self._is_deleted(move)

    def _end_completed(self, move: Move) -> End:
        if move.is_deleted:
            return End(MigrationStatus.CANCELLED)
        vm_state = VmState.ACTIVE if _is_to_run(move) else VmState.STOPPED
        return End(MigrationStatus.COMPLETED, {"vm_state": vm_state, "task_state": None, "progress": 0})

    def _end_failed(self, move: Move, failure: Failure) -> End:
        """Undone, it is what it was; in error where it is the destination's, and may not run there."""
        if failure.is_ours:
            return End(MigrationStatus.ERROR if failure.left else MigrationStatus.FAILED)
        self._journal.release(move, move.source)
        if self._is_deleted(move):
            return End(MigrationStatus.CANCELLED)
        return End(MigrationStatus.ERROR, {"vm_state": VmState.ERROR, "task_state": None, "progress": 0})

    def _source(self, move: Move) -> FormerHost:
        return former_host(self._tables, move.source)

    def _is_deleted(self, move: Move) -> bool:
        """Whether it is, or is to be: the destination does that, and takes back what it has."""
        move.is_deleted = is_unwanted(self._tables.instances.get(move.uuid, deleted=True))
        return move.is_deleted


def make_kinds(
    tables: Tables, services: MoveServices[EvacuationCompute], journal: Journal, now: Callable[[], datetime]
) -> tuple[Kind, ...]:
    """The one that there is."""
    return (EvacuationSteps(tables, services, journal, now).kind,)


def _shares_disk(move: Move) -> bool:
    return bool((move.migration.destination or {})[SHARES_DISK])


def _is_to_run(move: Move) -> bool:
    """One that was in error does, too, as nova has it."""
    return move.migration.old_vm_state is not VmState.STOPPED
