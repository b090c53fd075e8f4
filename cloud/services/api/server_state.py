"""What is being done to a server: locked or not, in a state that allows it, and noted before anybody is asked."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from cloud.db.actions import FAILED
from cloud.domain.expected import Expected
from cloud.domain.instance import Instance, TaskState, VmState
from cloud.errors import CloudError, ConflictError, InstanceNotFoundError, InstanceStateError
from cloud.services.api.call import Call


@dataclass(frozen=True, slots=True)
class Change:
    """What an action asks of an instance's states."""

    action: str
    """As users call it, such as `reboot`; also under which it is found in the instance's history."""
    task_state: TaskState
    vm_states: Collection[VmState]
    """Those in which it may begin."""
    task_states: Collection[TaskState | None] = (None,)
    values: Callable[[Instance], Mapping[str, Any]] = lambda _: {}
    """What else changes with it, made of the instance as it is by then."""


def server_of(call: Call, server_id: str) -> Instance:
    """InstanceNotFoundError for one that the caller may not see, as for one that there is not."""
    return call.parts.instances.get(server_id, project_id=call.seen_project)


def refuse_locked(call: Call, instance: Instance) -> None:
    """ConflictError for whoever is no admin."""
    if instance.locked_by is not None and not call.caller.is_admin:
        raise ConflictError(f"Instance {instance.uuid} is locked")


def host_of(instance: Instance) -> str:
    """ConflictError for one that has never come to a host."""
    if instance.host is None:
        raise ConflictError(f"Instance {instance.uuid} is not ready")
    return instance.host


def check_state(
    instance: Instance,
    action: str,
    vm_states: Collection[VmState],
    task_states: Collection[TaskState | None] | None = None,
) -> None:
    """ConflictError unless the instance is in states that allow `action`; of any task state where none are given."""
    if instance.vm_state not in vm_states:
        raise _wrong(instance, action, f"vm_state {instance.vm_state}")
    if task_states is not None and instance.task_state not in task_states:
        raise _wrong(instance, action, f"task_state {instance.task_state}")


def begin(call: Call, instance: Instance, change: Change) -> Instance:
    """The instance with its new task_state; of several requests at a time one gets it. ConflictError otherwise."""

    def begun(now: Instance) -> Mapping[str, Any]:
        refuse_locked(call, now)
        host_of(now)
        check_state(now, change.action, change.vm_states, change.task_states)
        return {"task_state": change.task_state, **change.values(now)}

    return call.parts.instances.merge(instance.uuid, begun)


def hand_over(call: Call, before: Instance, change: Change, cast: Callable[[], None]) -> None:
    """Note the action and tell the host. Where that cannot be, all is as `before`, and the error is raised."""
    try:
        call.parts.actions.start(before.uuid, change.action)
        cast()
    except CloudError:
        take_back(call, before, change)
        raise


def take_back(call: Call, before: Instance, change: Change) -> None:
    """Undo what `begin` has done, unless somebody went on from there."""
    made = change.values(before)

    def undone(now: Instance) -> Mapping[str, Any]:
        values = {name: _undone(getattr(now, name), getattr(before, name), value) for name, value in made.items()}
        return {"task_state": before.task_state, **values}

    try:
        call.parts.instances.merge(before.uuid, undone, expected=Expected(task_states=(change.task_state,)))
    except (InstanceStateError, InstanceNotFoundError):
        return
    call.parts.actions.finish(before.uuid, message=FAILED)


def _undone(now: Any, before: Any, made: Any) -> Any:
    """`before` again; of a mapping each key that has what was `made` of it, for somebody else may have set others."""
    if not isinstance(made, Mapping):
        return before
    keys = now.keys() | before.keys()
    values = {key: (before if now.get(key) == made.get(key) else now).get(key) for key in keys}
    return {key: value for key, value in values.items() if value is not None}


def _wrong(instance: Instance, action: str, state: str) -> ConflictError:
    return ConflictError(f"Cannot '{action}' instance {instance.uuid} while it is in {state}")
