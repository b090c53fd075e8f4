"""The live migration of an instance as a list of named steps: it goes to another host, and goes on running.

The journal's `destination` has, from `dest_check` on, whether its disk goes too (`block`); from `pre` on, what the
source's hypervisor needs to reach the destination's (`hypervisor`); while it goes, whether it runs (`mode`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Protocol

from cloud.db.hosts import COMPUTE_BINARY
from cloud.domain.fixed_ip import FixedIp
from cloud.domain.instance import PowerState, TaskState, VmState
from cloud.domain.migration import MigrationStatus, MigrationType
from cloud.errors import CloudError, ComputeError, InstanceNotFoundError, InstanceStateError
from cloud.logs.emit import logger
from cloud.logs.events import MIGRATION
from cloud.services.conductor.moves.journal import Journal
from cloud.services.conductor.moves.move import INTERRUPTIONS, End, Kind, Move, MoveServices, Scheduler
from cloud.services.conductor.moves.patience import Patience
from cloud.services.conductor.moves.place import Placing
from cloud.services.conductor.moves.sides import TransferCompute
from cloud.services.conductor.moves.transfer import Transferring
from cloud.services.conductor.moves.transfer_progress import described_live
from cloud.services.conductor.procedure import Failure, Step
from cloud.services.conductor.tables import Tables

EVENT = "conductor_live_migrate_instance"
NETWORK_BINARY = "nova-network"

STATUSES: Mapping[str, MigrationStatus] = MappingProxyType(
    {
        "source_check": MigrationStatus.PREPARING,
        "schedule": MigrationStatus.PREPARING,
        "claim": MigrationStatus.PREPARING,
        "dest_check": MigrationStatus.PREPARING,
        "pre": MigrationStatus.PREPARING,
        "transfer": MigrationStatus.RUNNING,
        "post": MigrationStatus.POST_MIGRATING,
        "cleanup": MigrationStatus.POST_MIGRATING,
    }
)
MAX_DESTINATIONS = 5
"""Hosts that are asked whether they can take it, where none was named."""
_NOT_THE_HOSTS = (*INTERRUPTIONS, InstanceStateError, InstanceNotFoundError)
"""Errors for which another destination would be no better."""
_SETTLED = ("post", "cleanup")
"""The destination has it: an abort comes too late."""


class LiveCompute(TransferCompute, Protocol):
    """What a live migration asks of nova-compute on either host. A second time changes nothing."""

    def check_live_source(self, host: str, uuid: str, *, block: bool | None) -> Mapping[str, Any]:
        """What the destination's check needs to know of the source."""

    def check_live_destination(
        self, host: str, uuid: str, *, block: bool | None, disk_over_commit: bool, source: Mapping[str, Any]
    ) -> bool:
        """Whether its disk goes too; None as `block` leaves that to whether both share their storage."""

    def prepare_live_arrival(
        self, host: str, uuid: str, fixed_ips: Sequence[FixedIp], *, block: bool
    ) -> Mapping[str, Any]: ...

    def complete_live_arrival(self, host: str, uuid: str, fixed_ips: Sequence[FixedIp]) -> PowerState: ...


class LiveSteps:
    """What is done at each step, and what is taken back."""

    def __init__(
        self,
        tables: Tables,
        scheduler: Scheduler,
        compute: LiveCompute,
        journal: Journal,
        transferring: Transferring,
    ) -> None:
        self._tables = tables
        self._compute = compute
        self._journal = journal
        placing = self._placing = Placing(tables, scheduler, journal, MIGRATION)
        steps = (
            Step("source_check", self._check_source),
            Step("schedule", self._schedule),
            Step("claim", placing.claim, placing.release, undo_after="transfer"),
            Step("dest_check", self._check_destination),
            Step("pre", self._prepare, self._cancel_arrival, undo_after="transfer"),
            Step("transfer", transferring.run, transferring.undo),
            Step("post", self._hand_over),
            Step("cleanup", self._clear_source),
        )
        procedure = journal.procedure(
            MIGRATION, steps, STATUSES, task_states=(TaskState.MIGRATING,), is_abortable=True, settled=_SETTLED
        )
        self.kind = Kind(
            types=(MigrationType.LIVE,),
            begins=MigrationStatus.ACCEPTED,
            event=EVENT,
            procedure=replace(procedure, describe=described_live),
            statuses=STATUSES,
            end_completed=lambda _move: End(MigrationStatus.COMPLETED),
            end_failed=_end_failed,
            task_states=(TaskState.MIGRATING,),
        )

    def _check_source(self, move: Move) -> None:
        instance = move.instance
        if instance.vm_state not in (VmState.ACTIVE, VmState.PAUSED) or instance.host != move.source:
            raise InstanceStateError(
                f"cannot migrate instance {move.uuid} from host {move.source}: "
                f"its vm_state is {instance.vm_state}, and it is on host {instance.host}"
            )
        self._refuse_down(move, move.source, COMPUTE_BINARY)
        self._compute.check_live_source(move.source, move.uuid, block=move.migration.options.get("block_migration"))

    def _schedule(self, move: Move) -> None:
        ignored = {*move.request.ignored_hosts, move.source}
        move.request = replace(move.request, ignored_hosts=tuple(sorted(ignored)))
        self._placing.schedule(move)

    def _check_destination(self, move: Move) -> None:
        """Of one candidate after the other until one can take it; of no other where a host was asked for."""
        asked = move.migration.options.get("block_migration")
        source = self._compute.check_live_source(move.source, move.uuid, block=asked)
        while True:
            try:
                block = self._is_disk_to_go(move, source)
            except _NOT_THE_HOSTS:
                raise
            except CloudError as exc:
                is_last = len(move.refused) + 1 >= MAX_DESTINATIONS
                if is_last or not self._placing.claim_next(move, exc, step="dest_check"):
                    raise
            else:
                self._journal.note(move, destination={"block": block})
                return

    def _is_disk_to_go(self, move: Move, source: Mapping[str, Any]) -> bool:
        options = move.migration.options
        if move.instance.addresses:
            self._refuse_down(move, move.destination, NETWORK_BINARY)
        return self._compute.check_live_destination(
            move.destination,
            move.uuid,
            block=options.get("block_migration"),
            disk_over_commit=bool(options.get("disk_over_commit")),
            source=source,
        )

    def _prepare(self, move: Move) -> None:
        block = _block(move)
        reach = self._compute.prepare_live_arrival(move.destination, move.uuid, self._fixed_ips(move), block=block)
        self._journal.note(move, destination={"block": block, "hypervisor": dict(reach)})

    def _cancel_arrival(self, move: Move) -> None:
        self._compute.cancel_live_arrival(move.destination, move.uuid)

    def _hand_over(self, move: Move) -> None:
        migration = move.migration
        instance = {"host": move.destination, "node": migration.dest_node}
        self._journal.hand_over(move, instance=instance, releases=move.source)
        try:
            power_state = self._compute.complete_live_arrival(move.destination, move.uuid, self._fixed_ips(move))
            self._journal.change_instance(move, power_state=power_state)
        except (InstanceStateError, InstanceNotFoundError) as exc:
            self._bear(move, exc)

    def _clear_source(self, move: Move) -> None:
        self._compute.clear_departed(move.source, move.uuid, keeps_disk=not _block(move))

    def _bear(self, move: Move, exc: Exception) -> None:
        """That others have changed the instance since it is at its destination; raise what is no such case."""
        found = self._tables.instances.get(move.uuid, deleted=True)
        if found.task_state is TaskState.MIGRATING:
            raise exc
        logger.bind(error=str(exc)).info("instance was changed by others meanwhile")
        move.instance = found

    def _refuse_down(self, move: Move, host: str, binary: str) -> None:
        if not any(service.is_up for service in self._tables.services.all(host=host, binary=binary)):
            raise ComputeError(f"cannot migrate instance {move.uuid}: {binary} on host {host} is down")

    def _fixed_ips(self, move: Move) -> Sequence[FixedIp]:
        return self._tables.fixed_ips.of((move.uuid,)).get(move.uuid, ())


def make_kinds(
    tables: Tables,
    services: MoveServices[LiveCompute],
    journal: Journal,
    patience: Patience,
    now: Callable[[], datetime],
) -> tuple[Kind, ...]:
    """The one that there is."""
    transferring = Transferring(services.compute, journal, patience, now)
    return (LiveSteps(tables, services.scheduler, services.compute, journal, transferring).kind,)


def _block(move: Move) -> bool:
    return bool((move.migration.destination or {})["block"])


def _end_failed(_move: Move, failure: Failure) -> End:
    """Undone, it is what it was. In error where nobody knows where it is, or it has not come to where it should be."""
    if failure.is_ours and not failure.left:
        return End(MigrationStatus.FAILED)
    is_lost = "transfer" in failure.left if failure.is_ours else failure.step != "cleanup"
    if is_lost:
        return End(MigrationStatus.ERROR, {"task_state": None, "vm_state": VmState.ERROR})
    return End(MigrationStatus.ERROR)
