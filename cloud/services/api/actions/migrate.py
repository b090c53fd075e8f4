"""migrate: an admin has a server go to another host while it is off, and confirms that later."""

from collections.abc import Sequence

from starlette.responses import Response

from cloud.domain.instance import Instance, TaskState, VmState
from cloud.domain.migration import MigrationType
from cloud.services.api.actions.action import Action, accepted
from cloud.services.api.call import Call
from cloud.services.api.compute_services import refuse_down
from cloud.services.api.server_moves import Move, Wanted, begin_move, check_move
from cloud.services.api.server_state import host_of

_MOVE = Move("migrate", "migrate", MigrationType.COLD, TaskState.RESIZE_PREP, (VmState.ACTIVE, VmState.STOPPED))


def _migrate(call: Call, instance: Instance, body: None) -> Response:  # noqa: ARG001 - as all actions are run
    check_move(call, instance, _MOVE)
    refuse_down(call, host_of(instance))
    begin_move(call, instance, _MOVE, Wanted(instance.flavor))
    return accepted()


ACTIONS: Sequence[Action] = (Action("migrate", "compute:servers:migrate", _migrate),)
