"""The table of migrations: each begun, handed over and ended together with its instance, changed by compare-and-set."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import and_, insert, or_, select, update
from sqlalchemy.orm import Session

from cloud.db.bounds import MAX_INTEGER, check_values, table_of
from cloud.db.engine import Database
from cloud.db.instance_changes import change_instance, changed_values
from cloud.db.instance_rows import with_addresses
from cloud.db.migration_query import MAX_LISTED, MigrationQuery, migration_conditions
from cloud.db.migration_rows import (
    MIGRATION_COLUMNS,
    NewMigration,
    changed_migration,
    has,
    migration_of,
    new_row,
)
from cloud.db.models import InstanceRow, MigrationRow
from cloud.db.quotas import QuotaLimits
from cloud.db.usage import Usage, refuse_growth, usage_of
from cloud.domain.expected import Expected
from cloud.domain.instance import Instance, VmState
from cloud.domain.migration import ENDED, IN_PROGRESS, Migration, MigrationStatus, MigrationType
from cloud.errors import BadRequestError, InstanceStateError, MigrationNotFoundError, MigrationStateError

__all__ = ["MAX_LISTED", "NOT_ENDED", "MigrationQuery", "MigrationTable", "NewMigration"]

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class MigrationTable:
    """Every method is one transaction, and raises DatabaseUnavailableError as Database.transaction does.

    MigrationNotFoundError for a migration that is not there.
    """

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    def begin(
        self,
        new: NewMigration,
        changes: Mapping[str, Any],
        expected: Expected,
        *,
        verb: str = "migrate",
        quota: QuotaLimits | None = None,
    ) -> tuple[Migration, Instance]:
        """Enter it, and change the instance, which has to be in an expected state; both as they are then.

        One that waits to be confirmed or reverted has ended in error where the instance is not RESIZED any more.
        InstanceStateError, and nothing is entered, for an instance in another state or one that has a migration in
        progress already; InstanceNotFoundError when there is none; QuotaError for a larger flavor with which the
        project would have more than `quota`. `changes` and `verb` are as of InstanceTable.update.
        """
        values = new_row(new, self._now())
        check_values(MigrationRow, values)
        others = select(MigrationRow.id).where(
            MigrationRow.instance_uuid == new.instance_uuid, MigrationRow.status.in_(IN_PROGRESS)
        )
        with self._database.transaction() as session:
            instance = self._change_instance(session, new.instance_uuid, changes, expected, verb)
            # Behind the change, which holds the instance: of two who begin at once the later one sees the other's.
            other = session.scalar(others.limit(1))
            if other is not None:
                raise InstanceStateError(
                    f"cannot {verb} instance {new.instance_uuid}: its migration {other} is in progress"
                )
            if instance.vm_state is not VmState.RESIZED:
                self._end_waiting(session, new.instance_uuid)
            if quota is not None:
                self._database.lock(session, f"instances of {instance.project_id}")
                growth = Usage.of_resize(new.old_flavor, new.new_flavor)
                refuse_growth(quota, usage_of(session, instance.project_id), growth, f"{verb} instance {instance.uuid}")
            entered = insert(_TABLE).values(values).returning(*MIGRATION_COLUMNS)
            return migration_of(session.execute(entered).one()), instance

    def get(self, migration_id: int) -> Migration:
        with self._database.reading() as session:
            return _found(session, migration_id)

    def get_of(self, instance_uuid: str, migration_id: int) -> Migration:
        """MigrationNotFoundError for one of another instance, too."""
        with self._database.reading() as session:
            found = _found(session, migration_id)
        if found.instance_uuid != instance_uuid:
            raise MigrationNotFoundError(f"cannot find migration {migration_id} of instance {instance_uuid}")
        return found

    def list(self, query: MigrationQuery) -> tuple[Migration, ...]:
        """Those that are asked for, newest first. BadRequestError for a marker that is none."""
        wanted = select(*MIGRATION_COLUMNS).where(*migration_conditions(query))
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

    def left(self, older_than: datetime, *, limit: int = MAX_LISTED) -> tuple[Migration, ...]:
        """Those in progress that nobody has written of since then, oldest first."""
        old = select(*MIGRATION_COLUMNS).where(
            MigrationRow.status.in_(IN_PROGRESS), MigrationRow.updated_at <= older_than
        )
        with self._database.reading() as session:
            rows = session.execute(old.order_by(MigrationRow.updated_at, MigrationRow.id).limit(limit))
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
        wanted = (
            select(*MIGRATION_COLUMNS)
            .join(InstanceRow, InstanceRow.uuid == MigrationRow.instance_uuid)
            .where(MigrationRow.status == MigrationStatus.FINISHED, is_due, is_new)
        )
        with self._database.reading() as session:
            rows = session.execute(wanted.order_by(MigrationRow.updated_at, MigrationRow.id).limit(limit))
            return tuple(migration_of(row) for row in rows)

    def update(
        self,
        migration_id: int,
        changes: Mapping[str, Any],
        *,
        statuses: Collection[MigrationStatus] | None = None,
        still: Mapping[str, Any] = _NOTHING,
    ) -> Migration:
        """Change fields of a migration that has one of the statuses; as it is then.

        `changes` has names of CHANGEABLE; `still`, names of COMPARABLE with the values that they still have to have:
        `{"updated_at": ...}` for whoever is to be the only one that takes it up. No change but the time is none, too.
        MigrationStateError says how it was instead; ValueError for a change that is none.
        """
        values = changed_migration(migration_id, changes)
        with self._database.transaction() as session:
            return self._change(session, migration_id, values, statuses, still)

    def update_both(
        self,
        migration_id: int,
        changes: Mapping[str, Any],
        *,
        instance_changes: Mapping[str, Any],
        expected: Expected,
        statuses: Collection[MigrationStatus] | None = None,
        still: Mapping[str, Any] = _NOTHING,
        verb: str = "migrate",
    ) -> tuple[Migration, Instance]:
        """Change a migration and its instance, or neither; errors as of `update` and of InstanceTable.update."""
        values = changed_migration(migration_id, changes)
        with self._database.transaction() as session:
            uuid = _found(session, migration_id).instance_uuid
            # The instance first, as `begin` does: two in different order would wait for each other.
            instance = self._change_instance(session, uuid, instance_changes, expected, verb)
            return self._change(session, migration_id, values, statuses, still), instance

    def hand_over(
        self,
        migration_id: int,
        *,
        instance_changes: Mapping[str, Any],
        expected: Expected,
        migration_changes: Mapping[str, Any] = _NOTHING,
    ) -> tuple[Migration, Instance]:
        """The instance is the destination's from now on: its host and all that comes with it, and the migration.

        MigrationStateError for one that has ended or is being undone; a second time is no error.
        """
        return self.update_both(
            migration_id,
            {**migration_changes, "is_handed_over": True},
            instance_changes=instance_changes,
            expected=expected,
            statuses=IN_PROGRESS,
            still={"is_undoing": False},
            verb="hand over",
        )

    def end(
        self,
        migration_id: int,
        status: MigrationStatus,
        *,
        instance_changes: Mapping[str, Any],
        expected: Expected,
        error: str | None = None,
    ) -> tuple[Migration, Instance]:
        """End it, or have it wait as FINISHED, and let the instance go, so that no task_state outlives it.

        MigrationStateError for one that has ended, ValueError for a status that is no end. Where the instance is gone
        or somebody else's, which InstanceNotFoundError and InstanceStateError say, `update` ends the migration alone.
        """
        if status in IN_PROGRESS:
            raise ValueError(f"cannot end migration {migration_id}: {status} is no end")
        return self.update_both(
            migration_id,
            {"status": status, "error": error},
            instance_changes=instance_changes,
            expected=expected,
            statuses=NOT_ENDED,
        )

    def want_abort(self, migration_id: int) -> Migration:
        """Have it given up; MigrationStateError when it is not in progress or the instance is handed over.

        That whoever works on it lives is not said by this: the time of its last change stays.
        """
        return self._want(migration_id, "is_abort_wanted", "abort")

    def want_force_complete(self, migration_id: int) -> Migration:
        """Have its transfer come to its end, whatever that takes; as of `want_abort`."""
        return self._want(migration_id, "is_force_complete_wanted", "force completion of")

    def _end_waiting(self, session: Session, instance_uuid: str) -> None:
        """Nobody can confirm or revert those any more, and what they have set aside is for somebody to look at."""
        waiting = update(_TABLE).where(
            MigrationRow.instance_uuid == instance_uuid, MigrationRow.status == MigrationStatus.FINISHED
        )
        error = f"cannot confirm or revert instance {instance_uuid}: it was given another state meanwhile"
        session.execute(waiting.values(status=MigrationStatus.ERROR, error=error, updated_at=self._now()))

    def _want(self, migration_id: int, flag: str, verb: str) -> Migration:
        with self._database.transaction() as session:
            wanted = update(_TABLE).where(
                MigrationRow.id == _bounded(migration_id),
                MigrationRow.status.in_(IN_PROGRESS),
                MigrationRow.is_handed_over.is_(False),
            )
            row = session.execute(wanted.values({flag: True}).returning(*MIGRATION_COLUMNS)).one_or_none()
            if row is None:
                raise _not_so(_found(session, migration_id), verb)
            return migration_of(row)

    def _change(
        self,
        session: Session,
        migration_id: int,
        values: Mapping[str, Any],
        statuses: Collection[MigrationStatus] | None,
        still: Mapping[str, Any],
    ) -> Migration:
        there = update(_TABLE).where(
            MigrationRow.id == _bounded(migration_id), *(has(name, value) for name, value in still.items())
        )
        if statuses is not None:
            there = there.where(MigrationRow.status.in_(statuses))
        changed = there.values({**values, "updated_at": self._now()}).returning(*MIGRATION_COLUMNS)
        row = session.execute(changed).one_or_none()
        if row is None:
            raise _not_so(_found(session, migration_id), "update")
        return migration_of(row)

    def _change_instance(
        self, session: Session, uuid: str, changes: Mapping[str, Any], expected: Expected, verb: str
    ) -> Instance:
        values = changed_values(uuid, changes)
        row = change_instance(session, uuid, values, expected=expected, verb=verb, now=self._now())
        return with_addresses(session, [row])[0]


NOT_ENDED = frozenset(MigrationStatus) - ENDED

_TABLE = table_of(MigrationRow)


def _found(session: Session, migration_id: int) -> Migration:
    of_it = select(*MIGRATION_COLUMNS).where(MigrationRow.id == _bounded(migration_id))
    row = session.execute(of_it).one_or_none()
    if row is None:
        raise MigrationNotFoundError(f"cannot find migration {migration_id}")
    return migration_of(row)


def _bounded(migration_id: int) -> int:
    """No row has the number 0; one beyond the column's would be an error of the drivers."""
    return migration_id if 0 < migration_id <= MAX_INTEGER else 0


def _not_so(found: Migration, verb: str) -> MigrationStateError:
    return MigrationStateError(
        f"cannot {verb} migration {found.id}: its status is {found.status}, its step {found.step}"
        f"{', it is being undone' if found.is_undoing else ''}{', it is handed over' if found.is_handed_over else ''}"
    )
