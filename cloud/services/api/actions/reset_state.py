"""os-resetState: an admin says what an instance is, whatever it was."""

from collections.abc import Sequence

from starlette.responses import Response

from cloud.domain.instance import Instance, VmState
from cloud.logs.emit import logger
from cloud.services.api.actions.action import Action, accepted
from cloud.services.api.call import Call
from cloud.services.api.server_bodies import ResetState


def _reset_state(call: Call, instance: Instance, body: ResetState) -> Response:
    call.parts.instances.update(instance.uuid, {"vm_state": VmState(body.state), "task_state": None})
    logger.bind(
        instance=instance.uuid, vm_state=body.state, old_vm_state=instance.vm_state, old_task_state=instance.task_state
    ).info("instance state reset")
    return accepted()


ACTIONS: Sequence[Action] = (Action("os-resetState", "compute:servers:reset_state", _reset_state, ResetState),)
