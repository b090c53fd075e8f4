"""A resize, or a cold migration, as a list of named steps: an instance that is off goes to another host or flavor.

It waits then, `finished`, to be confirmed or reverted: its old host keeps what it had, set aside, and both claims
stay. Until the hand-over everything is undone where a step fails. The destination has the instance defined by then, so
that all that can fail behind it is to start it.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from cloud.domain.fixed_ip import FixedIp
from cloud.domain.instance import PowerState, TaskState, VmState
from cloud.domain.migration import MigrationStatus
from cloud.logs.events import RESIZE
from cloud.services.conductor.build import is_unwanted
from cloud.services.conductor.moves.confirm import confirm_kind
from cloud.services.conductor.moves.disk_transfer import DiskTransfers
from cloud.services.conductor.moves.journal import Journal
from cloud.services.conductor.moves.move import End, Kind, Move, MoveServices
from cloud.services.conductor.moves.patience import Patience
from cloud.services.conductor.moves.place import Placing
from cloud.services.conductor.moves.resized import TYPES, ResizeCompute, ran_before, shares_storage, stays
from cloud.services.conductor.moves.revert import RevertSteps
from cloud.services.conductor.procedure import Failure, Step
from cloud.services.conductor.tables import Tables
from cloud.services.conductor.whereabouts import IS_SHARED

EVENT = "conductor_migrate_server"
"""As nova calls it."""
STATUSES: Mapping[str, MigrationStatus] = MappingProxyType(
    {
        "schedule": MigrationStatus.PREPARING,
        "claim": MigrationStatus.PREPARING,
        "pre": MigrationStatus.PREPARING,
        "transfer": MigrationStatus.RUNNING,
        "post": MigrationStatus.POST_MIGRATING,
    }
)
_TASK_STATES = (
    TaskState.RESIZE_PREP,
    TaskState.RESIZE_MIGRATING,
    TaskState.RESIZE_MIGRATED,
    TaskState.RESIZE_FINISH,
)
_AT_DESTINATION = ("pre", "transfer", "post")
"""Steps that may have left something there."""
_RESIZED_HERE = ("transfer", "post")
"""Steps from which on an instance that stays on its host may have its new flavor."""


class ResizeSteps:
    """What is done at each step, and what is taken back."""

    def __init__(
        self, tables: Tables, compute: ResizeCompute, placing: Placing, journal: Journal, transfers: DiskTransfers
    ) -> None:
        self._tables = tables
        self._compute = compute
        self._placing = placing
        self._journal = journal
        self._transfers = transfers
        steps = (
            Step("schedule", placing.schedule),
            Step("claim", placing.claim, self._leave_destination, undo_after="pre"),
            Step("pre", self._prepare, self._take_back),
            Step("transfer", self._transfer),
            Step("post", self._hand_over),
        )
        self.kind = Kind(
            types=TYPES,
            begins=MigrationStatus.ACCEPTED,
            event=EVENT,
            procedure=journal.procedure(RESIZE, steps, STATUSES, task_states=_TASK_STATES),
            statuses=STATUSES,
            end_completed=_end_completed,
            end_failed=_end_failed,
        )

    def _prepare(self, move: Move) -> None:
        """The destination first: where that cannot take it, it goes on running."""
        if stays(move):
            self._compute.power_off_for_resize(move.source, move.uuid, move.migration.new_flavor)
            return
        prepared = self._compute.prepare_disk(move.destination, move.uuid, move.migration.new_flavor)
        storage_id = self._compute.power_off_for_resize(move.source, move.uuid, move.migration.new_flavor)
        is_shared = storage_id == prepared["storage_id"]
        self._journal.note(move, destination={IS_SHARED: is_shared, "target": prepared["target"]})

    def _transfer(self, move: Move) -> None:
        self._enter(move, TaskState.RESIZE_MIGRATING)
        if stays(move):
            self._compute.resize_here(move.source, move.uuid, move.migration.new_flavor)
        elif not shares_storage(move):
            self._transfers.run(move, (move.migration.destination or {})["target"])

    def _hand_over(self, move: Move) -> None:
        migration = move.migration
        if not migration.is_handed_over:
            if not stays(move):
                self._compute.set_aside(move.source, move.uuid)
                self._compute.adopt(move.destination, move.uuid, migration.new_flavor, self._fixed_ips(move))
            self._journal.hand_over(
                move,
                instance={
                    "host": move.destination,
                    "node": migration.dest_node,
                    "flavor": migration.new_flavor,
                    "task_state": TaskState.RESIZE_MIGRATED,
                    "power_state": PowerState.SHUTDOWN,
                },
            )
        if is_unwanted(self._tables.instances.get(move.uuid, deleted=True)):
            self._leave_source(move)
            return
        self._enter(move, TaskState.RESIZE_FINISH)
        power_state = self._compute.start_resized(move.destination, move.uuid, is_running=ran_before(move))
        self._journal.change_instance(move, power_state=power_state)

    def _leave_source(self, move: Move) -> None:
        """Its deletion is the destination's business, and does not know of what was set aside."""
        move.is_deleted = True
        if not stays(move):
            self._compute.drop_aside(move.source, move.uuid, keeps_disk=shares_storage(move))

    def _take_back(self, move: Move) -> None:
        """Undo whatever was done at the source: it is what it was, and runs if it ran."""
        if self._is_deleted(move):
            if not stays(move):
                self._compute.drop_aside(move.source, move.uuid, keeps_disk=False)
            return
        if stays(move) and move.migration.step in _RESIZED_HERE:
            self._compute.resize_here(move.source, move.uuid, move.migration.old_flavor)
        power_state = self._compute.take_back(move.source, move.uuid, is_running=ran_before(move))
        self._journal.change_instance(move, power_state=power_state)

    def _leave_destination(self, move: Move) -> None:
        """The claim goes when nothing is there any more that uses it.

        Not before the source has it back: what was adopted here may be all that there is to start.
        """
        if move.migration.step in _AT_DESTINATION and not stays(move):
            keeps_disk = not self._is_deleted(move) and shares_storage(move)
            self._compute.drop_aside(move.destination, move.uuid, keeps_disk=keeps_disk)
        self._placing.release(move)

    def _is_deleted(self, move: Move) -> bool:
        """Whether it is, or is to be; it is being put back otherwise, and hosts do no more of what they were asked.

        InstanceStateError where others have begun something with it: an admin has given it another state.
        """
        move.is_deleted = is_unwanted(self._tables.instances.get(move.uuid, deleted=True))
        if not move.is_deleted:
            self._journal.change_both(
                move,
                {"task_state": TaskState.RESIZE_REVERTING},
                task_states=(None, TaskState.RESIZE_REVERTING, *_TASK_STATES),
            )
        return move.is_deleted

    def _enter(self, move: Move, task_state: TaskState) -> None:
        if move.instance.task_state is not task_state:
            self._journal.change_instance(move, task_state=task_state)

    def _fixed_ips(self, move: Move) -> Sequence[FixedIp]:
        return self._tables.fixed_ips.of((move.uuid,)).get(move.uuid, ())


def make_kinds(
    tables: Tables,
    services: MoveServices[ResizeCompute],
    journal: Journal,
    patience: Patience,
    *,
    wait: Callable[[float], None] = time.sleep,
) -> Sequence[Kind]:
    """The move itself, and its two ends. `wait` lets so many seconds pass."""
    transfers = DiskTransfers(services.compute, journal, patience, wait=wait)
    placing = Placing(tables, services.scheduler, journal, RESIZE)
    return (
        ResizeSteps(tables, services.compute, placing, journal, transfers).kind,
        confirm_kind(tables, services.compute, placing, journal),
        RevertSteps(tables, services.compute, placing, journal).kind,
    )


def _end_completed(move: Move) -> End:
    if move.is_deleted:
        return End(MigrationStatus.CANCELLED)
    return End(MigrationStatus.FINISHED, {"vm_state": VmState.RESIZED, "task_state": None})


def _end_failed(_move: Move, failure: Failure) -> End:
    """Undone, it is what it was. In error where it is off though it ran, at the one host or the other."""
    if failure.is_ours and not failure.left:
        return End(MigrationStatus.FAILED)
    if failure.is_ours and "pre" not in failure.left:
        return End(MigrationStatus.ERROR)
    return End(MigrationStatus.ERROR, {"vm_state": VmState.ERROR, "task_state": None})
