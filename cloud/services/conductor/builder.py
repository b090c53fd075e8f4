"""What becomes of a build: begun, taken up where another left it, tried on another host, and ended either way."""

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cloud.db.actions import FAILED
from cloud.db.instance_query import InstanceQuery
from cloud.domain.action import EventResult
from cloud.domain.expected import Expected
from cloud.domain.host import BuildRequest
from cloud.domain.instance import Instance, PowerState, TaskState, VmState
from cloud.errors import CloudError, ComputeError, InstanceNotFoundError, InstanceStateError, NoValidHostError
from cloud.logs.emit import logger, request_context
from cloud.logs.events import INSTANCE
from cloud.rpc.errors import NoSuchTargetError, RemoteError, RpcError, RpcTimeoutError, is_expected
from cloud.services.compute.faults import told_to_owner
from cloud.services.conductor.build import INTERRUPTIONS, Build, BuildSteps, is_unwanted
from cloud.services.conductor.procedure import Failure
from cloud.services.conductor.tables import Tables

FAULT_CODE = 500
"""As nova has it, whatever the cause."""
CREATE = "create"
"""The action that asks for an instance."""
EVENT = "conductor_build_instance"
"""Its step that is ours."""
WAITS_S = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
"""For the database or the bus to come back, one after the other. What is left then, `end_overdue` ends."""
MAX_OVERDUE = 20
"""Builds that are given up at a time."""

_ELSEWHERE = (ComputeError, RemoteError, RpcTimeoutError, NoSuchTargetError)
"""Failures of a host that another one may not have."""
_ON_HOST = ("network", "image", "spawn")
"""The steps that a host takes part in."""


@dataclass(frozen=True, slots=True)
class BuildLimits:
    """How much is tried, and for how long."""

    max_attempts: int = 3
    """Hosts in all."""
    timeout_s: float = 1800.0
    """A build that has not moved on for so long is given up; 0: never."""


class Builder:
    """Builds instances. Several at one instance, which is what a request that comes twice means, do no harm."""

    def __init__(
        self,
        tables: Tables,
        steps: BuildSteps,
        limits: BuildLimits,
        now: Callable[[], datetime],
        *,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """`wait` lets so many seconds pass."""
        self._tables = tables
        self._steps = steps
        self._limits = limits
        self._now = now
        self._wait = wait

    def build(self, request: BuildRequest) -> None:
        """Return when the instance is active, in error with a fault, gone, or somebody else's business.

        A build that was begun already is taken up where it stands. Raises one of INTERRUPTIONS that lasts too long.
        """
        failures: dict[str, Failure] = {}
        with request_context(instance=request.instance_uuid):
            for wait_s in (*WAITS_S, None):
                try:
                    self._build(request, failures)
                except INTERRUPTIONS as exc:
                    if wait_s is None:
                        raise
                    logger.bind(error=str(exc), wait_s=wait_s).warning("build is interrupted, and will be taken up")
                    self._wait(wait_s)
                else:
                    return

    def overdue(self) -> Sequence[str]:
        """Instances whose builds have not moved on for too long, those first that stand for longest; by uuid."""
        if self._limits.timeout_s <= 0:
            return []
        query = InstanceQuery(
            vm_states=(VmState.BUILDING,), sort_keys=("updated_at",), sort_dirs=("asc",), limit=MAX_OVERDUE
        )
        return [each.uuid for each in self._tables.instances.list(query) if self._is_overdue(each)]

    def end_overdue(self, uuid: str) -> None:
        """Undo what there is of such a build, with a fault that says so; nothing is done to any other instance."""
        try:
            instance = self._tables.instances.get(uuid)
        except InstanceNotFoundError:
            return
        if not self._is_overdue(instance):
            return
        request = BuildRequest(uuid, instance.project_id, instance.flavor, instance.image_id)
        build = Build(request, instance)
        with request_context(instance=uuid, request_id=self._asked_by(uuid)):
            if is_unwanted(instance):
                if self._is_moved(build, instance.task_state):  # now it is not overdue for anybody else
                    self._undo(build)
                    self._end_deleted(build)
                return
            stood = f"its task_state was {instance.task_state} for {self._limits.timeout_s:g} s and more"
            cause = CloudError(f"cannot build instance {uuid}: {stood}")
            if self._steps.is_ours_to_undo(build, cause):
                self._end(build, Failure("build", cause, is_ours=True, left=self._undo(build)))

    def _build(self, request: BuildRequest, failures: dict[str, Failure]) -> None:
        try:
            instance = self._tables.instances.get(request.instance_uuid, deleted=True)
        except InstanceNotFoundError as exc:
            logger.bind(error=str(exc)).warning("cannot build what is not there")
            return
        build = Build(request, instance, failures)
        is_ended = False
        while not is_ended and (step := self._take_up(build)) is not None:
            self._tables.actions.start_event(build.uuid, EVENT)
            is_ended = self._end(build, self._steps.procedure.run(build, begin=step))

    def _take_up(self, build: Build) -> str | None:
        """The step with which the build begins or goes on, by where it stands; None when there is nothing to build."""
        instance = build.instance
        if is_unwanted(instance) and instance.vm_state in (VmState.BUILDING, VmState.DELETED):
            self._undo(build)
            self._end_deleted(build)
            return None
        if instance.vm_state is not VmState.BUILDING:  # whoever ended it may have died before this
            self._note_end(build, has_failed=instance.vm_state is VmState.ERROR)
            return None
        if instance.task_state is TaskState.NETWORKING:
            return "network"
        if instance.task_state is TaskState.SPAWNING:
            return "spawn"
        is_new = instance.task_state is TaskState.SCHEDULING and instance.host is None
        return "schedule" if is_new or self._is_back_at_start(build) else None

    def _is_back_at_start(self, build: Build) -> bool:
        """Undo what somebody has begun, or has begun to undo; where that fails, the build has had its end here."""
        cause = CloudError(f"cannot build instance {build.uuid}: what was begun on {build.instance.host} stays there")
        is_ours = self._steps.is_ours_to_undo(build, cause)
        left = self._undo(build) if is_ours else ()
        if is_ours and not build.is_deleted and "spawn" not in left:
            return self._is_moved(build, TaskState.SCHEDULING, host=None, node=None)
        self._end(build, Failure("claim", cause, is_ours=is_ours, left=left))
        return False

    def _undo(self, build: Build) -> tuple[str, ...]:
        build.left = () if build.instance.host is None else self._steps.procedure.undo(build)
        return build.left

    def _end(self, build: Build, failure: Failure | None) -> bool:
        """Whether this was the end of the build; else it is to begin anew, on another host."""
        build.left = () if failure is None else failure.left
        if failure is None:
            logger.bind(event=INSTANCE.event("create"), host=build.host).info("instance created")
            self._note_end(build)
        elif build.is_deleted:
            self._end_deleted(build)
        elif not failure.is_ours:
            self._leave(build, failure)
        elif self._is_to_be_tried_elsewhere(build, failure):
            return not self._is_moved(build, TaskState.SCHEDULING, host=None, node=None, progress=0)
        else:
            self._end_in_error(build, failure)
        return True

    def _is_to_be_tried_elsewhere(self, build: Build, failure: Failure) -> bool:
        if failure.step not in _ON_HOST or not isinstance(failure.cause, _ELSEWHERE):
            return False
        is_first_time = build.host not in build.failures
        build.failures[build.host] = failure
        if "spawn" in failure.left or build.request.forced_host is not None:  # there must never be two of it
            return False
        return is_first_time and len(build.failures) < self._limits.max_attempts

    def _end_in_error(self, build: Build, failure: Failure) -> None:
        if not self._is_moved(build, None):  # undoing takes its time
            return
        message = _message(build, failure)
        host = build.instance.host
        # Before the state: whoever sees that finds why.
        self._tables.instances.add_fault(build.uuid, FAULT_CODE, message, _details(build, failure), host)
        changes = {"vm_state": VmState.ERROR, "power_state": PowerState.NOSTATE, "progress": 0}
        if "spawn" not in failure.left:  # else whoever deletes it has to know where
            changes |= {"host": None, "node": None}
        if self._is_moved(build, None, **changes):
            logger.bind(event=INSTANCE.event("error"), error=message, cause=type(failure.cause).__name__).error(
                "instance is in error"
            )
            self._note_end(build, has_failed=True, details=message)

    def _end_deleted(self, build: Build) -> None:
        """If nothing is left of it, it may be gone; unless whoever wants it to be gone was faster."""
        if "spawn" in build.left:
            logger.bind(host=build.host).error("cannot finish deletion: the guest may be there still")
            return
        try:
            self._tables.instances.delete(build.uuid, expected=Expected(task_states=(TaskState.DELETING,)))
        except InstanceNotFoundError:
            logger.info("build ended, the instance is deleted")
        except InstanceStateError as exc:
            logger.bind(error=str(exc)).info("build ended, the instance was to be deleted")
        else:
            logger.bind(event=INSTANCE.event("delete")).info("instance deleted")
        self._note_end(build, has_failed=True, details="the instance was deleted")

    def _leave(self, build: Build, failure: Failure) -> None:
        """To whoever has taken it over, but for what they do not know of."""
        found = self._tables.instances.get(build.uuid, deleted=True)
        logger.bind(
            vm_state=found.vm_state, task_state=found.task_state, instance_host=found.host, error=str(failure.cause)
        ).warning("build is left to others")
        self._steps.withdraw(build, found, failure.step)

    def _is_moved(self, build: Build, task_state: TaskState | None, **changes: Any) -> bool:
        """Whether it was still ours to change; what could be is undone. One that is deleted meanwhile ends here."""
        try:
            self._steps.move(build, task_state, **changes)
        except (InstanceStateError, InstanceNotFoundError) as exc:
            if is_unwanted(self._tables.instances.get(build.uuid, deleted=True)):
                self._end_deleted(build)
            else:
                logger.bind(error=str(exc)).warning("build is left to others")
            return False
        return True

    def _note_end(self, build: Build, *, has_failed: bool = False, details: str | None = None) -> None:
        actions = self._tables.actions
        result = EventResult.ERROR if has_failed else EventResult.SUCCESS
        actions.finish_event(build.uuid, EVENT, result=result, details=details)
        actions.finish(build.uuid, message=FAILED if has_failed else None)

    def _is_overdue(self, instance: Instance) -> bool:
        timeout_s = self._limits.timeout_s
        is_being_built = instance.vm_state is VmState.BUILDING and timeout_s > 0
        return is_being_built and instance.updated_at <= self._now() - timedelta(seconds=timeout_s)

    def _asked_by(self, uuid: str) -> str | None:
        """The request that the build belongs to."""
        actions = self._tables.actions.list(uuid)
        return next((each.request_id for each in actions if each.action == CREATE), None)


def _message(build: Build, failure: Failure) -> str:
    """The cause for whoever owns the instance; where no further host is found, that which made us look for one."""
    if isinstance(failure.cause, NoValidHostError) and build.failures:
        failure = list(build.failures.values())[-1]
    hosts = {*build.failures, *(candidate.host for candidate in build.candidates)}
    if build.instance.host is not None:
        hosts.add(build.instance.host)
    otherwise = f"cannot build instance {build.uuid}: {_in_a_word(failure.cause)} at step {failure.step}"
    return told_to_owner(failure.cause, hosts, otherwise=otherwise)


def _in_a_word(cause: Exception) -> str:
    if isinstance(cause, RpcTimeoutError | NoSuchTargetError):
        return "no answer"
    return "a service failed" if isinstance(cause, RpcError) else type(cause).__name__


def _details(build: Build, failure: Failure) -> str:
    """For admins."""
    lines = [f"step {failure.step}: {type(failure.cause).__name__}: {failure.cause}"]
    lines += [f"tried on host {host}: {tried.cause}" for host, tried in build.failures.items()]
    lines += [f"no room on host {host}: {cause}" for host, cause in build.full.items()]
    if failure.left:
        lines.append(f"may not be undone on host {build.instance.host}: {', '.join(failure.left)}")
    if not is_expected(failure.cause):
        lines += traceback.format_exception(failure.cause)
    return "\n".join(lines)
