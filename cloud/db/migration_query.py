"""Which migrations are asked for, and how many -> the conditions that find them."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, or_

from cloud.db.models import MigrationRow
from cloud.domain.migration import MigrationStatus, MigrationType

MAX_LISTED = 1000
"""Migrations in one answer, where nobody says how many."""


@dataclass(frozen=True, slots=True)
class MigrationQuery:
    """All conditions have to hold; None is no condition."""

    host: str | None = None
    """It is the source or the destination."""
    source_compute: str | None = None
    dest_compute: str | None = None
    instance_uuid: str | None = None
    statuses: Collection[MigrationStatus] | None = None
    types: Collection[MigrationType] | None = None
    marker: str | None = None
    """The uuid of the last migration of the page before."""
    limit: int = MAX_LISTED


def migration_conditions(query: MigrationQuery) -> list[ColumnElement[bool]]:
    """Of rows, all but that of the page."""
    equal = {
        MigrationRow.source_compute: query.source_compute,
        MigrationRow.dest_compute: query.dest_compute,
        MigrationRow.instance_uuid: query.instance_uuid,
    }
    conditions: list[ColumnElement[bool]] = [column == value for column, value in equal.items() if value is not None]
    if query.host is not None:
        conditions.append(or_(MigrationRow.source_compute == query.host, MigrationRow.dest_compute == query.host))
    if query.statuses is not None:
        conditions.append(MigrationRow.status.in_(query.statuses))
    if query.types is not None:
        conditions.append(MigrationRow.type.in_(query.types))
    return conditions
