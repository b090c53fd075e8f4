"""A move of an instance from host to host, or to another flavor, whatever its kind: what its steps work on, and how it
ends.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from cloud.domain.fixed_ip import FixedIp
from cloud.domain.host import BuildRequest, Candidate
from cloud.domain.instance import Instance, TaskState
from cloud.domain.migration import Migration, MigrationStatus, MigrationType
from cloud.errors import CloudError, DatabaseUnavailableError
from cloud.rpc.errors import BusUnavailableError, is_expected
from cloud.services.conductor.procedure import Failure, Procedure
from cloud.virt.driver import VirtError

ABORTED = "it was aborted"
DELETED = "the instance is deleted"

WAITS_S = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
"""Before each further attempt at a step of a move that cannot be undone any more: a service may just be restarting."""


class MoveAbortedError(CloudError):
    """Somebody wants the move not to go on; what it has done is undone."""


class UncertainError(CloudError):
    """Nobody can say which host has the guest: nothing is undone and nothing goes on until it is asked again."""


class NeverCertainError(UncertainError):
    """The same, and nobody is waited for: who would have to say is silent, and forced down by an admin."""


class LostError(CloudError):
    """Neither hypervisor has the guest: nothing is undone, and somebody must look."""


class OvertakenError(Exception):
    """Another mover has gone on with it. Whoever is told lets it go, and takes nothing back."""


INTERRUPTIONS = (DatabaseUnavailableError, BusUnavailableError, OvertakenError)
"""What ends a run as a kill does: by the journal it is taken up, or another has taken it up already."""

AsksCompute = TypeVar("AsksCompute", covariant=True)


class Scheduler(Protocol):
    """What a move asks of nova-scheduler."""

    def select_hosts(self, request: BuildRequest) -> Sequence[Candidate]: ...


class Network(Protocol):
    """What a move asks of the nova-network on a host. A second time changes nothing."""

    def allocate_for_instance(self, host: str, uuid: str) -> FixedIp: ...

    def deallocate_for_instance(self, host: str, uuid: str) -> None: ...


@dataclass(frozen=True, slots=True)
class MoveServices(Generic[AsksCompute]):
    """Whom a move asks; each kind says in a Protocol of its own what it asks of nova-compute."""

    scheduler: Scheduler
    network: Network
    compute: AsksCompute


@dataclass(slots=True)
class Move:
    """One move under way: what its steps find out and hand on."""

    migration: Migration
    """As its journal was last written."""
    instance: Instance
    """As the last step left it."""
    request: BuildRequest
    candidates: Sequence[Candidate] = ()
    full: dict[str, str] = field(default_factory=dict)
    """Candidates that had no room any more when it was claimed, and of what there was too little."""
    refused: dict[str, str] = field(default_factory=dict)
    """Candidates that cannot take it, and why."""
    is_deleted: bool = False
    """Somebody wants the instance to be gone, or it is."""

    @property
    def uuid(self) -> str:
        return self.migration.instance_uuid

    @property
    def source(self) -> str:
        return self.migration.source_compute

    @property
    def destination(self) -> str:
        """ValueError before there is one."""
        if self.migration.dest_compute is None:
            raise ValueError(f"cannot move instance {self.uuid}: it has no destination yet")
        return self.migration.dest_compute


@dataclass(frozen=True, slots=True)
class End:
    """How a migration ends, and what becomes of its instance with it."""

    status: MigrationStatus
    """One that is not in progress."""
    instance: Mapping[str, Any] = field(default_factory=lambda: {"task_state": None})
    """Changes, `task_state` among them: no task outlives a migration."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of move: for which migrations it is, its steps, and its ends.

    Whoever sets a migration to `begins`, as the API does, sets its `step` to None and `is_undoing` to False with it.
    Steps are idempotent: taken up, the one of the journal runs again; so is each undo.
    """

    types: Collection[MigrationType]
    begins: MigrationStatus
    """ACCEPTED, CONFIRMING or REVERTING."""
    event: str
    """The step of the instance's action that this is, such as `conductor_live_migrate_instance`."""
    procedure: Procedure[Move]
    """Of Journal.procedure."""
    statuses: Mapping[str, MigrationStatus]
    """Of the migration while each step runs."""
    end_completed: Callable[[Move], End]
    """When all steps have run."""
    end_failed: Callable[[Move, Failure], End]
    """When one has failed. All is undone where `failure.is_ours`, but for what is `left`.

    Not asked where the instance is deleted or the move aborted, and all is undone: then it is CANCELLED.
    """
    task_states: Collection[TaskState] = ()
    """Of the instance, of a kind whose steps may raise UncertainError: in another one an admin has given that up."""

    def is_for(self, migration: Migration) -> bool:
        return migration.type in self.types and migration.status in {self.begins, *self.statuses.values()}


def aborted(move: Move) -> MoveAbortedError:
    """For whoever finds that it is wanted."""
    return MoveAbortedError(f"cannot move instance {move.uuid}: {ABORTED}")


def described(move: Move) -> Mapping[str, object]:
    """The fields that every line about a move has; the request and the instance come from the context."""
    fields = {
        "migration": move.migration.id,
        "type": str(move.migration.type),
        "source_compute": move.source,
        "dest_compute": move.migration.dest_compute,
    }
    return {name: value for name, value in fields.items() if value is not None}


def noted(cause: Exception) -> str:
    """What is kept of a failure: its own words, but of a defect no more than its name."""
    return str(cause) if is_expected(cause) or isinstance(cause, VirtError) else type(cause).__name__
