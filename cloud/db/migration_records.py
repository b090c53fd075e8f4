"""The table of migrations: each begun, handed over and ended together with its instance, changed by compare-and-set."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import case, delete, insert, select, update
from sqlalchemy.orm import Session

from cloud.db.batches import batches
from cloud.db.bounds import check_values, table_of
from cloud.db.instance_changes import change_instance, changed_values
from cloud.db.instance_faults import NewFault, enter_fault
from cloud.db.instance_rows import with_addresses
from cloud.db.migration_query import MAX_LISTED, MigrationQuery
from cloud.db.migration_reading import MigrationReading, bounded, found
from cloud.db.migration_rows import (
    MIGRATION_COLUMNS,
    NewMigration,
    changed_migration,
    has,
    migration_of,
    new_row,
)
from cloud.db.models import ClaimRow, MigrationRow
from cloud.db.quotas import QuotaLimits
from cloud.db.usage import Usage, refuse_growth, usage_of
from cloud.domain.expected import Expected
from cloud.domain.instance import Instance, VmState
from cloud.domain.migration import ENDED, IN_PROGRESS, Migration, MigrationStatus
from cloud.errors import InstanceStateError, MigrationStateError

__all__ = ["MAX_LISTED", "NOT_ENDED", "MigrationQuery", "MigrationTable", "NewMigration"]

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class MigrationTable(MigrationReading):
    """Every method is one transaction, and raises DatabaseUnavailableError as Database.transaction does.

    MigrationNotFoundError for a migration that is not there.
    """

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

    def update(
        self,
        migration_id: int,
        changes: Mapping[str, Any],
        *,
        statuses: Collection[MigrationStatus] | None = None,
        still: Mapping[str, Any] = _NOTHING,
        fault: NewFault | None = None,
    ) -> Migration:
        """Change fields of a migration that has one of the statuses; as it is then.

        `changes` has names of CHANGEABLE; `still`, names of COMPARABLE with the values that they still have to have:
        `{"owner": ...}` for whoever is to be the only one that goes on with it. No change but the time is none, too.
        With it the instance gets `fault`. MigrationStateError says how it was instead; ValueError for a change that is
        none.
        """
        values = changed_migration(migration_id, changes)
        with self._database.transaction() as session:
            changed = self._change(session, migration_id, values, statuses, still)
            if fault is not None:
                enter_fault(session, changed.instance_uuid, fault, self._now())
            return changed

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
        fault: NewFault | None = None,
        releases: str | None = None,
    ) -> tuple[Migration, Instance]:
        """Change a migration and its instance, or neither; errors as of `update` and of InstanceTable.update.

        With it the instance gives back what it has claimed of the host `releases`.
        """
        values = changed_migration(migration_id, changes)
        with self._database.transaction() as session:
            uuid = found(session, migration_id).instance_uuid
            # The instance first, as `begin` does: two in different order would wait for each other.
            instance = self._change_instance(session, uuid, instance_changes, expected, verb)
            changed = self._change(session, migration_id, values, statuses, still)
            if fault is not None:
                enter_fault(session, uuid, fault, self._now())
            if releases is not None:
                session.execute(delete(ClaimRow).where(ClaimRow.instance_uuid == uuid, ClaimRow.host == releases))
            return changed, instance

    def hand_over(
        self,
        migration_id: int,
        *,
        instance_changes: Mapping[str, Any],
        expected: Expected,
        migration_changes: Mapping[str, Any] = _NOTHING,
        still: Mapping[str, Any] = _NOTHING,
        releases: str | None = None,
    ) -> tuple[Migration, Instance]:
        """The instance is the destination's from now on: its host and all that comes with it, and the migration.

        MigrationStateError for one that has ended or is being undone; a second time is no error. The rest is as of
        `update_both`.
        """
        return self.update_both(
            migration_id,
            {**migration_changes, "is_handed_over": True},
            instance_changes=instance_changes,
            expected=expected,
            statuses=IN_PROGRESS,
            still={**still, "is_undoing": False},
            verb="hand over",
            releases=releases,
        )

    def touch(self, owners: Collection[str]) -> None:
        """Say of those in progress that have one of the owners that these live."""
        with self._database.transaction() as session:
            for batch in batches(owners):
                there = update(_TABLE).where(MigrationRow.status.in_(IN_PROGRESS), MigrationRow.owner.in_(batch))
                session.execute(there.values(updated_at=self._now()))

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

        That whoever works on it lives is not said by this: the time of its last change stays. One that waits to be
        asked about once more is due at once.
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
            wanted = _UPDATE.where(
                MigrationRow.id == bounded(migration_id),
                MigrationRow.status.in_(IN_PROGRESS),
                MigrationRow.is_handed_over.is_(False),
            )
            waits = MigrationRow.owner.is_(None) & MigrationRow.due_at.is_not(None)
            due_at = case((waits, self._now()), else_=MigrationRow.due_at)
            row = session.execute(wanted.values({flag: True, "due_at": due_at})).one_or_none()
            if row is None:
                raise _not_so(found(session, migration_id), verb)
            return migration_of(row)

    def _change(
        self,
        session: Session,
        migration_id: int,
        values: Mapping[str, Any],
        statuses: Collection[MigrationStatus] | None,
        still: Mapping[str, Any],
    ) -> Migration:
        there = _UPDATE.where(
            MigrationRow.id == bounded(migration_id), *(has(name, value) for name, value in still.items())
        )
        if statuses is not None:
            there = there.where(MigrationRow.status.in_(statuses))
        changed = there.values({**values, "updated_at": self._now()})
        row = session.execute(changed).one_or_none()
        if row is None:
            raise _not_so(found(session, migration_id), "update")
        return migration_of(row)

    def _change_instance(
        self, session: Session, uuid: str, changes: Mapping[str, Any], expected: Expected, verb: str
    ) -> Instance:
        values = changed_values(uuid, changes)
        row = change_instance(session, uuid, values, expected=expected, verb=verb, now=self._now())
        return with_addresses(session, [row])[0]


NOT_ENDED = frozenset(MigrationStatus) - ENDED

_TABLE = table_of(MigrationRow)
_UPDATE = update(_TABLE).returning(*MIGRATION_COLUMNS)


def _not_so(found: Migration, verb: str) -> MigrationStateError:
    return MigrationStateError(
        f"cannot {verb} migration {found.id}: its status is {found.status}, its step {found.step}"
        f"{', it is being undone' if found.is_undoing else ''}{', it is handed over' if found.is_handed_over else ''}"
    )
