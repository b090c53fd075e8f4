"""os-migrateLive: an admin has a server that runs go to another host, and go on running."""

from collections.abc import Sequence

from starlette.responses import Response

from cloud.domain.instance import Instance, TaskState, VmState
from cloud.domain.migration import MigrationType
from cloud.errors import BadRequestError
from cloud.services.api.actions.action import Action, accepted
from cloud.services.api.call import Call
from cloud.services.api.compute_services import refuse_down, refuse_own
from cloud.services.api.move_bodies import MigrateLive
from cloud.services.api.server_moves import Move, Wanted, begin_move, check_move
from cloud.services.api.server_state import host_of
from cloud.services.api.versions import V2_30

_MOVE = Move(
    "os-migrateLive", "live-migration", MigrationType.LIVE, TaskState.MIGRATING, (VmState.ACTIVE, VmState.PAUSED)
)


def _migrate_live(call: Call, instance: Instance, body: MigrateLive) -> Response:
    if body.force and body.host is None:
        raise BadRequestError("cannot force a live migration: there is no host to force it to")
    check_move(call, instance, _MOVE)
    refuse_down(call, host_of(instance))
    if body.host is not None:
        refuse_own(instance, body.host)
        refuse_down(call, body.host)
    wanted = Wanted(
        flavor=instance.flavor,
        host=body.host,
        is_forced=body.host is not None and (body.force or call.version < V2_30),
        options={
            "block_migration": None if body.block_migration == "auto" else body.block_migration,
            "disk_over_commit": body.disk_over_commit,
        },
    )
    begin_move(call, instance, _MOVE, wanted)
    return accepted()


ACTIONS: Sequence[Action] = (Action("os-migrateLive", "compute:servers:migrate_live", _migrate_live, MigrateLive),)
