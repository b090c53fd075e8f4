"""A resize or a cold migration is reverted: the instance is what it was, where it was, and runs if it ran.

The migration is begun with `is_handed_over` False: until its old host has the instance again all is undone where a step
fails, and it waits as before. Nothing is removed at the destination, which may have to go on with it, before that.

A destination that an admin has forced down need not answer. Its guest, should it come back, is not its own any more,
which it finds out before it is up.
"""

from collections.abc import Mapping
from types import MappingProxyType

from cloud.domain.instance import PowerState, TaskState, VmState
from cloud.domain.migration import MigrationStatus
from cloud.errors import CloudError, ComputeError
from cloud.logs.emit import logger
from cloud.logs.events import RESIZE
from cloud.rpc.errors import NoSuchTargetError, RpcTimeoutError
from cloud.services.conductor.build import is_unwanted
from cloud.services.conductor.moves.journal import Journal
from cloud.services.conductor.moves.move import INTERRUPTIONS, End, Kind, Move, described
from cloud.services.conductor.moves.place import Placing
from cloud.services.conductor.moves.resized import (
    MAY_BE_DROPPED,
    TYPES,
    ResizeCompute,
    is_unfinished,
    ran_before,
    refuse_down,
    shares_storage,
    stays,
)
from cloud.services.conductor.procedure import Failure, Step
from cloud.services.conductor.tables import Tables
from cloud.services.conductor.whereabouts import IS_SILENT, former_host

EVENT = "conductor_revert_resize"
STATUSES: Mapping[str, MigrationStatus] = MappingProxyType(
    {"revert": MigrationStatus.REVERTING, "cleanup": MigrationStatus.REVERTING}
)
_MAY_BE_ASIDE = "may_be_aside"
"""In the journal's `destination`: something has been done to the instance there, so that it has to be undone."""


class RevertSteps:
    """What is done at each step, and what is taken back."""

    def __init__(self, tables: Tables, compute: ResizeCompute, placing: Placing, journal: Journal) -> None:
        self._tables = tables
        self._compute = compute
        self._placing = placing
        self._journal = journal
        steps = (Step("revert", self._revert, self._undo), Step("cleanup", self._clear_destination))
        self.kind = Kind(
            types=TYPES,
            begins=MigrationStatus.REVERTING,
            event=EVENT,
            procedure=journal.procedure(RESIZE, steps, STATUSES, task_states=(TaskState.RESIZE_REVERTING,)),
            statuses=STATUSES,
            end_completed=_end_completed,
            end_failed=_end_failed,
        )

    def _revert(self, move: Move) -> None:
        migration = move.migration
        if not migration.is_handed_over:
            if stays(move):
                self._compute.resize_here(move.source, move.uuid, migration.old_flavor)
            else:
                self._give_back(move)
            self._journal.hand_over(
                move, instance={"host": move.source, "node": migration.source_node, "flavor": migration.old_flavor}
            )
        move.is_deleted = self._is_unwanted(move)
        if not move.is_deleted:
            self._start(move, move.source, is_running=ran_before(move))

    def _give_back(self, move: Move) -> None:
        if (move.migration.destination or {}).get(MAY_BE_DROPPED):
            raise ComputeError(
                f"cannot move instance {move.uuid}: host {move.source} may have nothing of it any more, "
                "it can only be confirmed"
            )
        if not self._may_be_aside(move):
            if not self._is_forced_down(move):
                refuse_down(self._tables, move, move.destination)
            refuse_down(self._tables, move, move.source)
            self._journal.note(move, destination={**(move.migration.destination or {}), _MAY_BE_ASIDE: True})
        self._set_destination_aside(move)
        self._compute.take_back(move.source, move.uuid, is_running=False)

    def _set_destination_aside(self, move: Move) -> None:
        """It does not run there any more, as that host says, or an admin has said in its place.

        That it may be silent is noted before it is asked: should it come back afterwards, it lets its guest not run.
        """
        was_forced_down = self._is_forced_down(move)
        if was_forced_down:
            self._note_silence(move, is_silent=True)
        try:
            self._compute.set_aside(move.destination, move.uuid)
        except ComputeError as exc:
            is_silent = isinstance(exc.__cause__, RpcTimeoutError | NoSuchTargetError)
            if not is_silent:
                self._note_silence(move, is_silent=False)
            if not (is_silent and was_forced_down and self._is_forced_down(move)):
                raise
            logger.bind(error=str(exc), **described(move)).warning("host that is forced down does not answer")
        else:
            self._note_silence(move, is_silent=False)

    def _note_silence(self, move: Move, *, is_silent: bool) -> None:
        if self._is_silent(move) is not is_silent:  # as it may have been at an earlier attempt
            self._journal.note(move, destination={**(move.migration.destination or {}), IS_SILENT: is_silent})

    def _is_forced_down(self, move: Move) -> bool:
        return former_host(self._tables, move.destination).is_forced_down

    def _undo(self, move: Move) -> None:
        """The destination goes on with it, as it did before: it lets one be off that it could not start."""
        move.is_deleted = self._is_unwanted(move)
        if move.is_deleted:
            self._leave_both(move)
            return
        if stays(move):
            self._compute.resize_here(move.source, move.uuid, move.migration.new_flavor)
        elif self._may_be_aside(move):
            self._set_source_aside(move)
        else:
            return
        ran = move.instance.power_state is PowerState.RUNNING and not is_unfinished(move)
        self._start(move, move.destination, is_running=ran)

    def _set_source_aside(self, move: Move) -> None:
        """Where that host has nothing of it, or does not answer, it does not run there: nothing has started it."""
        try:
            self._compute.set_aside(move.source, move.uuid)
        except INTERRUPTIONS:
            raise
        except CloudError as exc:
            logger.bind(error=str(exc), **described(move)).warning("cannot set aside again what its old host has")

    def _clear_destination(self, move: Move) -> None:
        """The claim first: a host that cannot be cleared has room for others all the same."""
        self._placing.release(move)
        if not stays(move) and not self._is_silent(move):
            self._compute.drop_aside(move.destination, move.uuid, keeps_disk=shares_storage(move))

    def _start(self, move: Move, host: str, *, is_running: bool) -> None:
        power_state = self._compute.take_back(host, move.uuid, is_running=is_running)
        self._journal.change_instance(move, power_state=power_state)

    def _leave_both(self, move: Move) -> None:
        """Its deletion is the destination's business, and knows nothing of what is set aside.

        The source first, which answers; a destination that does not removes what it has when it is back.
        """
        if stays(move):
            return
        self._compute.drop_aside(move.source, move.uuid, keeps_disk=False)
        if not self._is_silent(move):
            self._compute.drop_aside(move.destination, move.uuid, keeps_disk=False)

    def _may_be_aside(self, move: Move) -> bool:
        return bool((move.migration.destination or {}).get(_MAY_BE_ASIDE))

    def _is_silent(self, move: Move) -> bool:
        return bool((move.migration.destination or {}).get(IS_SILENT))

    def _is_unwanted(self, move: Move) -> bool:
        return is_unwanted(self._tables.instances.get(move.uuid, deleted=True))


def _end_completed(move: Move) -> End:
    if move.is_deleted:
        return End(MigrationStatus.CANCELLED)
    return End(MigrationStatus.REVERTED, {"vm_state": move.migration.old_vm_state, "task_state": None})


def _end_failed(move: Move, failure: Failure) -> End:
    """Undone, it waits again. Where the old host has it, and it is started, no more than its traces are left."""
    if failure.is_ours and not failure.left:
        return End(MigrationStatus.ERROR if is_unfinished(move) else MigrationStatus.FINISHED)
    is_back = move.migration.is_handed_over and failure.step == "cleanup"
    vm_state = move.migration.old_vm_state if is_back else VmState.ERROR
    return End(MigrationStatus.ERROR, {"vm_state": vm_state, "task_state": None})
