"""os-instance-actions: what has been asked of a server, and what came of it."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse

from cloud.domain.action import InstanceAction, InstanceEvent
from cloud.services.api.call import Call, TheCall
from cloud.services.api.times import moment, moment_or_none
from cloud.services.api.versions import V2_21

router = APIRouter()


@router.get("/servers/{uuid}/os-instance-actions")
def list_actions(call: TheCall, uuid: str) -> JSONResponse:
    """The newest first."""
    _require(call, "compute:instance_actions:list", uuid)
    return JSONResponse({"instanceActions": [_view(action) for action in call.parts.actions.list(uuid)]})


@router.get("/servers/{uuid}/os-instance-actions/{request_id}")
def show_action(call: TheCall, uuid: str, request_id: str) -> JSONResponse:
    """Its steps too, for admins."""
    _require(call, "compute:instance_actions:show", uuid)
    action = call.parts.actions.get(uuid, request_id)
    events: dict[str, Any] = {}
    if call.is_allowed("compute:instance_actions:events"):
        events = {"events": [_event_view(event) for event in action.events]}
    return JSONResponse({"instanceAction": _view(action) | events})


def _require(call: Call, action: str, uuid: str) -> None:
    """InstanceNotFoundError unless the server may be seen: since 2.21 also one that is deleted."""
    instance = call.parts.instances.get(uuid, project_id=call.seen_project, deleted=call.version >= V2_21)
    call.require(action, instance.project_id)


def _view(action: InstanceAction) -> dict[str, Any]:
    return {
        "action": action.action,
        "instance_uuid": action.instance_uuid,
        "request_id": action.request_id,
        "user_id": action.user_id,
        "project_id": action.project_id,
        "start_time": moment(action.started_at),
        "message": action.message,
    }


def _event_view(event: InstanceEvent) -> dict[str, Any]:
    return {
        "event": event.event,
        "start_time": moment(event.started_at),
        "finish_time": moment_or_none(event.finished_at),
        "result": event.result,
        "traceback": event.details,
    }
