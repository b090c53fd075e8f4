"""What the hypervisor says of its instances, against what the database says."""

from cloud.domain.expected import Expected
from cloud.domain.instance import Instance, PowerState, TaskState, VmState
from cloud.errors import ComputeError, InstanceNotFoundError, InstanceStateError
from cloud.logs.emit import logger, request_context
from cloud.services.compute.lifecycle import Lifecycle
from cloud.services.compute.work import Host
from cloud.virt.driver import VirtError

_NOT_RUNNING = (PowerState.SHUTDOWN, PowerState.CRASHED)


class PowerSync:
    """What only one of the two knows is said when it is first seen, and never removed."""

    def __init__(self, host: Host, lifecycle: Lifecycle) -> None:
        self._host = host
        self._lifecycle = lifecycle
        self._missing: set[str] = set()
        self._unknown: set[str] = set()

    def report(self) -> None:
        """Note new power states; stop what has shut itself down. ComputeError when the hypervisor does not say."""
        # The hypervisor first: what is spawned after it was asked is still being built.
        states = self._states()
        instances = {instance.uuid: instance for instance in self._host.records.instances_on_host(self._host.name)}
        self._say_missing({uuid for uuid, instance in instances.items() if _should_be_there(instance)} - states.keys())
        self._say_unknown(states.keys() - instances.keys())
        for uuid, instance in instances.items():
            if instance.task_state is None and instance.vm_state is not VmState.BUILDING:
                with request_context(instance=uuid):
                    self._compare(instance, states.get(uuid, PowerState.NOSTATE))

    def _compare(self, instance: Instance, power_state: PowerState) -> None:
        if self._host.locks.is_held(instance.uuid):  # what was seen may not be so any more
            return
        has_shut_down = instance.vm_state is VmState.ACTIVE and power_state in _NOT_RUNNING
        if power_state is instance.power_state and not has_shut_down:
            return
        changes: dict[str, object] = {"power_state": power_state}
        if has_shut_down:
            changes["task_state"] = TaskState.POWERING_OFF
        expected = Expected((instance.vm_state,), (None,), self._host.name)
        try:
            self._host.records.update_instance(instance.uuid, changes, expected)
        except (InstanceStateError, InstanceNotFoundError):
            return  # somebody works on it
        line = logger.bind(vm_state=instance.vm_state, power_state=power_state, was=instance.power_state)
        if has_shut_down:
            line.warning("instance has shut itself down, it is stopped")
            self._lifecycle.stop(instance.uuid)
        elif instance.vm_state is VmState.STOPPED and power_state is PowerState.RUNNING:
            line.warning("instance runs though it is stopped")
        else:
            line.info("power state has changed")

    def _states(self) -> dict[str, PowerState]:
        try:
            return dict(self._host.driver.instances())
        except VirtError as exc:
            raise ComputeError(str(exc)) from exc

    def _say_missing(self, uuids: set[str]) -> None:
        for uuid in sorted(uuids - self._missing):
            logger.bind(instance=uuid).warning("hypervisor does not have the instance")
        self._missing = uuids

    def _say_unknown(self, uuids: set[str]) -> None:
        """But not of one that was deleted just now."""
        uuids &= self._states().keys() if uuids - self._unknown else uuids
        for uuid in sorted(uuids - self._unknown):
            logger.bind(instance=uuid).warning("hypervisor has an instance that the database does not have here")
        self._unknown = uuids


def _should_be_there(instance: Instance) -> bool:
    """Not while something is done to it, nor if it has never run."""
    return (
        instance.task_state is None and instance.vm_state is not VmState.BUILDING and instance.launched_at is not None
    )
