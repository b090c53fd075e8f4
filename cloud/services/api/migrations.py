"""os-migrations: which servers were moved between hosts, or to other flavors, and how far that is."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from cloud.db.migration_records import MigrationQuery
from cloud.domain.migration import Migration, MigrationStatus, MigrationType
from cloud.errors import BadRequestError, MigrationNotFoundError
from cloud.services.api.call import Call, TheCall
from cloud.services.api.paging import Page
from cloud.services.api.times import moment
from cloud.services.api.versions import V2_23

router = APIRouter()

RUNNING = frozenset({MigrationStatus.PREPARING, MigrationStatus.RUNNING, MigrationStatus.POST_MIGRATING})
"""A live migration that has one of these is shown among its server's, too."""
_TRUE = frozenset({"1", "t", "true", "on", "y", "yes"})
_MAX_DIGITS = 10


@router.get("/os-migrations")
def list_migrations(
    request: Request,
    call: TheCall,
    host: str | None = None,
    status: str | None = None,
    hidden: str | None = None,
    instance_uuid: str | None = None,
    source_compute: str | None = None,
    migration_type: str | None = None,
) -> JSONResponse:
    """The newest first. `host` is the source or the destination; a cell_name is taken and of no use."""
    call.require("compute:migrations:list")
    page = Page.of(request, call.parts.conf.osapi_max_limit)
    is_hidden = (hidden or "").strip().lower() in _TRUE  # which none is
    if is_hidden or status not in (None, *MigrationStatus) or migration_type not in (None, *MigrationType):
        return JSONResponse({"migrations": []})
    query = MigrationQuery(
        host=host or None,
        source_compute=source_compute or None,
        instance_uuid=instance_uuid or None,
        statuses=None if status is None else (MigrationStatus(status),),
        types=None if migration_type is None else (MigrationType(migration_type),),
        marker=_marker(call, page.marker),
        limit=page.limit,
    )
    return JSONResponse({"migrations": [_view(call, found) for found in call.parts.migrations.list(query)]})


def migration_number(text: str) -> int:
    """The id as a path has it; 0, which no migration has, for what is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else 0


def _marker(call: Call, text: str | None) -> str | None:
    """The uuid of the migration; clients name it by its id, for these versions of the API show them no other."""
    number = 0 if text is None else migration_number(text)
    if number == 0:
        return text
    try:
        return call.parts.migrations.get(number).uuid
    except MigrationNotFoundError as exc:
        raise BadRequestError(f"cannot list migrations behind {number}: there is no such migration") from exc


def _view(call: Call, migration: Migration) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": migration.id,
        "instance_uuid": migration.instance_uuid,
        "source_compute": migration.source_compute,
        "source_node": migration.source_node,
        "dest_compute": migration.dest_compute,
        "dest_node": migration.dest_node,
        "dest_host": migration.dest_host,
        "old_instance_type_id": migration.old_flavor.id,
        "new_instance_type_id": migration.new_flavor.id,
        "status": migration.status,
        "created_at": moment(migration.created_at),
        "updated_at": moment(migration.updated_at),
    }
    if call.version >= V2_23:
        shown["migration_type"] = migration.type
        if migration.type is MigrationType.LIVE and migration.status in RUNNING:
            shown["links"] = call.links("servers", migration.instance_uuid, "migrations", str(migration.id))
    return shown
