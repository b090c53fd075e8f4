"""What a nova-compute does once, before it looks after its instances: those that are not its own any more go first."""

import threading
from collections.abc import Callable

from cloud.domain.expected import Expected
from cloud.domain.instance import Instance, PowerState, TaskState, VmState
from cloud.errors import ComputeError, InstanceNotFoundError, InstanceStateError
from cloud.logs.emit import logger, request_context
from cloud.services.compute.fence import Fence
from cloud.services.compute.lifecycle import Lifecycle
from cloud.services.compute.work import Host
from cloud.virt.driver import VirtError

_NOT_RUNNING = (PowerState.SHUTDOWN, PowerState.CRASHED)


class HostStart:
    """Any thread may ask; whoever comes while another one is at it waits for the end."""

    def __init__(self, fence: Fence, resume: Callable[[], None]) -> None:
        """`resume` starts what is to run here."""
        self._fence = fence
        self._resume = resume
        self._lock = threading.Lock()
        self._is_done = False

    def ensure(self) -> None:
        """See to it that it was done; a CloudError, and it is to be done again, where that cannot be."""
        with self._lock:
            if not self._is_done:
                self._fence.ensure()
                self._resume()
                self._is_done = True

    def report(self) -> None:
        """The same, and afterwards at each time the fence again."""
        if self._is_done:
            self._fence.report()
        else:
            self.ensure()


class Resume:
    """Instances that the database has running, and that do not run since their host was off."""

    def __init__(self, host: Host, lifecycle: Lifecycle) -> None:
        self._host = host
        self._lifecycle = lifecycle

    def __call__(self) -> None:
        """Start them; one that does not is said, and holds up no other. Raises what nova-conductor's client does."""
        try:
            states = self._host.driver.instances()
        except VirtError as exc:
            raise ComputeError(str(exc)) from exc
        for instance in self._host.records.instances_on_host(self._host.name):
            is_to_run = instance.vm_state is VmState.ACTIVE and instance.power_state is PowerState.RUNNING
            if is_to_run and instance.task_state is None and states.get(instance.uuid) in _NOT_RUNNING:
                with request_context(instance=instance.uuid):
                    self._start(instance)

    def _start(self, instance: Instance) -> None:
        expected = Expected((VmState.ACTIVE,), (None,), self._host.name)
        try:
            self._host.records.update_instance(instance.uuid, {"task_state": TaskState.POWERING_ON}, expected)
        except (InstanceStateError, InstanceNotFoundError):
            return  # somebody works on it
        logger.warning("instance does not run since its host was off, it is started again")
        self._lifecycle.start(instance.uuid)
