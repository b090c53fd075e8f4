"""reboot, os-start and os-stop."""

from collections.abc import Callable, Sequence

from starlette.responses import Response

from cloud.domain.instance import Instance, TaskState, VmState
from cloud.services.api.actions.action import Action, accepted
from cloud.services.api.call import Call
from cloud.services.api.server_bodies import Reboot
from cloud.services.api.server_state import Change, begin, hand_over, host_of

_SOFT = Change("reboot", TaskState.REBOOTING, (VmState.ACTIVE,))
_HARD = Change(
    "reboot",
    TaskState.REBOOTING_HARD,
    (VmState.ACTIVE, VmState.STOPPED, VmState.PAUSED, VmState.SUSPENDED, VmState.ERROR),
    (None, TaskState.REBOOTING),  # a soft one may never come to its end
)
_STOP = Change(
    "stop",
    TaskState.POWERING_OFF,
    (VmState.ACTIVE, VmState.RESCUED, VmState.ERROR),
    values=lambda _: {"progress": 0},
)
_START = Change("start", TaskState.POWERING_ON, (VmState.STOPPED,))


def _reboot(call: Call, instance: Instance, body: Reboot) -> Response:
    change = _HARD if body.type == "HARD" else _SOFT
    return _ask(call, instance, change, lambda host: call.parts.compute.reboot_instance(host, instance.uuid, body.type))


def _stop(call: Call, instance: Instance, body: None) -> Response:  # noqa: ARG001 - as all actions are run
    return _ask(call, instance, _STOP, lambda host: call.parts.compute.stop_instance(host, instance.uuid))


def _start(call: Call, instance: Instance, body: None) -> Response:  # noqa: ARG001 - as all actions are run
    return _ask(call, instance, _START, lambda host: call.parts.compute.start_instance(host, instance.uuid))


def _ask(call: Call, instance: Instance, change: Change, cast: Callable[[str], None]) -> Response:
    begun = begin(call, instance, change)
    hand_over(call, instance, change, lambda: cast(host_of(begun)))
    return accepted()


ACTIONS: Sequence[Action] = (
    Action("reboot", "compute:servers:reboot", _reboot, Reboot),
    Action("os-stop", "compute:servers:stop", _stop),
    Action("os-start", "compute:servers:start", _start),
)
