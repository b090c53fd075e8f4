"""What is asked of the table of migrations: which there are, which wait, and which nobody goes on with."""

from collections.abc import Callable, Collection
from datetime import datetime

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from cloud.db.bounds import MAX_INTEGER
from cloud.db.engine import Database
from cloud.db.migration_query import MAX_LISTED, MigrationQuery, migration_conditions
from cloud.db.migration_rows import MIGRATION_COLUMNS, migration_of
from cloud.db.models import InstanceRow, MigrationRow
from cloud.domain.instance import VmState
from cloud.domain.migration import IN_PROGRESS, Migration, MigrationStatus, MigrationType
from cloud.errors import BadRequestError, MigrationNotFoundError

_SELECT = select(*MIGRATION_COLUMNS)  # made once: of forty columns it takes longer than to be run


class MigrationReading:
    """The part of MigrationTable that changes nothing."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    def get(self, migration_id: int) -> Migration:
        with self._database.reading() as session:
            return found(session, migration_id)

    def get_of(self, instance_uuid: str, migration_id: int) -> Migration:
        """MigrationNotFoundError for one of another instance, too."""
        with self._database.reading() as session:
            migration = found(session, migration_id)
        if migration.instance_uuid != instance_uuid:
            raise MigrationNotFoundError(f"cannot find migration {migration_id} of instance {instance_uuid}")
        return migration

    def list(self, query: MigrationQuery) -> tuple[Migration, ...]:
        """Those that are asked for, newest first. BadRequestError for a marker that is none."""
        wanted = _SELECT.where(*migration_conditions(query))
        with self._database.reading() as session:
            if query.marker is not None:
                last = session.scalar(select(MigrationRow.id).where(MigrationRow.uuid == query.marker))
                if last is None:
                    raise BadRequestError(f"cannot list migrations behind {query.marker}: there is no such migration")
                wanted = wanted.where(MigrationRow.id < last)
            rows = session.execute(wanted.order_by(MigrationRow.id.desc()).limit(query.limit))
            return tuple(migration_of(row) for row in rows)

    def newest(self, instance_uuid: str, types: Collection[MigrationType] | None = None) -> Migration | None:
        """The instance's last one, if it has had any."""
        return next(iter(self.list(MigrationQuery(instance_uuid=instance_uuid, types=types, limit=1))), None)

    def left(
        self, silent_since: datetime, *, waiting_since: datetime, limit: int = MAX_LISTED
    ) -> tuple[Migration, ...]:
        """Those in progress that nobody goes on with, oldest first.

        Their owner has given no sign since `silent_since`; or they have none, and have waited for one since
        `waiting_since`; or it is time to ask again where their instance is, as it also is when that was changed.
        """
        is_free = MigrationRow.owner.is_(None)
        is_changed = InstanceRow.updated_at > MigrationRow.updated_at
        is_left = or_(
            and_(MigrationRow.owner.is_not(None), MigrationRow.updated_at <= silent_since),
            and_(is_free, MigrationRow.due_at.is_(None), MigrationRow.updated_at <= waiting_since),
            and_(is_free, MigrationRow.due_at.is_not(None), or_(MigrationRow.due_at <= self._now(), is_changed)),
        )
        wanted = _SELECT.join(InstanceRow, InstanceRow.uuid == MigrationRow.instance_uuid).where(
            MigrationRow.status.in_(IN_PROGRESS), is_left
        )
        with self._database.reading() as session:
            rows = session.execute(wanted.order_by(MigrationRow.updated_at, MigrationRow.id).limit(limit))
            return tuple(migration_of(row) for row in rows)

    def waiting(
        self, older_than: datetime | None, *, tried_before: datetime, limit: int = MAX_LISTED
    ) -> tuple[Migration, ...]:
        """Those FINISHED that have waited since then to be confirmed or reverted, or whose instance is deleted; oldest
        first. Of the former none where it is None, nor those whose instance others have given another state.

        One whose end was tried in vain is left out until that is as old as `tried_before`.
        """
        is_deleted = InstanceRow.deleted_at.is_not(None)
        is_free = and_(
            InstanceRow.vm_state == VmState.RESIZED,
            InstanceRow.task_state.is_(None),
            InstanceRow.host == MigrationRow.dest_compute,
        )
        is_due = is_deleted if older_than is None else is_deleted | (is_free & (MigrationRow.updated_at <= older_than))
        is_new = or_(MigrationRow.error.is_(None), MigrationRow.updated_at <= tried_before)
        wanted = _SELECT.join(InstanceRow, InstanceRow.uuid == MigrationRow.instance_uuid).where(
            MigrationRow.status == MigrationStatus.FINISHED, is_due, is_new
        )
        with self._database.reading() as session:
            rows = session.execute(wanted.order_by(MigrationRow.updated_at, MigrationRow.id).limit(limit))
            return tuple(migration_of(row) for row in rows)


def found(session: Session, migration_id: int) -> Migration:
    """MigrationNotFoundError where there is none."""
    of_it = _SELECT.where(MigrationRow.id == bounded(migration_id))
    row = session.execute(of_it).one_or_none()
    if row is None:
        raise MigrationNotFoundError(f"cannot find migration {migration_id}")
    return migration_of(row)


def bounded(migration_id: int) -> int:
    """No row has the number 0; one beyond the column's would be an error of the drivers."""
    return migration_id if 0 < migration_id <= MAX_INTEGER else 0
