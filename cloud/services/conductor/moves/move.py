"""A move of an instance from host to host, or to another flavor, whatever its kind: what its steps work on, and the
journal by which it is taken up where another nova-conductor has left it.

Before a step does anything anywhere, the migration's row has the step, and the destination before anything is claimed
there. While `is_undoing` all is taken back from that step on; once `is_handed_over` nothing is taken back any more.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from cloud.domain.expected import Expected
from cloud.domain.fixed_ip import FixedIp
from cloud.domain.host import BuildRequest, Candidate
from cloud.domain.instance import Instance, TaskState
from cloud.domain.migration import Migration, MigrationStatus, MigrationType
from cloud.errors import (
    CloudError,
    DatabaseUnavailableError,
    InstanceNotFoundError,
    InstanceStateError,
    MigrationStateError,
)
from cloud.logs.events import Procedure as Vocabulary
from cloud.rpc.errors import BusUnavailableError, is_expected
from cloud.services.conductor.build import is_unwanted
from cloud.services.conductor.procedure import Failure, Procedure, Step
from cloud.services.conductor.tables import Tables
from cloud.virt.driver import VirtError

ABORTED = "it was aborted"
DELETED = "the instance is deleted"

WAITS_S = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
"""Before each further attempt at a step of a move that cannot be undone any more: a service may just be restarting."""

_COMPARED = ("step", "is_undoing", "is_handed_over", "dest_compute")
"""What only one of several movers changes."""
_NOT_DELETING = tuple(state for state in (None, *TaskState) if state is not TaskState.DELETING)


class MoveAbortedError(CloudError):
    """Somebody wants the move not to go on; what it has done is undone."""


class UncertainError(CloudError):
    """Nobody can say which host has the guest: nothing is undone, and nothing goes on."""


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

    def is_for(self, migration: Migration) -> bool:
        return migration.type in self.types and migration.status in {self.begins, *self.statuses.values()}


class Journal:
    """Writes where a move stands, by compare-and-set: of several movers at one migration the first to write goes on.

    The others get OvertakenError. All of it raises DatabaseUnavailableError.
    """

    def __init__(self, tables: Tables, *, wait: Callable[[float], None] = time.sleep) -> None:
        """`wait` lets so many seconds pass."""
        self._tables = tables
        self._wait = wait

    def procedure(
        self,
        vocabulary: Vocabulary,
        steps: Sequence[Step[Move]],
        statuses: Mapping[str, MigrationStatus],
        *,
        task_states: Collection[TaskState],
        is_abortable: bool = False,
        settled: Collection[str] = (),
        can_be_undone: bool = True,
    ) -> Procedure[Move]:
        """The steps with all that holds for those of any move: before each the journal is written, with its status.

        A step does not begin when the instance is deleted; nor, but for those that are `settled`, when it has a
        task_state other than `task_states`, or the move is to be aborted and `is_abortable`. Then what was done is
        undone. What is handed over is not, nor is anything where not `can_be_undone`: a step that fails then is tried
        again, for about a minute.
        """
        watched = partial(
            self._begin_step, statuses=statuses, task_states=task_states, is_abortable=is_abortable, settled=settled
        )
        return Procedure(
            vocabulary,
            steps,
            describe=described,
            before=watched if can_be_undone else partial(self._note_step, statuses=statuses),
            try_again=partial(self._try_again, can_be_undone=can_be_undone),
            may_undo=self._may_undo if can_be_undone else lambda _move, _cause: False,
            interruptions=INTERRUPTIONS,
        )

    def note(self, move: Move, **changes: Any) -> None:
        """Write fields of the migration, unless another mover has gone on with it."""
        migration = move.migration
        try:
            move.migration = self._tables.migrations.update(
                migration.id, changes, statuses=(migration.status,), still=self._as_it_was(move)
            )
        except MigrationStateError as exc:
            raise OvertakenError(str(exc)) from exc

    def change_instance(self, move: Move, **changes: Any) -> None:
        """Change the instance, if it still is as the last step left it; InstanceStateError or InstanceNotFoundError."""
        move.instance = self._tables.instances.update(move.uuid, changes, expected=_as_left(move), verb="move")

    def change_both(
        self, move: Move, instance: Mapping[str, Any], *, task_states: Collection[TaskState | None]
    ) -> None:
        """Change an instance that is where the last step left it, in one of the states, unless another mover has gone
        on with the migration or ended it; InstanceStateError or InstanceNotFoundError.
        """
        try:
            move.migration, move.instance = self._tables.migrations.update_both(
                move.migration.id,
                {},
                instance_changes=instance,
                expected=Expected(task_states=task_states, host=move.instance.host),
                statuses=(move.migration.status,),
                still=self._as_it_was(move),
            )
        except MigrationStateError as exc:
            raise OvertakenError(str(exc)) from exc

    def hand_over(
        self,
        move: Move,
        *,
        instance: Mapping[str, Any],
        task_states: Collection[TaskState | None] = _NOT_DELETING,
        **changes: Any,
    ) -> None:
        """The instance, with `host` and `node` and what else changes, and the migration, in one; a second time nothing.

        InstanceStateError or InstanceNotFoundError for one that is being deleted, or on no host that we know of, or
        has none of `task_states`.
        """
        if move.migration.is_handed_over:
            return
        expected = Expected(task_states=task_states, host=move.instance.host)
        try:
            move.migration, move.instance = self._tables.migrations.hand_over(
                move.migration.id, instance_changes=instance, expected=expected, migration_changes=changes
            )
        except MigrationStateError as exc:
            raise OvertakenError(str(exc)) from exc

    def end(self, move: Move, end: End, error: str | None) -> None:
        """End the migration together with the instance's task; alone where the instance is somebody else's by now."""
        changes = {"status": end.status, "error": error}
        if is_unwanted(move.instance):  # it was so when this took it up: its deletion goes on
            self.note(move, **changes)
            return
        try:
            move.migration, move.instance = self._tables.migrations.update_both(
                move.migration.id,
                changes,
                instance_changes=end.instance,
                expected=_as_left(move),
                statuses=(move.migration.status,),
                still=self._as_it_was(move),
            )
        except (InstanceStateError, InstanceNotFoundError):
            self.note(move, **changes)
        except MigrationStateError as exc:
            raise OvertakenError(str(exc)) from exc

    def refresh(self, move: Move) -> None:
        """Read what others have asked for meanwhile, for steps that wait: `is_abort_wanted` and the like.

        MoveAbortedError when the instance is to be deleted.
        """
        found = self._tables.migrations.get(move.migration.id)
        if any(getattr(found, name) != getattr(move.migration, name) for name in ("status", *_COMPARED)):
            raise OvertakenError(f"migration {found.id} is at step {found.step} by now, its status is {found.status}")
        move.migration = found
        if self.is_unwanted(move):
            raise MoveAbortedError(f"cannot move instance {move.uuid}: {DELETED}")

    def is_unwanted(self, move: Move) -> bool:
        """Whether the instance is deleted, or to be deleted, as `move` knows then."""
        move.is_deleted = is_unwanted(self._tables.instances.get(move.uuid, deleted=True))
        return move.is_deleted

    def _begin_step(
        self,
        move: Move,
        step: str,
        *,
        statuses: Mapping[str, MigrationStatus],
        task_states: Collection[TaskState],
        is_abortable: bool,
        settled: Collection[str],
    ) -> None:
        self._note_step(move, step, statuses=statuses)
        if move.migration.is_handed_over:
            return
        self.refresh(move)
        if step in settled:
            return
        if is_abortable and move.migration.is_abort_wanted:
            raise aborted(move)
        if move.instance.task_state not in task_states:
            raise InstanceStateError(f"cannot move instance {move.uuid}: its task_state is {move.instance.task_state}")

    def _note_step(self, move: Move, step: str, *, statuses: Mapping[str, MigrationStatus]) -> None:
        self.note(move, step=step, status=statuses[step])

    def _try_again(self, move: Move, cause: Exception, attempt: int, *, can_be_undone: bool) -> bool:
        is_undoable = can_be_undone and not move.migration.is_handed_over
        if is_undoable or isinstance(cause, UncertainError) or attempt > len(WAITS_S):
            return False
        self._wait(WAITS_S[attempt - 1])
        return True

    def _may_undo(self, move: Move, cause: Exception) -> bool:
        """Whether it is to be undone; from now on nobody goes on with it."""
        if move.migration.is_handed_over or isinstance(cause, UncertainError):
            return False
        self.is_unwanted(move)  # which may be why it has failed
        self.note(move, is_undoing=True, error=noted(cause))
        return True

    def _as_it_was(self, move: Move) -> Mapping[str, Any]:
        return {name: getattr(move.migration, name) for name in _COMPARED}


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


def _as_left(move: Move) -> Expected:
    return Expected(task_states=(move.instance.task_state,), host=move.instance.host)
