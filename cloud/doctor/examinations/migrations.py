"""Migrations in progress that nobody writes of any more, or of which nobody can say where their instance is."""

from collections.abc import Iterator

from cloud.doctor.bounds import Bounds
from cloud.doctor.finding import Finding, Kind
from cloud.doctor.host_remedies import TakeUpMigration
from cloud.doctor.survey import Survey
from cloud.domain.migration import Migration


def examine_migrations(survey: Survey, bounds: Bounds) -> Iterator[Finding]:
    """A nova-conductor that runs takes them up before that; so none does, or it fails at each attempt.

    One that waits for its hosts is taken up again and again, each time in vain.
    """
    for migration in survey.migrations:
        if not migration.is_in_progress:
            continue
        since = migration.uncertain_since
        if survey.taken_at - migration.updated_at >= bounds.older_than:
            yield _left(migration)
        elif since is not None and survey.taken_at - since >= bounds.older_than:
            yield Finding(
                Kind.MIGRATION_UNCERTAIN,
                migration.instance_uuid,
                migration.source_compute,
                f"{_named(migration)}, and waits: {migration.error or 'nobody says for what'}",
                since,
                unmended="nova-conductor goes on with it when its hosts answer, so see to them; or, where you know "
                "which one has the instance, reset its state; "
                "one that is deleted does not wait for a host that is forced down",
                subject=str(migration.id),
            )


def _left(migration: Migration) -> Finding:
    return Finding(
        Kind.MIGRATION_LEFT,
        migration.instance_uuid,
        migration.source_compute,
        f"{_named(migration)}, and nobody goes on with it",
        migration.updated_at,
        TakeUpMigration(migration.id),
        subject=str(migration.id),
    )


def _named(migration: Migration) -> str:
    undoing = ", being undone" if migration.is_undoing else ""
    way = f"from {migration.source_compute} to {migration.dest_compute or 'a host not chosen yet'}"
    return (
        f"its migration {migration.id} ({migration.type}) {way} is {migration.status} at step "
        f"{migration.step or 'none'}{undoing}"
    )
