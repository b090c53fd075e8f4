"""What is expected of an instance when it is changed: the other half of compare-and-set. It travels."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Self

from cloud.domain.instance import TaskState, VmState


@dataclass(frozen=True, slots=True)
class Expected:
    """States, any of which will do; None: whichever it is in. None among `task_states` is that of no task."""

    vm_states: Collection[VmState] | None = None
    task_states: Collection[TaskState | None] | None = None
    host: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """As values that JSON has; `from_dict` gives it back."""
        return {
            "vm_states": None if self.vm_states is None else [str(state) for state in self.vm_states],
            "task_states": None
            if self.task_states is None
            else [None if state is None else str(state) for state in self.task_states],
            "host": self.host,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `as_dict` gave; TypeError for a missing or an unknown key, ValueError for an unknown state."""
        expected = cls(**values)
        vm_states, task_states = expected.vm_states, expected.task_states
        return cls(
            vm_states=None if vm_states is None else tuple(map(VmState, vm_states)),
            task_states=None
            if task_states is None
            else tuple(None if state is None else TaskState(state) for state in task_states),
            host=expected.host,
        )


ANY = Expected()
