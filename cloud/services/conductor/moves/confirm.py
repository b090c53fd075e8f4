"""A resize or a cold migration is confirmed: its old host removes what it has set aside, and gets its claim back.

Nothing of that can be undone. Where it cannot be done the migration waits again as before, and may be confirmed again.
So it is, too, with one that ended in error behind its hand-over: it is confirmed when the instance runs all the same.
"""

from collections.abc import Mapping
from types import MappingProxyType

from cloud.domain.instance import PowerState, TaskState
from cloud.domain.migration import MigrationStatus
from cloud.errors import ComputeError
from cloud.logs.events import RESIZE
from cloud.services.conductor.build import is_unwanted
from cloud.services.conductor.moves.journal import Journal
from cloud.services.conductor.moves.move import End, Kind, Move
from cloud.services.conductor.moves.place import Placing
from cloud.services.conductor.moves.resized import (
    MAY_BE_DROPPED,
    TYPES,
    ResizeCompute,
    is_unfinished,
    refuse_down,
    shares_storage,
)
from cloud.services.conductor.procedure import Failure, Step
from cloud.services.conductor.tables import Tables

EVENT = "conductor_confirm_resize"
STATUSES: Mapping[str, MigrationStatus] = MappingProxyType(
    {"confirm": MigrationStatus.CONFIRMING, "cleanup": MigrationStatus.CONFIRMING}
)


def confirm_kind(tables: Tables, compute: ResizeCompute, placing: Placing, journal: Journal) -> Kind:
    """For migrations that are `confirming`; the instance is the destination's, or deleted, wherever it was then."""

    def confirm(move: Move) -> None:
        is_deleted = journal.is_unwanted(move)
        if not is_deleted and is_unfinished(move):
            _check_runs(compute, move)
        for host in sorted({move.source, move.destination} - {move.instance.host}):
            refuse_down(tables, move, host)
            journal.note(move, destination={**(move.migration.destination or {}), MAY_BE_DROPPED: True})
            compute.drop_aside(host, move.uuid, keeps_disk=shares_storage(move) and not is_deleted)

    steps = (Step("confirm", confirm), Step("cleanup", placing.release_source))
    return Kind(
        types=TYPES,
        begins=MigrationStatus.CONFIRMING,
        event=EVENT,
        procedure=journal.procedure(
            RESIZE, steps, STATUSES, task_states=(TaskState.RESIZE_CONFIRMING,), can_be_undone=False
        ),
        statuses=STATUSES,
        end_completed=_end_completed,
        end_failed=_end_failed,
    )


def _check_runs(compute: ResizeCompute, move: Move) -> None:
    """ComputeError unless the destination says that it does: its old host may have all that is left of it."""
    state = compute.guest_state(move.destination, move.uuid)
    if state is not PowerState.RUNNING:
        raise ComputeError(
            f"cannot confirm resize of instance {move.uuid}: it does not run on host {move.destination}, "
            f"its power state is {'unknown' if state is None else state.name}"
        )


def _end_completed(move: Move) -> End:
    if is_unfinished(move):
        return End(MigrationStatus.CONFIRMED)
    return End(MigrationStatus.CONFIRMED, {"vm_state": move.migration.old_vm_state, "task_state": None})


def _end_failed(move: Move, _failure: Failure) -> End:
    is_waiting = move.is_deleted or is_unwanted(move.instance) or not is_unfinished(move)
    return End(MigrationStatus.FINISHED if is_waiting else MigrationStatus.ERROR)
