"""The build of an instance as a list of named steps, from the choice of a host to a guest that runs.

Before a step does anything anywhere, the instance's row says so: by its host and its task_state, whoever gets the
request once more can tell what is certain and what may be.

    scheduling  something may be claimed of the host, if there is one
    networking  the claim is there, the address may be
    spawning    claim and address are there, the guest may be
    none        what there is, is being undone, and nobody goes on
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from cloud.domain.expected import Expected
from cloud.domain.fixed_ip import FixedIp
from cloud.domain.host import BuildRequest, Candidate
from cloud.domain.instance import Instance, PowerState, TaskState, VmState
from cloud.errors import (
    CloudError,
    DatabaseUnavailableError,
    InstanceNotFoundError,
    InstanceStateError,
    NoRoomError,
    NoValidHostError,
)
from cloud.logs.emit import logger
from cloud.logs.events import BUILD, PROGRESS
from cloud.rpc.errors import BusUnavailableError
from cloud.services.conductor.procedure import Failure, Procedure, Step
from cloud.services.conductor.tables import Tables

CLAIM_ROUNDS = 10
"""How often hosts are chosen for one claim while others are faster wherever there is room."""

INTERRUPTIONS = (DatabaseUnavailableError, BusUnavailableError)
"""Without these nothing can be done and nothing undone: the build is taken up when they are back."""


class Scheduler(Protocol):
    """What a build asks of nova-scheduler."""

    def select_hosts(self, request: BuildRequest) -> Sequence[Candidate]: ...


class Network(Protocol):
    """What a build asks of the nova-network on a host. A second time changes nothing."""

    def allocate_for_instance(self, host: str, uuid: str) -> FixedIp: ...

    def deallocate_for_instance(self, host: str, uuid: str) -> None: ...


class Compute(Protocol):
    """What a build asks of the nova-compute on a host. A second time changes nothing."""

    def prepare_image(self, host: str, image_id: str) -> None: ...

    def spawn(self, host: str, instance: Instance, fixed_ips: Sequence[FixedIp]) -> PowerState: ...

    def destroy(self, host: str, uuid: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Services:
    """Whom a build asks."""

    scheduler: Scheduler
    network: Network
    compute: Compute


@dataclass(slots=True)
class Build:
    """One build under way: what its steps find out and hand on."""

    request: BuildRequest
    instance: Instance
    """As the last step left it. Its host is the one that we work on."""
    failures: dict[str, Failure] = field(default_factory=dict)
    """Hosts where it was tried in vain, and why it failed there."""
    candidates: Sequence[Candidate] = ()
    full: dict[str, str] = field(default_factory=dict)
    """Candidates that had no room any more when it was claimed, and of what there was too little."""
    left: tuple[str, ...] = ()
    """Steps that could not be undone. With `spawn` among them the guest may run, on its claim and its address."""
    is_deleted: bool = False
    """Somebody wants the instance to be gone, or it is."""

    @property
    def uuid(self) -> str:
        return self.instance.uuid

    @property
    def host(self) -> str:
        """ValueError before there is one."""
        if self.instance.host is None:
            raise ValueError(f"cannot build instance {self.uuid}: it has no host yet")
        return self.instance.host


class BuildSteps:
    """What is done at each step, and what is taken back."""

    def __init__(self, tables: Tables, services: Services, now: Callable[[], datetime]) -> None:
        self._tables = tables
        self._services = services
        self._now = now
        self.procedure = Procedure(
            BUILD,
            (
                Step("schedule", self._schedule),
                Step("claim", self._claim, self._release_claim, undo_after="spawn"),
                Step("network", self._allocate_address, self._release_address, undo_after="spawn"),
                Step("image", self._prepare_image),
                Step("spawn", self._spawn, self._destroy),
            ),
            describe=_describe,
            may_undo=self.is_ours_to_undo,
            interruptions=INTERRUPTIONS,
        )

    def _schedule(self, build: Build) -> None:
        ignored = (*build.request.ignored_hosts, *build.failures)
        build.candidates = self._services.scheduler.select_hosts(replace(build.request, ignored_hosts=ignored))

    def _claim(self, build: Build) -> None:
        """On the best candidate that still has room; where others were faster, hosts are chosen anew."""
        cause = "there is no candidate"
        rounds = 1 if build.request.forced_host else CLAIM_ROUNDS  # no other choice is made there, however often
        for attempt in range(rounds):
            if attempt > 0:
                self._schedule(build)
            for candidate in build.candidates:
                self.move(build, TaskState.SCHEDULING, host=candidate.host, node=candidate.node)
                wanted = build.instance.flavor.resources
                try:
                    self._tables.claims.claim(build.uuid, candidate.host, wanted, candidate.limits)
                except NoRoomError as exc:
                    cause = build.full[candidate.host] = str(exc)
                else:
                    return
            logger.bind(
                event=BUILD.event("claim", PROGRESS), candidates=len(build.candidates), full=dict(build.full)
            ).info("candidates were full before they could be claimed")
        others = f"others were faster {rounds} times; " if rounds > 1 else ""
        raise NoValidHostError(f"no valid host: {others}{cause}")

    def _release_claim(self, build: Build) -> None:
        if self._is_being_undone(build):
            self._tables.claims.release(build.uuid, build.instance.host)

    def _allocate_address(self, build: Build) -> None:
        self.move(build, TaskState.NETWORKING)
        self._services.network.allocate_for_instance(build.host, build.uuid)

    def _release_address(self, build: Build) -> None:
        if not self._is_being_undone(build):
            return
        try:
            self._services.network.deallocate_for_instance(build.host, build.uuid)
        except Exception:
            if self._is_being_undone(build):  # trying took its time
                self._tables.fixed_ips.release(build.uuid)  # nova-network may be gone for good
            raise

    def _prepare_image(self, build: Build) -> None:
        """It stays where it is after a failure: hosts keep images for the next one who wants them."""
        if build.instance.image_id is not None:
            self._services.compute.prepare_image(build.host, build.instance.image_id)

    def _spawn(self, build: Build) -> None:
        self.move(build, TaskState.SPAWNING)
        fixed_ips = self._tables.fixed_ips.of((build.uuid,)).get(build.uuid, ())
        power_state = self._services.compute.spawn(build.host, build.instance, fixed_ips)
        active = {"vm_state": VmState.ACTIVE, "power_state": power_state, "launched_at": self._now()}
        self.move(build, None, **active)

    def _destroy(self, build: Build) -> None:
        if self._is_being_undone(build):
            self._services.compute.destroy(build.host, build.uuid)

    def is_ours_to_undo(self, build: Build, _cause: Exception) -> bool:
        """Whether the instance was as we left it: now it is being undone, and nobody goes on with it.

        Also whether it is to be deleted, as `build` knows then. Otherwise somebody else got the request too and is
        further than we are, or an admin has given the instance another state.
        """
        try:
            self.move(build, None)
        except (InstanceStateError, InstanceNotFoundError):
            build.is_deleted = is_unwanted(self._tables.instances.get(build.uuid, deleted=True))
            return build.is_deleted
        return True

    def withdraw(self, build: Build, found: Instance, step: str) -> None:
        """Take back what we have done up to `step` where nobody else will: others have the instance now, as `found`."""
        host = build.instance.host
        if host is None:
            return
        is_built = found.vm_state is not VmState.BUILDING
        has_place = found.host == host and (is_built or found.task_state is not None)
        if step == "spawn" and not (has_place and (is_built or found.task_state is TaskState.SPAWNING)):
            try:
                self._services.compute.destroy(host, build.uuid)
            except CloudError as exc:
                logger.bind(host=host, error=str(exc)).error("cannot destroy a guest that belongs to nobody")
                return  # it may run on the claim and the address: whoever deletes the instance takes them back
        if not has_place:
            self._tables.claims.release(build.uuid, host)
        if found.vm_state is VmState.ERROR and not has_place:
            self._tables.fixed_ips.release(build.uuid)

    def _is_being_undone(self, build: Build) -> bool:
        """Asked before each undo: somebody else may have got the request too, undone all, and begun anew.

        Whoever stood still between this and giving a claim back, for as long as all that takes, would do harm.
        """
        found = self._tables.instances.get(build.uuid, deleted=True)
        state = (found.vm_state, found.task_state, found.host)
        return is_unwanted(found) or state == (VmState.BUILDING, None, build.instance.host)

    def move(self, build: Build, task_state: TaskState | None, **changes: Any) -> None:
        """Change the instance, if it still is as the last step left it.

        InstanceStateError or InstanceNotFoundError when it is not.
        """
        expected = Expected((VmState.BUILDING,), (build.instance.task_state,), build.instance.host)
        changed: Mapping[str, Any] = {"task_state": task_state, **changes}
        build.instance = self._tables.instances.update(build.uuid, changed, expected=expected, verb="build")


def is_unwanted(instance: Instance) -> bool:
    """Whether it is deleted, or to be deleted."""
    return instance.vm_state is VmState.DELETED or instance.task_state is TaskState.DELETING


def _describe(build: Build) -> Mapping[str, object]:
    return {} if build.instance.host is None else {"host": build.instance.host}
