"""lock and unlock: what is locked only admins change."""

from collections.abc import Sequence

from starlette.responses import Response

from cloud.domain.instance import Instance
from cloud.services.api.actions.action import Action, accepted
from cloud.services.api.call import Call

_OWNER = "owner"
_ADMIN = "admin"


def _lock(call: Call, instance: Instance, body: None) -> Response:  # noqa: ARG001 - as all actions are run
    is_owner = instance.project_id == call.project_id
    if instance.locked_by is None or not is_owner:  # an owner does not make an admin's lock its own
        call.parts.instances.update(instance.uuid, {"locked_by": _OWNER if is_owner else _ADMIN})
    return accepted()


def _unlock(call: Call, instance: Instance, body: None) -> Response:  # noqa: ARG001 - as all actions are run
    if instance.locked_by == _ADMIN:
        call.require("compute:servers:unlock:override", instance.project_id)
    if instance.locked_by is not None:
        call.parts.instances.update(instance.uuid, {"locked_by": None})
    return accepted()


ACTIONS: Sequence[Action] = (
    Action("lock", "compute:servers:lock", _lock),
    Action("unlock", "compute:servers:unlock", _unlock),
)
