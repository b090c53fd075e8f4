"""evacuate: an admin has a server made anew on another host, because its own is broken."""

from collections.abc import Sequence

from starlette.responses import JSONResponse, Response

from cloud.domain.evacuation import storage_to_go_to
from cloud.domain.instance import Instance, TaskState, VmState
from cloud.domain.migration import MigrationType
from cloud.errors import BadRequestError, HostNotFoundError
from cloud.services.api.actions.action import Action
from cloud.services.api.boot import password_for
from cloud.services.api.call import Call
from cloud.services.api.compute_services import compute_service, is_up, refuse_down, refuse_own
from cloud.services.api.move_bodies import Evacuate
from cloud.services.api.server_moves import Move, Wanted, begin_move, check_move
from cloud.services.api.server_state import host_of
from cloud.services.api.versions import V2_1, V2_14, V2_29

_MOVE = Move(
    "evacuate",
    "evacuate",
    MigrationType.EVACUATION,
    TaskState.REBUILDING,
    (VmState.ACTIVE, VmState.STOPPED, VmState.ERROR),
)


def _evacuate(call: Call, instance: Instance, body: Evacuate) -> Response:
    if body.force and body.host is None:
        raise BadRequestError("cannot force an evacuation: there is no host to force it to")
    if body.on_shared_storage and body.admin_pass is not None:
        raise BadRequestError("cannot set adminPass: on shared storage the disk stays as it is")
    if body.host is not None and compute_service(call, body.host) is None:
        raise HostNotFoundError(f"cannot find compute host {body.host}")
    check_move(call, instance, _MOVE)
    _check_hosts(call, instance, body.host)
    may_leave_disk = body.force or (call.version < V2_14 and not body.on_shared_storage)
    if body.host is not None:
        _check_storage(call, instance, body.host, may_leave_disk=may_leave_disk)
    elif may_leave_disk:
        _refuse_to_choose(call, instance)
    wanted = Wanted(
        flavor=instance.flavor,
        host=body.host,
        is_forced=body.host is not None and (body.force or call.version < V2_29),
        options={
            "on_shared_storage": None if call.version >= V2_14 else body.on_shared_storage,
            "may_leave_disk": may_leave_disk,
        },
    )
    begin_move(call, instance, _MOVE, wanted)
    return _answer(call, None if body.on_shared_storage else password_for(body.admin_pass))


def _check_hosts(call: Call, instance: Instance, target: str | None) -> None:
    """BadRequestError while the instance's own host is up: then there would be two of it."""
    if target is not None:
        refuse_own(instance, target)
    source = host_of(instance)
    if is_up(call, source):
        raise BadRequestError(f"cannot evacuate instance {instance.uuid}: nova-compute on its host {source} is up")
    if target is not None:
        refuse_down(call, target)


def _check_storage(call: Call, instance: Instance, target: str, *, may_leave_disk: bool) -> None:
    """BadRequestError for a host that does not see the disk, where others do and nobody says that it may be left."""
    states = call.parts.hosts.states()
    storage_id = storage_to_go_to(states, host_of(instance), named=target, may_leave_disk=may_leave_disk)
    there = [state for state in states if state.node.storage_id == storage_id]
    if storage_id is None or target in (state.node.host for state in there):
        return
    up = ", ".join(state.node.host for state in there if state.is_up)
    raise BadRequestError(
        f"cannot evacuate instance {instance.uuid} to host {target}: it does not have the storage that its disk is on, "
        f"hosts that have it and are up: {up}"
    )


def _refuse_to_choose(call: Call, instance: Instance) -> None:
    """BadRequestError where the disk is said not to be shared, and others see it: hosts are chosen from them alone."""
    states = call.parts.hosts.states()
    if storage_to_go_to(states, host_of(instance), named=None, may_leave_disk=True) is not None:
        raise BadRequestError(
            f"cannot evacuate instance {instance.uuid} with onSharedStorage false to a host that is chosen: others "
            "have the storage that its disk is on, name the host that it is to begin anew on"
        )


def _answer(call: Call, password: str | None) -> Response:
    """The password, where there is a new one; later versions of the API give none."""
    if call.version >= V2_14 or (call.version < V2_1 and password is None):
        return Response()
    return JSONResponse({"adminPass": password})


ACTIONS: Sequence[Action] = (Action("evacuate", "compute:servers:evacuate", _evacuate, Evacuate),)
