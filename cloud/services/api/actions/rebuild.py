"""rebuild: the same server from an image, made anew where it is."""

from collections.abc import Sequence
from typing import Any

from starlette.responses import JSONResponse, Response

from cloud.domain.image import Image
from cloud.domain.instance import Instance, TaskState, VmState
from cloud.domain.system_metadata import with_description, with_disk_config, with_files, with_image
from cloud.errors import BadRequestError
from cloud.services.api.actions.action import Action
from cloud.services.api.boot import password_for
from cloud.services.api.boot_checks import check_files, check_metadata, usable_image
from cloud.services.api.call import Call
from cloud.services.api.server_bodies import Rebuild
from cloud.services.api.server_state import Change, begin, hand_over, host_of
from cloud.services.api.servers import server_view


def _rebuild(call: Call, instance: Instance, body: Rebuild) -> Response:
    if not body.image_ref:
        raise BadRequestError("cannot rebuild: there is no imageRef")
    limits = call.parts.quotas.limits(instance.project_id)
    check_metadata(body.metadata or {}, limits)
    check_files(body.personality, limits)
    image = usable_image(call, body.image_ref, instance.flavor)
    change = Change(
        "rebuild",
        TaskState.REBUILDING,
        (VmState.ACTIVE, VmState.STOPPED, VmState.ERROR),
        values=lambda now: _values(now, body, image),
    )
    begun = begin(call, instance, change)
    hand_over(
        call,
        instance,
        change,
        lambda: call.parts.compute.rebuild_instance(host_of(begun), instance.uuid, image.id),
    )
    view = {**server_view(call, begun), "adminPass": password_for(body.admin_pass)}
    return JSONResponse({"server": view}, 202, {"Location": call.url("servers", instance.uuid)})


def _values(instance: Instance, body: Rebuild, image: Image) -> dict[str, Any]:
    """What changes with it: what was sent, and what is known of the image."""
    system_metadata = with_image(instance.system_metadata, image)
    if "description" in body.model_fields_set:
        system_metadata = with_description(system_metadata, body.description)
    if body.disk_config is not None:
        system_metadata = with_disk_config(system_metadata, body.disk_config)
    system_metadata = with_files(system_metadata, {file.path: file.contents for file in body.personality})
    values: dict[str, Any] = {"image_id": image.id, "progress": 0, "system_metadata": system_metadata}
    if body.name is not None:
        values["display_name"] = body.name
    if body.metadata is not None:
        values["metadata"] = body.metadata
    if body.access_ip_v4 is not None:
        values["access_ip_v4"] = body.access_ip_v4 or None
    if body.access_ip_v6 is not None:
        values["access_ip_v6"] = body.access_ip_v6 or None
    return values


ACTIONS: Sequence[Action] = (Action("rebuild", "compute:servers:rebuild", _rebuild, Rebuild),)
