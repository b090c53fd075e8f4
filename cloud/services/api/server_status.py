"""vm_state and task_state -> the one word that users read, and back."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cloud.domain.instance import Instance, TaskState, VmState

_ANY = None
"""Every task state, or none, that has no row of its own."""

_RESIZING: Mapping[TaskState | None, str] = {
    TaskState.RESIZE_PREP: "RESIZE",
    TaskState.RESIZE_MIGRATING: "RESIZE",
    TaskState.RESIZE_MIGRATED: "RESIZE",
    TaskState.RESIZE_FINISH: "RESIZE",
}
"""Of a cold migration too, which is a resize to the same flavor."""

_STATUSES: Mapping[VmState, Mapping[TaskState | None, str]] = {
    VmState.ACTIVE: {
        _ANY: "ACTIVE",
        TaskState.REBOOTING: "REBOOT",
        TaskState.REBOOTING_HARD: "HARD_REBOOT",
        TaskState.REBUILDING: "REBUILD",
        TaskState.MIGRATING: "MIGRATING",
        **_RESIZING,
    },
    VmState.BUILDING: {_ANY: "BUILD"},
    VmState.STOPPED: {_ANY: "SHUTOFF", TaskState.REBUILDING: "REBUILD", **_RESIZING},
    VmState.RESIZED: {_ANY: "VERIFY_RESIZE", TaskState.RESIZE_REVERTING: "REVERT_RESIZE"},
    VmState.PAUSED: {_ANY: "PAUSED", TaskState.MIGRATING: "MIGRATING"},
    VmState.SUSPENDED: {_ANY: "SUSPENDED"},
    VmState.RESCUED: {_ANY: "RESCUE"},
    VmState.ERROR: {_ANY: "ERROR", TaskState.REBUILDING: "REBUILD"},
    VmState.DELETED: {_ANY: "DELETED"},
}

PROGRESSING = frozenset({"ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING"})
"""Those beside which progress is shown."""
FAULTY = frozenset({"ERROR", "DELETED"})
"""Those beside which a fault is shown."""


def status_of(instance: Instance) -> str:
    """Such as `HARD_REBOOT`."""
    if instance.deleted_at is not None:
        return "DELETED"
    words = _STATUSES[instance.vm_state]
    return words.get(instance.task_state, words[_ANY])


@dataclass(frozen=True, slots=True)
class States:
    """Which instances a status is about; of any task state where `task_states` is None."""

    vm_states: frozenset[VmState]
    task_states: frozenset[TaskState] | None


def states_of(statuses: Iterable[str]) -> States | None:
    """The states behind words that users say, in any case; None where there is none."""
    wanted = {status.upper() for status in statuses}
    found = [
        (vm_state, task_state)
        for vm_state, words in _STATUSES.items()
        for task_state, word in words.items()
        if word in wanted
    ]
    if not found:
        return None
    task_states = frozenset(task_state for _, task_state in found if task_state is not None)
    is_any = any(task_state is _ANY for _, task_state in found)
    return States(frozenset(vm_state for vm_state, _ in found), None if is_any else task_states)
