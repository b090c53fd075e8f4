"""Migrations in progress that nobody writes of any more."""

from collections.abc import Iterator

from cloud.doctor.bounds import Bounds
from cloud.doctor.finding import Finding, Kind
from cloud.doctor.host_remedies import TakeUpMigration
from cloud.doctor.survey import Survey


def examine_migrations(survey: Survey, bounds: Bounds) -> Iterator[Finding]:
    """A nova-conductor that runs takes them up before that; so none does, or it fails at each attempt."""
    for migration in survey.migrations:
        if migration.is_in_progress and survey.taken_at - migration.updated_at >= bounds.older_than:
            undoing = ", being undone" if migration.is_undoing else ""
            way = f"from {migration.source_compute} to {migration.dest_compute or 'a host not chosen yet'}"
            yield Finding(
                Kind.MIGRATION_LEFT,
                migration.instance_uuid,
                migration.source_compute,
                f"its migration {migration.id} ({migration.type}) {way} is {migration.status} at step "
                f"{migration.step or 'none'}{undoing}, and nobody goes on with it",
                migration.updated_at,
                TakeUpMigration(migration.id),
                subject=str(migration.id),
            )
