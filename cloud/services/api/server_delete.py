"""Deleting a server: its host does it, or we do where it has none that could."""

from cloud.domain.expected import Expected
from cloud.domain.instance import Instance, TaskState
from cloud.errors import ConflictError, InstanceNotFoundError, InstanceStateError
from cloud.logs.emit import logger
from cloud.logs.events import INSTANCE
from cloud.rpc.errors import BusUnavailableError, NoSuchTargetError
from cloud.services.api.call import Call
from cloud.services.api.compute_services import is_up
from cloud.services.api.resized import leave_resize
from cloud.services.api.server_state import Change, hand_over, refuse_locked

_ACTION = "delete"
_MAX_ATTEMPTS = 5
"""How often a state is read again that has changed under our hands, as while it is being built."""


def delete_server(call: Call, instance: Instance) -> None:
    """In whichever state it is. ConflictError for a locked one; a second time changes nothing."""
    refuse_locked(call, instance)
    for _ in range(_MAX_ATTEMPTS):
        try:
            if instance.host is None or not is_up(call, instance.host):
                _delete_here(call, instance)
            elif instance.task_state is not TaskState.DELETING:
                _delete_there(call, instance, instance.host)
        except InstanceNotFoundError:
            return
        except InstanceStateError:
            try:
                instance = call.parts.instances.get(instance.uuid)
            except InstanceNotFoundError:
                return
            continue
        leave_resize(call, instance)
        return
    raise ConflictError(f"Cannot 'delete' instance {instance.uuid} while it is in changing states")


def _delete_here(call: Call, instance: Instance) -> None:
    """It has never come to a host, or its host is down: that one is told all the same, for when it is back."""
    call.parts.actions.start(instance.uuid, _ACTION)
    call.parts.instances.delete(instance.uuid, expected=_as(instance))
    call.parts.actions.finish(instance.uuid)
    logger.bind(event=INSTANCE.event("delete"), instance=instance.uuid).info("instance deleted")
    if instance.host is not None:
        _leave_word(call, instance, instance.host)


def _leave_word(call: Call, instance: Instance, host: str) -> None:
    """Its queue outlives the host, which may run the guest to this day: it clears away what the database has not."""
    try:
        call.parts.compute.delete_instance(host, instance.uuid)
    except (BusUnavailableError, NoSuchTargetError) as exc:
        line = logger.bind(instance=instance.uuid, host=host, error=str(exc))
        line.warning("cannot tell a host that is down of a deleted instance, which may run there on")


def _delete_there(call: Call, instance: Instance, host: str) -> None:
    changes = {"task_state": TaskState.DELETING, "progress": 0}
    call.parts.instances.update(instance.uuid, changes, expected=_as(instance))
    change = Change(_ACTION, TaskState.DELETING, (), values=lambda _: {"progress": 0})
    hand_over(call, instance, change, lambda: call.parts.compute.delete_instance(host, instance.uuid))


def _as(instance: Instance) -> Expected:
    return Expected(vm_states=(instance.vm_state,), task_states=(instance.task_state,), host=instance.host)
