"""What becomes of a move: begun, taken up where another left it, and ended, its record and its instance together."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

from cloud.db.actions import FAILED
from cloud.db.instance_faults import NewFault
from cloud.domain.action import EventResult
from cloud.domain.migration import Migration, MigrationStatus
from cloud.errors import CloudError, MigrationNotFoundError, MigrationStateError
from cloud.logs.emit import RequestContext, logger, request_context
from cloud.logs.emit.context import current_context
from cloud.services.conductor.build import is_unwanted
from cloud.services.conductor.moves.ending import FAULT_CODE, details_for_admins, error_of, message_for_owner
from cloud.services.conductor.moves.in_hand import InHand
from cloud.services.conductor.moves.journal import Journal
from cloud.services.conductor.moves.move import (
    ABORTED,
    DELETED,
    INTERRUPTIONS,
    WAITS_S,
    End,
    Kind,
    Move,
    MoveAbortedError,
    NeverCertainError,
    OvertakenError,
    UncertainError,
    described,
)
from cloud.services.conductor.moves.request import request_of
from cloud.services.conductor.moves.uncertain import RESET, give_up, is_given_up, put_off, reason_of
from cloud.services.conductor.procedure import Failure
from cloud.services.conductor.tables import Tables

LEFT_AFTER = timedelta(seconds=180)
"""A migration whose mover has given no sign for so long is taken up by another; `say_alive` gives one each time."""
UNHEARD_AFTER = timedelta(seconds=600)
"""One that nobody has taken up for so long is asked for once more: its message may be lost, or wait for its turn."""
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
        left_after: timedelta = LEFT_AFTER,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """`wait` lets so many seconds pass."""
        self._tables = tables
        self._journal = journal
        self._kinds = kinds
        self._now = now
        self._left_after = left_after
        self._wait = wait
        self._in_hand = InHand(tables.migrations, now)

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

    def say_alive(self) -> None:
        """Of what this mover has in hand, however long a host that it has asked takes to answer."""
        self._in_hand.say_alive()

    def left(self) -> Iterator[int]:
        """Migrations that nobody goes on with, those first that stand for longest, by id; each is said once in a while.

        Whoever is told one has it moved before the next one: until then that is left for others, too.
        """
        now = self._now()
        waiting_since = now - UNHEARD_AFTER
        found = self._tables.migrations.left(now - self._left_after, waiting_since=waiting_since, limit=MAX_LEFT)
        return (each.id for each in found if self._is_marked(each))

    def _is_marked(self, migration: Migration) -> bool:
        """As asked for, and nobody's: where many wait for their turn, nobody asks again and again."""
        due_at = None if migration.due_at is None else self._now() + UNHEARD_AFTER
        still = {"updated_at": migration.updated_at, "owner": migration.owner}
        try:
            self._tables.migrations.update(migration.id, {"owner": None, "due_at": due_at}, still=still)
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
            self._journal.take_up(move)
            with self._in_hand.holding(move):
                self._go_on(kind, move)

    def _go_on(self, kind: Kind, move: Move) -> None:
        if is_given_up(kind, move):
            self._give_up(kind, move, RESET)
            return
        self._tables.actions.start_event(move.uuid, kind.event)
        try:
            failure = self._outcome(kind, move)
        except NeverCertainError as exc:
            self._give_up(kind, move, f"{exc}; the host is forced down")
            return
        except UncertainError as exc:
            put_off(self._journal, kind, move, exc, self._now())
            return
        self._end(kind, move, failure)

    def _give_up(self, kind: Kind, move: Move, why: str) -> None:
        give_up(self._journal, move, why)
        self._note_end(move.migration, kind)

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
            end, error, fault = kind.end_completed(move), None, None
        else:
            end, error = self._end_of(kind, move, failure), error_of(failure)
            fault = None if end.status is MigrationStatus.CANCELLED else _fault_of(move, failure)
        self._journal.end(move, end, error, fault)
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


def _fault_of(move: Move, failure: Failure) -> NewFault:
    message, details = message_for_owner(move, failure), details_for_admins(move, failure)
    return NewFault(FAULT_CODE, message, details, move.instance.host)


def _cause_of(migration: Migration) -> Exception:
    """Why it is being undone, as whoever began that has noted it."""
    text = reason_of(migration) or f"cannot move instance {migration.instance_uuid}"
    is_aborted = text.endswith((f": {ABORTED}", f": {DELETED}"))
    return MoveAbortedError(text) if is_aborted else CloudError(text)
