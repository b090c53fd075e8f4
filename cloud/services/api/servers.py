"""`/servers`: lists, one server, making, changing and deleting one."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from cloud.db.instance_query import InstanceQuery
from cloud.domain.instance import Instance
from cloud.domain.system_metadata import with_description, with_disk_config
from cloud.errors import BadRequestError
from cloud.services.api.body import BodyOf
from cloud.services.api.boot import boot
from cloud.services.api.call import Call, TheCall
from cloud.services.api.paging import Page
from cloud.services.api.server_bodies import CreateServer, UpdateServer
from cloud.services.api.server_delete import delete_server
from cloud.services.api.server_query import query_of
from cloud.services.api.server_state import server_of
from cloud.services.api.server_tags import filter_of
from cloud.services.api.server_view import brief, created, detailed, surroundings_of

MAX_PAGES = 50
"""Of servers that are read to find those with a tag."""
router = APIRouter()


@router.get("/servers")
def list_servers(request: Request, call: TheCall) -> Response:
    call.require("compute:servers:list")
    page, found = _found(request, call)
    servers = [brief(call, instance) for instance in found]
    return JSONResponse({"servers": servers, **_next(request, call, page, "servers", found)})


@router.get("/servers/detail")
def list_servers_in_detail(request: Request, call: TheCall) -> Response:
    call.require("compute:servers:detail")
    page, found = _found(request, call)
    surroundings = surroundings_of(call, found)
    servers = [detailed(call, instance, surroundings) for instance in found]
    return JSONResponse({"servers": servers, **_next(request, call, page, "servers/detail", found)})


@router.post("/servers", status_code=202)
def create_server(call: TheCall, body: Annotated[CreateServer, Depends(BodyOf(CreateServer))]) -> Response:
    call.require("compute:servers:create")
    booted = boot(call, body)
    if body.server.return_reservation_id:
        return JSONResponse({"reservation_id": booted.reservation_id}, 202)
    first = booted.instances[0]
    location = call.url("servers", first.uuid)
    return JSONResponse({"server": created(call, first, booted.password)}, 202, {"Location": location})


@router.get("/servers/{server_id}")
def show_server(server_id: str, call: TheCall) -> Response:
    instance = server_of(call, server_id)
    call.require("compute:servers:show", instance.project_id)
    return JSONResponse({"server": server_view(call, instance)})


@router.put("/servers/{server_id}")
def update_server(
    server_id: str, call: TheCall, body: Annotated[UpdateServer, Depends(BodyOf(UpdateServer))]
) -> Response:
    instance = server_of(call, server_id)
    call.require("compute:servers:update", instance.project_id)
    if _changes(instance, body):
        instance = call.parts.instances.merge(instance.uuid, lambda now: _changes(now, body))
    return JSONResponse({"server": server_view(call, instance)})


@router.delete("/servers/{server_id}", status_code=204)
def remove_server(server_id: str, call: TheCall) -> Response:
    instance = server_of(call, server_id)
    call.require("compute:servers:delete", instance.project_id)
    delete_server(call, instance)
    return Response(status_code=204)


def server_view(call: Call, instance: Instance) -> dict[str, Any]:
    """One server in detail."""
    return detailed(call, instance, surroundings_of(call, [instance]))


def _found(request: Request, call: Call) -> tuple[Page, Sequence[Instance]]:
    page = Page.of(request, call.parts.conf.osapi_max_limit)
    query = query_of(call, request.query_params, page)
    if query is None:
        return page, ()
    fits = filter_of(call, request.query_params)
    return page, call.parts.instances.list(query) if fits is None else _fitting(call, query, page.limit, fits)


def _fitting(call: Call, query: InstanceQuery, limit: int, fits: Callable[[Instance], bool]) -> Sequence[Instance]:
    """The first `limit` instances of `query` that fit, read by pages."""
    page_size = call.parts.conf.osapi_max_limit
    marker, found = query.marker, list[Instance]()
    for _ in range(MAX_PAGES):
        read = call.parts.instances.list(replace(query, marker=marker, limit=page_size))
        found += filter(fits, read)
        if len(found) >= limit or len(read) < page_size:
            return found[:limit]
        marker = read[-1].uuid
    raise BadRequestError(f"cannot filter by tags: more than {MAX_PAGES * page_size} servers would have to be read")


def _next(
    request: Request, call: Call, page: Page, path: str, found: Sequence[Instance]
) -> dict[str, list[dict[str, str]]]:
    links = page.next_links(request, call, path, [instance.uuid for instance in found])
    return {"servers_links": links} if links else {}


def _changes(instance: Instance, body: UpdateServer) -> dict[str, Any]:
    """What was sent, and nothing else."""
    wanted, sent = body.server, body.server.model_fields_set
    changes: dict[str, Any] = {}
    if wanted.name is not None:
        changes["display_name"] = wanted.name
    if "access_ip_v4" in sent:
        changes["access_ip_v4"] = wanted.access_ip_v4 or None
    if "access_ip_v6" in sent:
        changes["access_ip_v6"] = wanted.access_ip_v6 or None
    if "description" in sent:
        changes["system_metadata"] = with_description(instance.system_metadata, wanted.description)
    if wanted.disk_config is not None:
        kept = changes.get("system_metadata", instance.system_metadata)
        changes["system_metadata"] = with_disk_config(kept, wanted.disk_config)
    return changes
