"""The end of a resize, or of a cold migration, that waits for one: it is confirmed, or reverted.

So may be one that ended in error when its new host had the instance: its old host keeps what it had all the same. While
the instance is in error it may be reverted; once it runs where it is, confirmed.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from cloud.db.actions import FAILED
from cloud.domain.expected import Expected
from cloud.domain.instance import Instance, TaskState, VmState
from cloud.domain.migration import Migration, MigrationStatus, MigrationType
from cloud.errors import (
    BadRequestError,
    CloudError,
    ConflictError,
    InstanceNotFoundError,
    InstanceStateError,
    MigrationStateError,
)
from cloud.logs.emit import logger
from cloud.logs.emit.context import current_context
from cloud.rpc.errors import BusUnavailableError, NoSuchTargetError
from cloud.services.api.call import Call
from cloud.services.api.server_moves import hand_over
from cloud.services.api.server_state import check_state, refuse_locked

_RESIZED = (VmState.RESIZED,)
_LEFT = (MigrationStatus.FINISHED, MigrationStatus.ERROR)
"""Of a resize that may have left something of its instance on a host that does not have it."""


@dataclass(frozen=True, slots=True)
class Ending:
    """One of both."""

    action: str
    """As users call it; also under which it is found in the instance's history."""
    status: MigrationStatus
    task_state: TaskState
    is_handed_over: bool
    """Whether the destination has the instance for good."""
    of_unfinished: VmState
    """The only one in which it is for an instance whose resize ended in error."""


CONFIRM = Ending(
    "confirmResize",
    MigrationStatus.CONFIRMING,
    TaskState.RESIZE_CONFIRMING,
    is_handed_over=True,
    of_unfinished=VmState.ACTIVE,
)
REVERT = Ending(
    "revertResize",
    MigrationStatus.REVERTING,
    TaskState.RESIZE_REVERTING,
    is_handed_over=False,
    of_unfinished=VmState.ERROR,
)


def end_resize(call: Call, instance: Instance, ending: Ending) -> None:
    """Have a conductor end it so; of several requests at a time one gets it.

    ConflictError for an instance that is locked or in another state, BadRequestError where no resize waits. Where no
    conductor can be told, all is as it was, and that error is raised.
    """
    refuse_locked(call, instance)
    before = _unfinished(call, instance)
    if before is None:
        check_state(instance, ending.action, _RESIZED, (None,))
        before = _newest_resize(call, instance)
        if before is None or before.has_ended:
            raise BadRequestError("Instance has not been resized.")
    else:
        _check_unfinished(instance, ending)
    begun = _begin(call, instance, before, ending)
    try:
        hand_over(call, begun, ending.action)
    except CloudError:
        _take_back(call, instance, before, ending)
        raise


def leave_resize(call: Call, instance: Instance) -> None:
    """Have the host that keeps an instance for a revert remove it there too, for the instance is deleted or will be.

    Also where a resize ended in error, which may have left something on either host.
    """
    before = _newest_resize(call, instance)
    if before is None or before.status not in _LEFT or before.dest_compute is None:
        return
    with suppress(MigrationStateError):  # somebody ends it already, who finds the instance deleted
        call.parts.migrations.update(before.id, _changes(before, CONFIRM), statuses=_LEFT)
        line = logger.bind(migration=before.id, instance=instance.uuid, source_compute=before.source_compute)
        try:
            call.parts.conductor.move_instance(before.id)
        except (BusUnavailableError, NoSuchTargetError) as exc:
            line.bind(error=str(exc)).warning("no conductor can be told of a resized instance that is deleted")
        else:
            line.info("resized instance is deleted, its old host is to remove it too")


def _newest_resize(call: Call, instance: Instance) -> Migration | None:
    return call.parts.migrations.newest(instance.uuid, (MigrationType.RESIZE, MigrationType.COLD))


def _unfinished(call: Call, instance: Instance) -> Migration | None:
    """Its resize, where that ended in error and nothing has moved it since from where that has left it."""
    if instance.vm_state not in (VmState.ACTIVE, VmState.ERROR):
        return None
    newest = call.parts.migrations.newest(instance.uuid)
    is_unfinished = (
        newest is not None
        and newest.type in (MigrationType.RESIZE, MigrationType.COLD)
        and newest.status is MigrationStatus.ERROR
        and newest.dest_compute == instance.host
        and newest.new_flavor.id == instance.flavor.id  # where it stays on its host, this tells
    )
    return newest if is_unfinished else None


def _check_unfinished(instance: Instance, ending: Ending) -> None:
    if ending is CONFIRM and instance.vm_state is VmState.ERROR:
        raise ConflictError(
            f"Cannot '{ending.action}' instance {instance.uuid}: its resize failed when it was to be started, "
            "what it was before is kept: revert it, or confirm it when a hard reboot has started it"
        )
    check_state(instance, ending.action, (ending.of_unfinished,), (None,))


def _begin(call: Call, instance: Instance, before: Migration, ending: Ending) -> Migration:
    try:
        begun, _ = call.parts.migrations.update_both(
            before.id,
            _changes(before, ending),
            instance_changes={"task_state": ending.task_state},
            expected=Expected((instance.vm_state,), (None,), instance.host),
            statuses=(before.status,),
            verb=ending.action,
        )
    except MigrationStateError as exc:
        raise ConflictError(f"Cannot '{ending.action}' instance {instance.uuid}: {exc}") from exc
    return begun


def _changes(before: Migration, ending: Ending) -> Mapping[str, Any]:
    """As a conductor begins with it."""
    return {
        "status": ending.status,
        "step": None,
        "is_undoing": False,
        "is_handed_over": ending.is_handed_over,
        "progress": 0,
        "error": None,
        "request_id": current_context().request_id or before.request_id,
    }


def _take_back(call: Call, instance: Instance, before: Migration, ending: Ending) -> None:
    """Unless a conductor has it after all, or somebody went on from there."""
    changed = _changes(before, ending)
    with suppress(InstanceStateError, InstanceNotFoundError, MigrationStateError):
        call.parts.migrations.update_both(
            before.id,
            {name: getattr(before, name) for name in changed},
            instance_changes={"task_state": None},
            expected=Expected((instance.vm_state,), (ending.task_state,)),
            statuses=(ending.status,),
            still={"step": None},
            verb=ending.action,
        )
        call.parts.actions.finish(before.instance_uuid, message=FAILED)
