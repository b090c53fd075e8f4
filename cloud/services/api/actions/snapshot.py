"""createImage: a queued image now, its data from the instance's host later."""

from collections.abc import Sequence

from starlette.responses import Response

from cloud.domain.image import NewImage
from cloud.domain.instance import Instance, TaskState, VmState
from cloud.domain.system_metadata import image_properties_of
from cloud.errors import CloudError
from cloud.services.api.actions.action import Action
from cloud.services.api.boot_checks import check_metadata
from cloud.services.api.call import Call
from cloud.services.api.server_bodies import CreateImage
from cloud.services.api.server_state import Change, begin, hand_over, host_of, take_back

_CHANGE = Change(
    "createImage",
    TaskState.IMAGE_SNAPSHOT,
    (VmState.ACTIVE, VmState.STOPPED, VmState.PAUSED, VmState.SUSPENDED),
)


def _create_image(call: Call, instance: Instance, body: CreateImage) -> Response:
    check_metadata(body.metadata, call.parts.quotas.limits(call.project_id))
    begun = begin(call, instance, _CHANGE)
    try:
        image = call.parts.images.create(_image(instance, body))
    except CloudError:
        take_back(call, instance, _CHANGE)
        raise
    try:
        hand_over(
            call,
            instance,
            _CHANGE,
            lambda: call.parts.compute.snapshot_instance(host_of(begun), instance.uuid, image.id),
        )
    except CloudError:
        call.parts.images.delete(image.id)
        raise
    return Response(status_code=202, headers={"Location": call.url("images", image.id)})


def _image(instance: Instance, body: CreateImage) -> NewImage:
    properties = {
        **image_properties_of(instance),
        **body.metadata,
        "image_type": "snapshot",
        "instance_uuid": instance.uuid,
        "user_id": instance.user_id,
        "base_image_ref": instance.image_id or "",
    }
    return NewImage(
        name=body.name,
        disk_format="raw",
        container_format="bare",
        min_disk_gb=instance.flavor.root_gb,
        properties=properties,
    )


ACTIONS: Sequence[Action] = (Action("createImage", "compute:servers:create_image", _create_image, CreateImage),)
