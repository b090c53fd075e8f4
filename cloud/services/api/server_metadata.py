"""`/servers/{id}/metadata`: what users note beside a server."""

from collections.abc import Callable, Mapping
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import JSONResponse, Response

from cloud.domain.instance import Instance, VmState
from cloud.errors import BadRequestError, NotFoundError
from cloud.services.api.body import BodyOf
from cloud.services.api.boot_checks import check_metadata
from cloud.services.api.call import Call, TheCall
from cloud.services.api.server_bodies import MetadataBody, MetadataItemBody
from cloud.services.api.server_state import check_state, refuse_locked, server_of

router = APIRouter()
_STATES = frozenset({VmState.ACTIVE, VmState.PAUSED, VmState.SUSPENDED, VmState.STOPPED})
TheMetadata = Annotated[MetadataBody, Depends(BodyOf(MetadataBody))]
TheItem = Annotated[MetadataItemBody, Depends(BodyOf(MetadataItemBody))]


@router.get("/servers/{server_id}/metadata")
def list_metadata(server_id: str, call: TheCall) -> Response:
    instance = server_of(call, server_id)
    call.require("compute:server_metadata:list", instance.project_id)
    return JSONResponse({"metadata": dict(instance.metadata)})


@router.post("/servers/{server_id}/metadata")
def add_metadata(server_id: str, call: TheCall, body: TheMetadata) -> Response:
    instance = server_of(call, server_id)
    call.require("compute:server_metadata:create", instance.project_id)
    return JSONResponse({"metadata": _set(call, instance, lambda now: {**now.metadata, **body.metadata})})


@router.put("/servers/{server_id}/metadata")
def replace_metadata(server_id: str, call: TheCall, body: TheMetadata) -> Response:
    instance = server_of(call, server_id)
    call.require("compute:server_metadata:update_all", instance.project_id)
    return JSONResponse({"metadata": _set(call, instance, lambda _: body.metadata)})


@router.get("/servers/{server_id}/metadata/{key}")
def show_metadata(server_id: str, key: str, call: TheCall) -> Response:
    instance = server_of(call, server_id)
    call.require("compute:server_metadata:show", instance.project_id)
    return JSONResponse({"meta": {key: _item(instance, key)}})


@router.put("/servers/{server_id}/metadata/{key}")
def update_metadata(server_id: str, key: str, call: TheCall, body: TheItem) -> Response:
    instance = server_of(call, server_id)
    call.require("compute:server_metadata:update", instance.project_id)
    if key not in body.meta:
        raise BadRequestError("cannot update metadata: the body is about another key than the address")
    _set(call, instance, lambda now: {**now.metadata, **body.meta})
    return JSONResponse({"meta": dict(body.meta)})


@router.delete("/servers/{server_id}/metadata/{key}", status_code=204)
def delete_metadata(server_id: str, key: str, call: TheCall) -> Response:
    instance = server_of(call, server_id)
    call.require("compute:server_metadata:delete", instance.project_id)
    _item(instance, key)

    def others(now: Instance) -> Mapping[str, str]:
        _item(now, key)
        return {name: value for name, value in now.metadata.items() if name != key}

    _set(call, instance, others, "delete metadata")
    return Response(status_code=204)


def _item(instance: Instance, key: str) -> str:
    try:
        return instance.metadata[key]
    except KeyError as exc:
        raise NotFoundError("cannot find metadata item") from exc


def _set(
    call: Call,
    instance: Instance,
    metadata_of: Callable[[Instance], Mapping[str, str]],
    action: str = "update metadata",
) -> dict[str, str]:
    """What `metadata_of` makes of the metadata as it is by then: others may set other keys at the same time."""
    limits = call.parts.quotas.limits(instance.project_id)

    def change(now: Instance) -> Mapping[str, object]:
        refuse_locked(call, now)
        check_state(now, action, _STATES)
        metadata = metadata_of(now)
        check_metadata(metadata, limits)
        return {"metadata": metadata}

    return dict(call.parts.instances.merge(instance.uuid, change).metadata)
