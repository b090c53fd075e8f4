"""`/servers/{id}/migrations`: the live migration of a server that runs: seen since 2.23, forced to its end since 2.22,
called off since 2.24.
"""

from collections.abc import Callable, Collection
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.responses import JSONResponse, Response

from cloud.db.migration_records import MigrationQuery
from cloud.domain.instance import Instance, TaskState, VmState
from cloud.domain.migration import Migration, MigrationStatus, MigrationType
from cloud.errors import BadRequestError, MigrationNotFoundError, MigrationStateError, NotFoundError
from cloud.logs.emit import logger
from cloud.services.api.body import BodyOf
from cloud.services.api.call import Call, TheCall
from cloud.services.api.migrations import RUNNING, migration_number
from cloud.services.api.move_bodies import MigrationAction
from cloud.services.api.server_state import check_state, refuse_locked, server_of
from cloud.services.api.times import moment
from cloud.services.api.versions import V2_22, V2_23, V2_24, Version

router = APIRouter()


@router.get("/servers/{server_id}/migrations")
def list_server_migrations(server_id: str, call: TheCall) -> JSONResponse:
    instance = _server(call, server_id, V2_23, "list")
    query = MigrationQuery(instance_uuid=instance.uuid, statuses=RUNNING, types=(MigrationType.LIVE,))
    return JSONResponse({"migrations": [_view(found) for found in call.parts.migrations.list(query)]})


@router.get("/servers/{server_id}/migrations/{migration_id}")
def show_server_migration(server_id: str, migration_id: str, call: TheCall) -> JSONResponse:
    """MigrationNotFoundError for one that does not run, or is none of a server that goes on running."""
    instance = _server(call, server_id, V2_23, "show")
    migration = call.parts.migrations.get_of(instance.uuid, migration_number(migration_id))
    if migration.type is not MigrationType.LIVE or migration.status not in RUNNING:
        raise MigrationNotFoundError(
            f"cannot find migration {migration.id} among those of instance {instance.uuid} that run"
        )
    return JSONResponse({"migration": _view(migration)})


@router.post("/servers/{server_id}/migrations/{migration_id}/action", status_code=202)
def force_complete(
    server_id: str,
    migration_id: str,
    call: TheCall,
    body: Annotated[MigrationAction, Depends(BodyOf(MigrationAction))],  # noqa: ARG001 - checked, and it says no more
) -> Response:
    """Have the server stand still until it is on the other host, however much it writes."""
    instance = _server(call, server_id, V2_22, "force_complete")
    _check_migrating(call, instance, "force_complete", (VmState.ACTIVE,))
    try:
        migration = _running(call, instance, migration_id)
    except MigrationNotFoundError as exc:
        raise BadRequestError(str(exc)) from exc
    return _asked(call, migration, call.parts.migrations.want_force_complete, "live_migration_force_complete")


@router.delete("/servers/{server_id}/migrations/{migration_id}", status_code=202)
def abort_migration(server_id: str, migration_id: str, call: TheCall) -> Response:
    """Have the server go on where it is."""
    instance = _server(call, server_id, V2_24, "delete")
    _check_migrating(call, instance, "abort live migration", tuple(VmState))
    migration = _running(call, instance, migration_id)
    return _asked(call, migration, call.parts.migrations.want_abort, "live_migration_cancel")


def _server(call: Call, server_id: str, since: Version, verb: str) -> Instance:
    if call.version < since:
        raise NotFoundError(f"cannot {verb} migrations of a server before version {since}")
    instance = server_of(call, server_id)
    call.require(f"compute:server_migrations:{verb}", instance.project_id)
    return instance


def _check_migrating(call: Call, instance: Instance, action: str, vm_states: Collection[VmState]) -> None:
    refuse_locked(call, instance)
    check_state(instance, action, vm_states, (TaskState.MIGRATING,))


def _running(call: Call, instance: Instance, migration_id: str) -> Migration:
    """MigrationNotFoundError where the server has none of that id, BadRequestError for one that does not run."""
    migration = call.parts.migrations.get_of(instance.uuid, migration_number(migration_id))
    if migration.type is not MigrationType.LIVE or migration.status is not MigrationStatus.RUNNING:
        raise BadRequestError(
            f"cannot change migration {migration.id} of instance {instance.uuid}: its status is {migration.status}"
        )
    return migration


def _asked(call: Call, migration: Migration, want: Callable[[int], Migration], noted_as: str) -> Response:
    """Whoever works on the migration finds in its row what is wanted."""
    try:
        want(migration.id)
    except MigrationStateError as exc:
        raise BadRequestError(str(exc)) from exc
    call.parts.actions.start(migration.instance_uuid, noted_as)
    call.parts.actions.finish(migration.instance_uuid)
    logger.bind(migration=migration.id, instance=migration.instance_uuid, action=noted_as).info("migration is told so")
    return Response(status_code=202)


def _view(migration: Migration) -> dict[str, Any]:
    return {
        "id": migration.id,
        "server_uuid": migration.instance_uuid,
        "status": migration.status,
        "source_compute": migration.source_compute,
        "source_node": migration.source_node,
        "dest_compute": migration.dest_compute,
        "dest_node": migration.dest_node,
        "dest_host": migration.dest_host,
        "memory_total_bytes": migration.memory_total_bytes,
        "memory_processed_bytes": migration.memory_processed_bytes,
        "memory_remaining_bytes": migration.memory_remaining_bytes,
        "disk_total_bytes": migration.disk_total_bytes,
        "disk_processed_bytes": migration.disk_processed_bytes,
        "disk_remaining_bytes": migration.disk_remaining_bytes,
        "created_at": moment(migration.created_at),
        "updated_at": moment(migration.updated_at),
    }
