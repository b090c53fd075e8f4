"""A move whose instance may be on either host, since neither hypervisor can say: it waits, and they are asked again."""

from datetime import datetime, timedelta

from cloud.domain.migration import Migration, MigrationStatus
from cloud.logs.emit import logger
from cloud.logs.events import PROGRESS
from cloud.services.conductor.build import is_unwanted
from cloud.services.conductor.moves.journal import Journal
from cloud.services.conductor.moves.move import End, Kind, Move, UncertainError, described, noted

FIRST_WAIT = timedelta(seconds=60)
MAX_WAIT = timedelta(seconds=300)
"""Each time they are asked again after as long as it has been uncertain, within these bounds."""

RESET = "the state of the instance was reset"
_WAITS = "; it waits, since nobody "
"""Behind why it is being undone."""


def put_off(journal: Journal, kind: Kind, move: Move, cause: UncertainError, now: datetime) -> None:
    """Leave it as it is, to whoever takes it up when it is due, or when the instance was changed by others."""
    migration = move.migration
    since = migration.uncertain_since or now
    wait = min(max(now - since, FIRST_WAIT), MAX_WAIT)
    waited_for = noted(cause)
    error = f"{reason_of(migration)}{_WAITS}can say more: {waited_for}" if migration.is_undoing else waited_for
    journal.note(move, owner=None, error=error, uncertain_since=since, due_at=now + wait)
    step = "rollback" if migration.is_undoing else str(migration.step)
    event = kind.procedure.vocabulary.event(step, PROGRESS)
    line = logger.bind(step=step, error=waited_for, wait_s=wait.total_seconds(), **described(move))
    if migration.uncertain_since is None:
        line.bind(event=event).warning("nobody can say which host has the instance, they are asked again until one can")
    else:
        line.debug("still nobody can say which host has the instance")


def is_given_up(kind: Kind, move: Move) -> bool:
    """Whether an admin has reset the state of the instance meanwhile, so that nobody waits any more."""
    is_waiting = move.migration.uncertain_since is not None
    return is_waiting and not is_unwanted(move.instance) and move.instance.task_state not in kind.task_states


def give_up(journal: Journal, move: Move, why: str) -> None:
    """In error, with nothing more undone: the instance is what others have said."""
    migration = move.migration
    waited_for = reason_of(migration) if migration.is_undoing else migration.error
    error = f"{waited_for}; it was given up: {why}"
    journal.end(move, End(MigrationStatus.ERROR, {}), error)
    logger.bind(status=MigrationStatus.ERROR, error=error, **described(move)).error("migration ended")


def reason_of(migration: Migration) -> str:
    """Why it is being undone, of one that is."""
    return (migration.error or "").partition(_WAITS)[0]
