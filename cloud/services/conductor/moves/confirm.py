"""A resize or a cold migration is confirmed: its old host removes what it has set aside, and gets its claim back.

Nothing of that can be undone. Where it cannot be done the migration waits again as before, and may be confirmed again.
"""

from collections.abc import Mapping
from types import MappingProxyType

from cloud.domain.instance import TaskState
from cloud.domain.migration import MigrationStatus
from cloud.logs.events import RESIZE
from cloud.services.conductor.build import is_unwanted
from cloud.services.conductor.moves.move import End, Journal, Kind, Move
from cloud.services.conductor.moves.place import Placing
from cloud.services.conductor.moves.resized import MAY_BE_DROPPED, TYPES, ResizeCompute, refuse_down, shares_storage
from cloud.services.conductor.procedure import Step
from cloud.services.conductor.tables import Tables

EVENT = "conductor_confirm_resize"
STATUSES: Mapping[str, MigrationStatus] = MappingProxyType(
    {"confirm": MigrationStatus.CONFIRMING, "cleanup": MigrationStatus.CONFIRMING}
)


def confirm_kind(tables: Tables, compute: ResizeCompute, placing: Placing, journal: Journal) -> Kind:
    """For migrations that are `confirming`; the instance is the destination's, or deleted, wherever it was then."""

    def confirm(move: Move) -> None:
        is_deleted = is_unwanted(move.instance)
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
        end_failed=lambda _move, _failure: End(MigrationStatus.FINISHED),
    )


def _end_completed(move: Move) -> End:
    return End(MigrationStatus.CONFIRMED, {"vm_state": move.migration.old_vm_state, "task_state": None})
