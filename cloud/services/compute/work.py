"""A request for an instance of this host, from the moment it comes off the bus: whether it still holds, what is
noted of it, and what becomes of the instance when it fails.
"""

import time
import traceback
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cloud.domain.action import EventResult
from cloud.domain.expected import Expected
from cloud.domain.instance import Instance, PowerState, TaskState, VmState
from cloud.errors import DatabaseUnavailableError, InstanceNotFoundError, InstanceStateError
from cloud.logs.emit import logger, request_context
from cloud.logs.emit.context import current_context
from cloud.logs.events import INSTANCE
from cloud.rpc.errors import RpcError, is_expected
from cloud.services.compute.faults import told_to_owner
from cloud.services.compute.locks import KeyLocks
from cloud.services.compute.records import Records
from cloud.virt.driver import Driver, VirtError

FAULT_CODE = 500
MAX_TEXT = 65_536
"""Characters of what is noted of a failure: of a message the first, of a traceback the last."""


@dataclass(frozen=True, slots=True)
class Host:
    """This host, and what all work on its instances is done with."""

    name: str
    driver: Driver
    records: Records
    locks: KeyLocks
    """By uuid."""

    def power_state(self, uuid: str) -> PowerState:
        """NOSTATE where the hypervisor has no such instance, or does not tell."""
        try:
            return self.driver.power_state(uuid)
        except VirtError:
            return PowerState.NOSTATE


@dataclass(frozen=True, slots=True)
class Job:
    """A kind of request. The API has set the task_state before it comes."""

    name: str
    """As in its event `compute_NAME`."""
    task_states: Collection[TaskState]
    """In which it holds; an instance in another one is none of its business any more."""
    done: str
    """What is said when it is done; an event of INSTANCE with it, if there is one."""
    failed: str
    event: str | None = None
    state_after_failure: Callable[[PowerState], VmState | None] = lambda _power: None
    """By what the hypervisor says then; None leaves the vm_state."""

    @property
    def expected(self) -> Expected:
        return Expected(task_states=self.task_states)


def carry_out(host: Host, job: Job, uuid: str, work: Callable[[Instance], None]) -> None:
    """Do `work`, which ends with the instance's new state, unless the request does not hold any more.

    A failure is told by a fault, and the instance has no task_state then. What cannot be written because nova-conductor
    does not answer is raised; Recovery takes it up later.
    """
    with alone(host, uuid):
        try:
            instance = wanted(host, job, uuid)
        except InstanceNotFoundError:
            say_deleted(job)
            return
        if instance is not None:
            do(host, job, instance, work)


def do(host: Host, job: Job, instance: Instance, work: Callable[[Instance], None]) -> None:
    """The same for an instance that is held and was looked at."""
    started_s = time.monotonic()
    with _noted(host, job, instance.uuid) as note:
        try:
            work(instance)
        except (RpcError, DatabaseUnavailableError):
            raise
        except (InstanceStateError, InstanceNotFoundError) as exc:
            note.failed(exc)
            logger.bind(job=job.name, error=str(exc)).info("instance was changed by others meanwhile")
        except Exception as exc:  # noqa: BLE001 - a defect must not leave it with its task_state either
            note.failed(exc)
            _fail(host, job, instance, exc)
        else:
            line = logger.bind(**_event(job.event), step_s=round(time.monotonic() - started_s, 3))
            line.info(job.done)


@contextmanager
def alone(host: Host, uuid: str) -> Iterator[None]:
    """Nobody else works on the instance, and all lines are about it."""
    with request_context(instance=uuid), host.locks.hold(uuid):
        yield


def wanted(host: Host, job: Job, uuid: str) -> Instance | None:
    """The instance, if a request for the job holds: it may have come a second time, or too late.

    InstanceNotFoundError for one that is deleted.
    """
    instance = host.records.get_instance(uuid)
    if instance.host == host.name and instance.task_state in job.task_states:
        return instance
    line = logger.bind(job=job.name, vm_state=instance.vm_state, task_state=instance.task_state)
    line.bind(instance_host=instance.host).info("request let go, the instance does not wait for it")
    return None


def say_deleted(job: Job) -> None:
    """That a request is let go for that."""
    logger.bind(job=job.name).info("request let go, the instance is deleted")


class _Note:
    """How it went, for the instance's action."""

    def __init__(self) -> None:
        self.result = EventResult.SUCCESS
        self.details: str | None = None

    def failed(self, exc: Exception) -> None:
        self.result, self.details = EventResult.ERROR, str(exc)[:MAX_TEXT]


@contextmanager
def _noted(host: Host, job: Job, uuid: str) -> Iterator[_Note]:
    note = _Note()
    if current_context().request_id is None:  # our own idea, which nobody has asked for
        yield note
        return
    event = f"compute_{job.name}"
    host.records.start_event(uuid, event, host=host.name)
    yield note
    try:
        host.records.finish_event(uuid, event, result=note.result, details=note.details, host=host.name)
    except (RpcError, DatabaseUnavailableError) as exc:  # the work is done, and that is noted already
        logger.bind(job=job.name, error=str(exc)).warning("cannot note the end of an action")


def _fail(host: Host, job: Job, instance: Instance, exc: Exception) -> None:
    power_state = host.power_state(instance.uuid)
    vm_state = job.state_after_failure(power_state)
    line = logger.bind(error=str(exc), cause=type(exc).__name__)
    if not isinstance(exc, VirtError) and not is_expected(exc):
        line = line.opt(exception=exc)
    if vm_state is VmState.ERROR:
        line = line.bind(**_event("error"))
    line.error(job.failed)
    put_in_fault(host, instance, exc, expected=job.expected, vm_state=vm_state, power_state=power_state)


def put_in_fault(
    host: Host,
    instance: Instance,
    cause: Exception,
    *,
    expected: Expected,
    vm_state: VmState | None,
    power_state: PowerState,
) -> None:
    """No task_state any more, and a fault that says why; unless others have changed it meanwhile."""
    otherwise = (
        f"cannot finish {instance.task_state} of instance {instance.uuid}: its host failed with {type(cause).__name__}"
    )
    message = told_to_owner(cause, (host.name,), otherwise=otherwise)
    details = "".join(traceback.format_exception(cause))[-MAX_TEXT:]
    changes = {"task_state": None, "power_state": power_state}
    try:
        # Before the state: whoever sees that finds why.
        host.records.add_fault(instance.uuid, FAULT_CODE, message[:MAX_TEXT], details, host.name)
        host.records.update_instance(
            instance.uuid, changes if vm_state is None else changes | {"vm_state": vm_state}, expected
        )
    except (InstanceStateError, InstanceNotFoundError) as exc:
        logger.bind(error=str(exc)).info("instance was changed by others meanwhile")


def _event(change: str | None) -> dict[str, str]:
    return {} if change is None else {"event": INSTANCE.event(change)}
