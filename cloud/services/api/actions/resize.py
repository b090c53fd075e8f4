"""resize: a server gets another flavor, perhaps on another host; and confirmResize or revertResize of that."""

from collections.abc import Sequence

from starlette.responses import Response

from cloud.db.quotas import QuotaLimits
from cloud.domain.flavor import Flavor
from cloud.domain.instance import Instance, TaskState, VmState
from cloud.domain.migration import MigrationType
from cloud.domain.system_metadata import min_disk_gb_of, min_ram_mb_of, with_disk_config
from cloud.errors import BadRequestError
from cloud.services.api.actions.action import Action, accepted
from cloud.services.api.boot_checks import usable_flavor
from cloud.services.api.call import Call
from cloud.services.api.compute_services import refuse_down
from cloud.services.api.move_bodies import Resize
from cloud.services.api.resized import CONFIRM, REVERT, end_resize
from cloud.services.api.server_moves import Move, Wanted, begin_move, check_move
from cloud.services.api.server_state import host_of

_MOVE = Move("resize", "resize", MigrationType.RESIZE, TaskState.RESIZE_PREP, (VmState.ACTIVE, VmState.STOPPED))


def _resize(call: Call, instance: Instance, body: Resize) -> Response:
    check_move(call, instance, _MOVE)
    flavor = usable_flavor(call, body.flavor_ref)
    _check_flavor(instance, flavor)
    refuse_down(call, host_of(instance))
    quota = QuotaLimits.of(call.parts.quotas.limits(instance.project_id))
    may_stay = call.parts.conf.allow_resize_to_same_host
    begin_move(call, instance, _MOVE, Wanted(flavor, quota=quota, may_stay=may_stay))
    if (disk_config := body.disk_config) is not None:
        call.parts.instances.merge(
            instance.uuid, lambda now: {"system_metadata": with_disk_config(now.system_metadata, disk_config)}
        )
    return accepted()


def _check_flavor(instance: Instance, flavor: Flavor) -> None:
    """BadRequestError for the flavor that it has, or one that is too small for what it has."""
    old = instance.flavor
    if flavor.id == old.id:
        raise BadRequestError(f"cannot resize instance {instance.uuid}: it has flavor {flavor.flavorid} already")
    if flavor.root_gb < old.root_gb or flavor.ephemeral_gb < old.ephemeral_gb:
        raise BadRequestError(
            f"cannot resize instance {instance.uuid}: its disks have {old.root_gb} and {old.ephemeral_gb} GiB, "
            f"those of flavor {flavor.flavorid} {flavor.root_gb} and {flavor.ephemeral_gb}"
        )
    min_ram_mb, min_disk_gb = min_ram_mb_of(instance), min_disk_gb_of(instance)
    if flavor.memory_mb < min_ram_mb:
        raise BadRequestError(
            f"cannot resize instance {instance.uuid}: its image needs {min_ram_mb} MiB of memory, "
            f"flavor {flavor.flavorid} has {flavor.memory_mb}"
        )
    if 0 < flavor.root_gb < min_disk_gb:
        raise BadRequestError(
            f"cannot resize instance {instance.uuid}: its image needs {min_disk_gb} GiB of disk, "
            f"flavor {flavor.flavorid} has {flavor.root_gb}"
        )


def _confirm(call: Call, instance: Instance, body: None) -> Response:  # noqa: ARG001 - as all actions are run
    end_resize(call, instance, CONFIRM)
    return Response(status_code=204)


def _revert(call: Call, instance: Instance, body: None) -> Response:  # noqa: ARG001 - as all actions are run
    end_resize(call, instance, REVERT)
    return accepted()


ACTIONS: Sequence[Action] = (
    Action("resize", "compute:servers:resize", _resize, Resize),
    Action("confirmResize", "compute:servers:confirm_resize", _confirm),
    Action("revertResize", "compute:servers:revert_resize", _revert),
)
