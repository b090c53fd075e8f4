"""Instances that were left in the middle of something, by a process that died or a message that was lost."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from cloud.domain.expected import Expected
from cloud.domain.instance import Instance, TaskState, VmState
from cloud.errors import CloudError, ComputeError, DatabaseUnavailableError
from cloud.logs.emit import logger, request_context
from cloud.logs.events import INSTANCE
from cloud.rpc.errors import RpcError
from cloud.services.compute.lifecycle import Lifecycle
from cloud.services.compute.snapshots import Snapshots
from cloud.services.compute.work import Host, put_in_fault

LEFT_AFTER = timedelta(seconds=300)
"""So long its message may take to come, while we run; at the start nothing is waited for."""

_GIVEN_UP = (TaskState.REBUILDING, TaskState.IMAGE_SNAPSHOT, TaskState.IMAGE_UPLOADING)


class Recovery:
    """What can be done at once is done: the message, should it still come, then finds nothing to do.

    What takes long is left to the message, which the broker keeps, for as long as a build may take; then it is given
    up. Builds and moves are nova-conductor's business.
    """

    def __init__(
        self,
        host: Host,
        lifecycle: Lifecycle,
        snapshots: Snapshots,
        now: Callable[[], datetime],
        *,
        give_up_after_s: float,
    ) -> None:
        """`give_up_after_s` 0 gives up nothing."""
        self._host = host
        self._snapshots = snapshots
        self._now = now
        self._give_up_after = timedelta(seconds=give_up_after_s)
        self._is_started = False
        self._finish: Mapping[TaskState, Callable[[str], None]] = {
            TaskState.DELETING: lifecycle.delete,
            TaskState.POWERING_OFF: lifecycle.stop,
            TaskState.POWERING_ON: lifecycle.start,
            TaskState.REBOOTING: lambda uuid: lifecycle.reboot(uuid, hard=False),
            TaskState.REBOOTING_HARD: lambda uuid: lifecycle.reboot(uuid, hard=True),
        }

    def report(self) -> None:
        """Put right what was left; the first time all that there is, for nobody else can have begun it.

        What goes wrong with one holds up no other, unless it is the bus or the database; it is raised at the end.
        """
        wrong: CloudError | None = None
        for instance in self._host.records.instances_on_host(self._host.name):
            with request_context(instance=instance.uuid):
                try:
                    self._look_at(instance)
                except (RpcError, DatabaseUnavailableError):
                    raise
                except CloudError as exc:
                    wrong = wrong or exc
        self._is_started = True
        if wrong is not None:
            raise wrong

    def _look_at(self, instance: Instance) -> None:
        age = self._now() - instance.updated_at
        if self._is_worked_on(instance.uuid):
            return
        finish = None if instance.task_state is None else self._finish.get(instance.task_state)
        if finish is not None and (age >= LEFT_AFTER or not self._is_started):
            logger.bind(task_state=instance.task_state, vm_state=instance.vm_state).warning(
                "instance was left in the middle of something, it is finished"
            )
            finish(instance.uuid)
        elif instance.task_state in _GIVEN_UP and self._is_to_be_given_up(instance, age):
            self._give_up(instance, age)

    def _is_worked_on(self, uuid: str) -> bool:
        return self._host.locks.is_held(uuid) or self._snapshots.is_taking(uuid)

    def _is_to_be_given_up(self, instance: Instance, age: timedelta) -> bool:
        """But not an evacuation, which has the task_state of a rebuild: that is nova-conductor's business."""
        if not timedelta(0) < self._give_up_after <= age:
            return False
        if instance.task_state is not TaskState.REBUILDING:
            return True
        (found,) = self._host.records.whereabouts([instance.uuid])
        return not found.is_moving

    def _give_up(self, instance: Instance, age: timedelta) -> None:
        vm_state = VmState.ERROR if instance.task_state is TaskState.REBUILDING else None
        cause = ComputeError(
            f"cannot finish {instance.task_state} of instance {instance.uuid}: "
            f"nobody has gone on with it for {age.total_seconds():.0f} s"
        )
        line = logger.bind(task_state=instance.task_state, vm_state=instance.vm_state, error=str(cause))
        if vm_state is not None:
            line = line.bind(event=INSTANCE.event("error"))
        line.error("instance was left in the middle of something, it is given up")
        put_in_fault(
            self._host,
            instance,
            cause,
            expected=Expected((instance.vm_state,), (instance.task_state,), self._host.name),
            vm_state=vm_state,
            power_state=self._host.power_state(instance.uuid),
        )
