"""Resizes and cold migrations that wait to be confirmed or reverted, for longer than anybody will ask for that."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from cloud.domain.expected import Expected
from cloud.domain.instance import TaskState, VmState
from cloud.domain.migration import Migration, MigrationStatus
from cloud.errors import InstanceNotFoundError, InstanceStateError, MigrationStateError
from cloud.logs.emit import logger
from cloud.services.conductor.tables import Tables

TRY_AGAIN_AFTER = timedelta(seconds=600)
"""Where a confirmation has failed, as while the old host is down."""
MAX_BEGUN = 20
"""Confirmations that are begun at a time."""


class ConfirmWindow:
    """After it a resize is confirmed by itself; that of an instance which is deleted, as soon as that is seen."""

    def __init__(self, tables: Tables, now: Callable[[], datetime], *, window_s: float) -> None:
        """`window_s` 0 is for ever."""
        self._tables = tables
        self._now = now
        self._window_s = window_s

    def begin_due(self) -> Sequence[int]:
        """Set those to `confirming` that are due, by id. Whoever is told has them moved."""
        now = self._now()
        older_than = now - timedelta(seconds=self._window_s) if self._window_s > 0 else None
        due = self._tables.migrations.waiting(older_than, tried_before=now - TRY_AGAIN_AFTER, limit=MAX_BEGUN)
        return [migration.id for migration in due if self._is_begun(migration)]

    def _is_begun(self, migration: Migration) -> bool:
        """Unless somebody has confirmed or reverted it, or works on the instance."""
        is_deleted = self._tables.instances.get(migration.instance_uuid, deleted=True).vm_state is VmState.DELETED
        changes = {
            "status": MigrationStatus.CONFIRMING,
            "step": None,
            "is_undoing": False,
            "is_handed_over": True,
            "progress": 0,
        }
        finished = (MigrationStatus.FINISHED,)
        try:
            if is_deleted:
                self._tables.migrations.update(migration.id, changes, statuses=finished)
            else:
                self._tables.migrations.update_both(
                    migration.id,
                    changes,
                    instance_changes={"task_state": TaskState.RESIZE_CONFIRMING},
                    expected=Expected((VmState.RESIZED,), (None,), migration.dest_compute),
                    statuses=finished,
                    verb="confirm resize of",
                )
        except (InstanceStateError, InstanceNotFoundError, MigrationStateError):
            return False
        line = logger.bind(migration=migration.id, instance=migration.instance_uuid, type=migration.type)
        if is_deleted:
            line.info("instance of a resize is deleted, what its old host has set aside goes")
        else:
            line.bind(window_s=self._window_s).info("nobody has confirmed or reverted a resize, it is confirmed")
        return True
