"""A move of a server to another host or flavor: entered as a migration, and handed to a conductor."""

import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from cloud.db.actions import FAILED
from cloud.db.migration_records import NewMigration
from cloud.db.quotas import QuotaLimits
from cloud.domain.expected import Expected
from cloud.domain.flavor import Flavor
from cloud.domain.instance import Instance, TaskState, VmState
from cloud.domain.migration import Migration, MigrationStatus, MigrationType
from cloud.errors import CloudError, InstanceNotFoundError, InstanceStateError, MigrationStateError
from cloud.logs.emit import logger
from cloud.logs.emit.context import current_context
from cloud.logs.events import EVACUATE, MIGRATION, RESIZE, Procedure
from cloud.services.api.call import Call
from cloud.services.api.server_state import check_state, host_of, refuse_locked

VOCABULARY: Mapping[MigrationType, Procedure] = {
    MigrationType.LIVE: MIGRATION,
    MigrationType.COLD: RESIZE,
    MigrationType.RESIZE: RESIZE,
    MigrationType.EVACUATION: EVACUATE,
}
_NOTHING_DONE: Collection[TaskState | None] = (None,)


@dataclass(frozen=True, slots=True)
class Move:
    """What an action asks of an instance's states."""

    action: str
    """As users call it, such as `os-migrateLive`."""
    noted_as: str
    """As it is found in the instance's history, such as `live-migration`."""
    type: MigrationType
    task_state: TaskState
    vm_states: Collection[VmState]
    """Those in which it may begin."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for of one move."""

    flavor: Flavor
    host: str | None = None
    """Where to; None: the scheduler chooses."""
    is_forced: bool = False
    """Whether to go to that host whatever the scheduler's filters say."""
    options: Mapping[str, Any] = field(default_factory=dict)
    quota: QuotaLimits | None = None
    """What the project may have in all, where the move takes more of it."""
    may_stay: bool = False
    """Whether the host that it is on will do."""


def check_move(call: Call, instance: Instance, move: Move) -> None:
    """ConflictError for an instance that is locked, was never on a host, or is in another state."""
    refuse_locked(call, instance)
    host_of(instance)
    check_state(instance, move.action, move.vm_states, _NOTHING_DONE)


def begin_move(call: Call, instance: Instance, move: Move, wanted: Wanted) -> None:
    """Enter the migration, note the action, and tell a conductor; of several requests at a time one gets it.

    ConflictError for the others, QuotaError for more than the project may have, and nothing was done. Where no
    conductor can be told, the migration has failed, and the instance is as it was; that error is raised.
    """
    try:
        migration, _ = call.parts.migrations.begin(
            _new_migration(instance, move, wanted),
            {"task_state": move.task_state, "progress": 0},
            Expected(move.vm_states, _NOTHING_DONE, host_of(instance)),
            verb=move.action,
            quota=wanted.quota,
        )
    except InstanceStateError:
        check_move(call, call.parts.instances.get(instance.uuid), move)  # in the words that whoever comes later gets
        raise
    try:
        hand_over(call, migration, move.noted_as)
    except CloudError as exc:
        _give_up(call, migration, move, str(exc))
        raise


def hand_over(call: Call, migration: Migration, noted_as: str) -> None:
    """Note the action and tell a conductor, with the events that say so. What cannot be done is raised."""
    started_s = time.monotonic()
    events = VOCABULARY[migration.type]
    line = logger.bind(
        migration=migration.id,
        instance=migration.instance_uuid,
        type=str(migration.type),
        source_compute=migration.source_compute,
        action=noted_as,
    )
    if migration.dest_compute is not None:
        line = line.bind(dest_compute=migration.dest_compute)
    line.bind(event=events.event("request", "started")).info("migration requested")
    try:
        call.parts.actions.start(migration.instance_uuid, noted_as)
        call.parts.conductor.move_instance(migration.id)
    except CloudError as exc:
        line.bind(
            event=events.event("request", "failed"),
            step_s=round(time.monotonic() - started_s, 3),
            error=str(exc),
            cause=type(exc).__name__,
        ).error("migration cannot be handed over")
        raise
    line.bind(event=events.event("request", "completed"), step_s=round(time.monotonic() - started_s, 3)).info(
        "migration handed over"
    )


def _new_migration(instance: Instance, move: Move, wanted: Wanted) -> NewMigration:
    return NewMigration(
        instance_uuid=instance.uuid,
        type=move.type,
        request_id=current_context().request_id,
        source_compute=host_of(instance),
        source_node=instance.node,
        dest_compute=wanted.host,
        old_flavor=instance.flavor,
        new_flavor=wanted.flavor,
        old_vm_state=instance.vm_state,
        options={
            **wanted.options,
            "host": wanted.host,
            "is_forced": wanted.is_forced,
            "may_stay": wanted.may_stay,
        },
    )


def _give_up(call: Call, migration: Migration, move: Move, cause: str) -> None:
    """Unless a conductor has it after all, or somebody went on from there."""
    with suppress(InstanceStateError, InstanceNotFoundError, MigrationStateError):
        call.parts.migrations.update_both(
            migration.id,
            {"status": MigrationStatus.FAILED, "error": cause},
            instance_changes={"task_state": None},
            expected=Expected(task_states=(move.task_state,), host=migration.source_compute),
            statuses=(MigrationStatus.ACCEPTED,),
        )
        call.parts.actions.finish(migration.instance_uuid, message=FAILED)
