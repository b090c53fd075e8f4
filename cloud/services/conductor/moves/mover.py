"""What becomes of a move: begun, taken up where another left it, and ended, its record and its instance together."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

from cloud.db.actions import FAILED
from cloud.domain.action import EventResult
from cloud.domain.migration import Migration, MigrationStatus
from cloud.errors import CloudError, MigrationNotFoundError, MigrationStateError
from cloud.logs.emit import RequestContext, logger, request_context
from cloud.logs.emit.context import current_context
from cloud.services.conductor.build import is_unwanted
from cloud.services.conductor.moves.ending import FAULT_CODE, details_for_admins, error_of, message_for_owner
from cloud.services.conductor.moves.move import (
    ABORTED,
    DELETED,
    INTERRUPTIONS,
    WAITS_S,
    End,
    Journal,
    Kind,
    Move,
    MoveAbortedError,
    OvertakenError,
    described,
)
from cloud.services.conductor.moves.request import request_of
from cloud.services.conductor.procedure import Failure
from cloud.services.conductor.tables import Tables

LEFT_AFTER = timedelta(seconds=600)
"""A migration that nobody has written of for so long is taken up: more than a step takes that writes nothing."""
MAX_LEFT = 20
"""Migrations that are taken up at a time."""

_GOOD = (MigrationStatus.COMPLETED, MigrationStatus.FINISHED, MigrationStatus.CONFIRMED, MigrationStatus.REVERTED)


class Mover:
    """Moves instances. Several at one migration, which is what a request that comes twice means, do no harm."""

    def __init__(
        self,
        tables: Tables,
        journal: Journal,
        kinds: Sequence[Kind],
        now: Callable[[], datetime],
        *,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """`wait` lets so many seconds pass."""
        self._tables = tables
        self._journal = journal
        self._kinds = kinds
        self._now = now
        self._wait = wait

    def move(self, migration_id: int) -> None:
        """Return when the migration has ended or waits to be confirmed, or is somebody else's business.

        One that was begun already is taken up where it stands. Raises one of INTERRUPTIONS that lasts too long.
        """
        for wait_s in (*WAITS_S, None):
            try:
                self._move(migration_id)
            except OvertakenError as exc:
                logger.bind(migration=migration_id, error=str(exc)).info("move is left to another mover")
                self._note_if_ended(migration_id)
            except INTERRUPTIONS as exc:
                if wait_s is None:
                    raise
                line = logger.bind(migration=migration_id, error=str(exc), wait_s=wait_s)
                line.warning("move is interrupted, and will be taken up")
                self._wait(wait_s)
                continue
            return

    def left(self) -> Sequence[int]:
        """Migrations that nobody goes on with, those first that stand for longest, by id; each is said once in a while.

        Whoever is told has them moved.
        """
        found = self._tables.migrations.left(self._now() - LEFT_AFTER, limit=MAX_LEFT)
        return [each.id for each in found if self._is_marked(each)]

    def _is_marked(self, migration: Migration) -> bool:
        """As asked for: where many wait for their turn, nobody asks again and again."""
        try:
            self._tables.migrations.update(migration.id, {}, still={"updated_at": migration.updated_at})
        except MigrationStateError:
            return False
        return True

    def _move(self, migration_id: int) -> None:
        try:
            migration = self._tables.migrations.get(migration_id)
        except MigrationNotFoundError as exc:
            logger.bind(migration=migration_id, error=str(exc)).warning("cannot move what is not there")
            return
        with _context_of(migration):
            instance = self._tables.instances.get(migration.instance_uuid, deleted=True)
            kind = next((each for each in self._kinds if each.is_for(migration)), None)
            if kind is None:  # whoever ended it may have died before this
                self._note_end(migration, None)
                return
            move = Move(migration, instance, request_of(migration, instance))
            self._journal.note(move)
            self._tables.actions.start_event(move.uuid, kind.event)
            self._end(kind, move, self._outcome(kind, move))

    def _outcome(self, kind: Kind, move: Move) -> Failure | None:
        """Of all steps that have not run yet, or are not undone yet."""
        names = [step.name for step in kind.procedure.steps]
        step = move.migration.step if move.migration.step in names else None
        if not move.migration.is_undoing:
            return kind.procedure.run(move, begin=step)
        move.is_deleted = is_unwanted(move.instance)
        left = kind.procedure.undo(move, begin=step)
        return Failure(step or names[0], _cause_of(move.migration), is_ours=True, left=left)

    def _end(self, kind: Kind, move: Move, failure: Failure | None) -> None:
        if failure is None:
            end, error = kind.end_completed(move), None
        else:
            end, error = self._end_of(kind, move, failure), error_of(failure)
            if end.status is not MigrationStatus.CANCELLED:
                self._add_fault(move, failure)
        self._journal.end(move, end, error)
        line = logger.bind(status=end.status, **described(move))
        if failure is None:
            line.info("migration ended")
        else:
            line = line.bind(step=failure.step, error=error, cause=type(failure.cause).__name__)
            line.log("INFO" if end.status is MigrationStatus.CANCELLED else "ERROR", "migration ended")
        self._note_end(move.migration, kind)

    def _end_of(self, kind: Kind, move: Move, failure: Failure) -> End:
        is_unwanted_by_now = move.is_deleted or isinstance(failure.cause, MoveAbortedError)
        if is_unwanted_by_now and failure.is_ours and not failure.left:
            return End(MigrationStatus.CANCELLED)
        return kind.end_failed(move, failure)

    def _add_fault(self, move: Move, failure: Failure) -> None:
        """Before the states: whoever sees those finds why."""
        message, details = message_for_owner(move, failure), details_for_admins(move, failure)
        self._tables.instances.add_fault(move.uuid, FAULT_CODE, message, details, move.instance.host)

    def _note_if_ended(self, migration_id: int) -> None:
        """Whoever was faster has not ended what this one may have begun to note since."""
        migration = self._tables.migrations.get(migration_id)
        if not migration.is_in_progress:
            with _context_of(migration):
                self._note_end(migration, None)

    def _note_end(self, migration: Migration, kind: Kind | None) -> None:
        """For the instance's action."""
        is_good = migration.status in _GOOD and migration.error is None  # one that waits may have waited before
        events = [kind.event] if kind is not None else sorted({each.event for each in self._kinds})
        result = EventResult.SUCCESS if is_good else EventResult.ERROR
        for event in events:
            self._tables.actions.finish_event(migration.instance_uuid, event, result=result, details=migration.error)
        self._tables.actions.finish(migration.instance_uuid, message=None if is_good else FAILED)


def _context_of(migration: Migration) -> AbstractContextManager[RequestContext]:
    request_id = current_context().request_id or migration.request_id
    return request_context(instance=migration.instance_uuid, request_id=request_id)


def _cause_of(migration: Migration) -> Exception:
    """Why it is being undone, as whoever began that has noted it."""
    text = migration.error or f"cannot move instance {migration.instance_uuid}"
    is_aborted = text.endswith((f": {ABORTED}", f": {DELETED}"))
    return MoveAbortedError(text) if is_aborted else CloudError(text)
