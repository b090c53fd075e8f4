"""The journal of a move, by which it is taken up where another nova-conductor has left it.

Before a step does anything anywhere, the migration's row has the step, and the destination before anything is claimed
there. While `is_undoing` all is taken back from that step on; once `is_handed_over` nothing is taken back any more.

Each take-up sets an owner of its own in the row, and every later write compares it: whoever stood still for so long
that another one has taken the migration up is told at its next write, which comes before it says that anything has
failed, before it takes anything back, and together with the fault that it would leave.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import uuid4

from cloud.db.instance_faults import NewFault
from cloud.db.migration_hold import MigrationAsKnown
from cloud.domain.expected import Expected
from cloud.domain.flavor import Resources
from cloud.domain.instance import TaskState
from cloud.domain.migration import MigrationStatus
from cloud.errors import InstanceNotFoundError, InstanceStateError, MigrationStateError
from cloud.logs.events import Procedure as Vocabulary
from cloud.services.conductor.build import is_unwanted
from cloud.services.conductor.moves.move import (
    DELETED,
    INTERRUPTIONS,
    WAITS_S,
    End,
    LostError,
    Move,
    MoveAbortedError,
    OvertakenError,
    UncertainError,
    aborted,
    described,
    noted,
)
from cloud.services.conductor.procedure import Procedure, Step, nothing
from cloud.services.conductor.tables import Tables
from cloud.services.conductor.whereabouts import former_host

_COMPARED = ("owner", "step", "is_undoing", "is_handed_over", "dest_compute")
"""What only one of several movers changes."""
_NOT_DELETING = tuple(state for state in (None, *TaskState) if state is not TaskState.DELETING)
_DONE = {"owner": None, "uncertain_since": None, "due_at": None}
"""Nobody works on it any more."""


class Journal:
    """Writes where a move stands, by compare-and-set: of several movers at one migration the last one goes on.

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
        task_state other than `task_states`, or the move is to be aborted and `is_abortable` and nothing is transferred
        yet. Then what was done is undone. What is handed over is not, nor is anything where not `can_be_undone`: a step
        that fails then is tried again, for about a minute.
        """
        watched = partial(
            self._begin_step, statuses=statuses, task_states=task_states, is_abortable=is_abortable, settled=settled
        )
        return Procedure(
            vocabulary,
            [self._with_proof(step) for step in steps],
            describe=described,
            before=watched if can_be_undone else partial(self._note_step, statuses=statuses),
            try_again=partial(self._try_again, can_be_undone=can_be_undone),
            may_undo=self._may_undo if can_be_undone else lambda _move, _cause: False,
            interruptions=(*INTERRUPTIONS, UncertainError),
        )

    def take_up(self, move: Move) -> None:
        """It is ours from now on, and nobody else's."""
        self.note(move, owner=uuid4().hex)

    def prove(self, move: Move) -> None:
        """That it is ours still."""
        self.note(move)

    def note(self, move: Move, **changes: Any) -> None:
        """Write fields of the migration, unless another mover has gone on with it."""
        self._write(move, changes)

    def change_instance(self, move: Move, **changes: Any) -> None:
        """Change the instance, if it still is as the last step left it; InstanceStateError or InstanceNotFoundError."""
        self._write_both(move, {}, changes, expected=_as_left(move))

    def change_both(
        self, move: Move, instance: Mapping[str, Any], *, task_states: Collection[TaskState | None]
    ) -> None:
        """Change an instance that is where the last step left it, in one of the states, unless another mover has gone
        on with the migration or ended it; InstanceStateError or InstanceNotFoundError.
        """
        self._write_both(move, {}, instance, expected=Expected(task_states=task_states, host=move.instance.host))

    def hand_over(
        self,
        move: Move,
        *,
        instance: Mapping[str, Any],
        task_states: Collection[TaskState | None] = _NOT_DELETING,
        releases: str | None = None,
        **changes: Any,
    ) -> None:
        """The instance, with `host` and `node` and what else changes, and the migration, in one; a second time nothing.

        With it goes the claim on the host `releases`. InstanceStateError or InstanceNotFoundError for an instance that
        is being deleted, or on no host that we know of, or has none of `task_states`.
        """
        if move.migration.is_handed_over:
            return
        expected = Expected(task_states=task_states, host=move.instance.host)
        with _as_overtaken():
            move.migration, move.instance = self._tables.migrations.hand_over(
                move.migration.id,
                instance_changes=instance,
                expected=expected,
                migration_changes=changes,
                still=self._as_it_was(move),
                releases=releases,
            )

    def claim(self, move: Move, host: str, wanted: Resources, limits: Resources) -> None:
        """Unless another mover has gone on with the migration, as `release` and `resize_claim`; as of ClaimTable."""
        with _as_overtaken():
            self._tables.claims.claim(move.uuid, host, wanted, limits, migration=self._as_known(move))

    def resize_claim(self, move: Move, host: str, wanted: Resources, limits: Resources | None) -> None:
        with _as_overtaken():
            self._tables.claims.resize(move.uuid, host, wanted, limits, migration=self._as_known(move))

    def release(self, move: Move, host: str) -> None:
        """What it has claimed there, and not what whoever went on has claimed for the same instance since."""
        with _as_overtaken():
            self._tables.claims.release(move.uuid, host, migration=self._as_known(move))

    def end(self, move: Move, end: End, error: str | None, fault: NewFault | None = None) -> None:
        """End the migration together with the instance's task; alone where the instance is somebody else's by now.

        With it the instance gets `fault`: whoever sees the states finds why.
        """
        changes = {"status": end.status, "error": error, **_DONE}
        if is_unwanted(move.instance):  # it was so when this took it up: its deletion goes on
            self._write(move, changes, fault)
            return
        try:
            self._write_both(move, changes, end.instance, expected=_as_left(move), fault=fault)
        except (InstanceStateError, InstanceNotFoundError):
            self._write(move, changes, fault)

    def refresh(self, move: Move) -> None:
        """Read what others have asked for meanwhile, for steps that wait: `is_abort_wanted` and the like.

        MoveAbortedError when the instance is to be deleted.
        """
        found = self._tables.migrations.get(move.migration.id)
        if any(getattr(found, name) != getattr(move.migration, name) for name in ("status", *_COMPARED)):
            raise OvertakenError(f"migration {found.id} is at step {found.step} by now, its status is {found.status}")
        move.migration = found
        self._refuse_unwanted(move)

    def is_unwanted(self, move: Move) -> bool:
        """Whether the instance is deleted, or to be deleted, as `move` knows then."""
        move.is_deleted = is_unwanted(self._tables.instances.get(move.uuid, deleted=True))
        return move.is_deleted

    def is_forced_down(self, host: str) -> bool:
        """Whether an admin says that the host is not there, and need not be asked."""
        return former_host(self._tables, host).is_forced_down

    def _refuse_unwanted(self, move: Move) -> None:
        if self.is_unwanted(move):
            raise MoveAbortedError(f"cannot move instance {move.uuid}: {DELETED}")

    def _with_proof(self, step: Step[Move]) -> Step[Move]:
        return step if step.undo is nothing else replace(step, undo=partial(self._undo, step.undo))

    def _undo(self, undo: Callable[[Move], None], move: Move) -> None:
        """Before it, since others may have undone all and begun anew; behind it, before anybody tells how it went."""
        self.prove(move)
        try:
            undo(move)
        except (*INTERRUPTIONS, UncertainError):
            raise
        except Exception:
            self.prove(move)
            raise
        self.prove(move)

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
        self._refuse_unwanted(move)
        if step in settled:
            return
        if is_abortable and move.migration.is_abort_wanted and move.migration.transfer_began_at is None:
            raise aborted(move)
        if move.instance.task_state not in task_states:
            raise InstanceStateError(f"cannot move instance {move.uuid}: its task_state is {move.instance.task_state}")

    def _note_step(self, move: Move, step: str, *, statuses: Mapping[str, MigrationStatus]) -> None:
        self.note(move, step=step, status=statuses[step])

    def _try_again(self, move: Move, cause: Exception, attempt: int, *, can_be_undone: bool) -> bool:
        self.prove(move)  # before anybody says that it has failed
        is_undoable = can_be_undone and not move.migration.is_handed_over
        if is_undoable or isinstance(cause, LostError) or attempt > len(WAITS_S):
            return False
        self._wait(WAITS_S[attempt - 1])
        self.prove(move)
        return True

    def _may_undo(self, move: Move, cause: Exception) -> bool:
        """Whether it is to be undone; from now on nobody goes on with it."""
        if move.migration.is_handed_over or isinstance(cause, LostError):
            return False
        self.is_unwanted(move)  # which may be why it has failed
        self.note(move, is_undoing=True, error=noted(cause))
        return True

    def _write(self, move: Move, changes: Mapping[str, Any], fault: NewFault | None = None) -> None:
        migration = move.migration
        with _as_overtaken():
            move.migration = self._tables.migrations.update(
                migration.id, changes, statuses=(migration.status,), still=self._as_it_was(move), fault=fault
            )

    def _write_both(
        self,
        move: Move,
        changes: Mapping[str, Any],
        instance: Mapping[str, Any],
        *,
        expected: Expected,
        fault: NewFault | None = None,
    ) -> None:
        with _as_overtaken():
            move.migration, move.instance = self._tables.migrations.update_both(
                move.migration.id,
                changes,
                instance_changes=instance,
                expected=expected,
                statuses=(move.migration.status,),
                still=self._as_it_was(move),
                fault=fault,
            )

    def _as_known(self, move: Move) -> MigrationAsKnown:
        return MigrationAsKnown(move.migration.id, move.migration.status, self._as_it_was(move))

    def _as_it_was(self, move: Move) -> Mapping[str, Any]:
        return {name: getattr(move.migration, name) for name in _COMPARED}


@contextmanager
def _as_overtaken() -> Iterator[None]:
    try:
        yield
    except MigrationStateError as exc:
        raise OvertakenError(str(exc)) from exc


def _as_left(move: Move) -> Expected:
    return Expected(task_states=(move.instance.task_state,), host=move.instance.host)
