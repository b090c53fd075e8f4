"""What nova-conductor's live migration has this host do, as its source or as its destination.

Short work only: the transfer itself goes on in the hypervisor, and nova-conductor asks how it stands.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cloud.domain.fixed_ip import FixedIp
from cloud.domain.instance import Instance, PowerState, TaskState
from cloud.errors import ComputeError, InstanceNotFoundError, InstanceStateError
from cloud.logs.emit import logger
from cloud.services.compute.work import Host, alone
from cloud.virt.driver import InstanceMissingError, VirtError
from cloud.virt.moving import LiveMigrating, Transfer


@dataclass(frozen=True, slots=True)
class TransferModes:
    """Whether instances run while they go to another host; otherwise they are paused meanwhile."""

    is_live: bool = False
    is_block_live: bool = False
    """Where their disk goes too."""


class LiveMigrations:
    """Each may be asked for again. InstanceStateError where the instance is not in the state for it, ComputeError for
    what the hypervisor does not do or cannot do.
    """

    def __init__(self, host: Host, modes: TransferModes) -> None:
        self._host = host
        self._modes = modes

    def check_source(self, uuid: str, *, block: bool | None) -> Mapping[str, Any]:
        """What the destination's check needs to know: `storage_id`, and of the `hypervisor`."""
        with alone(self._host, uuid), self._hypervisor() as driver:
            self._instance_here(uuid)
            return {
                "storage_id": driver.storage_id(),
                "hypervisor": dict(driver.check_can_leave(uuid, block=block is True)),
            }

    def check_destination(
        self, uuid: str, *, block: bool | None, disk_over_commit: bool, source: Mapping[str, Any]
    ) -> bool:
        """Whether its disk has to go too; None as `block` leaves that to whether storage is shared."""
        with alone(self._host, uuid), self._hypervisor() as driver:
            instance = self._instance_to_come(uuid)
            is_shared = driver.storage_id() == source["storage_id"]
            if block is is_shared:
                raise ComputeError(
                    f"cannot migrate instance {uuid} to host {self._host.name}: "
                    + (
                        "block migration is not for storage that both hosts share"
                        if is_shared
                        else "without block migration, both hosts have to share their storage"
                    )
                )
            driver.check_can_come(
                instance, block=not is_shared, disk_over_commit=disk_over_commit, source=source["hypervisor"]
            )
            return not is_shared

    def prepare_arrival(self, uuid: str, fixed_ips: Sequence[FixedIp], *, block: bool) -> Mapping[str, Any]:
        """Be ready to receive it; what the source needs to reach us."""
        with alone(self._host, uuid), self._hypervisor() as driver:
            return driver.prepare_arrival(self._instance_to_come(uuid), fixed_ips, block=block)

    def start_transfer(self, uuid: str, destination: Mapping[str, Any], *, block: bool) -> bool:
        """Begin to send it, and return at once; whether it runs meanwhile, as nova.conf says."""
        is_live = self._modes.is_block_live if block else self._modes.is_live
        with alone(self._host, uuid), self._hypervisor() as driver:
            self._instance_here(uuid)
            driver.start_transfer(uuid, destination, block=block, is_live=is_live)
        logger.bind(instance=uuid, mode="live" if is_live else "paused", block=block).info("transfer begun")
        return is_live

    def transfer(self, uuid: str) -> Transfer:
        """How it stands; InstanceStateError when nothing is known of such an instance."""
        with self._hypervisor() as driver:
            try:
                return driver.transfer(uuid)
            except InstanceMissingError as exc:
                raise InstanceStateError(str(exc)) from exc

    def abort_transfer(self, uuid: str) -> None:
        """End it soon, if one runs; the instance goes on here."""
        with alone(self._host, uuid), self._hypervisor() as driver:
            driver.abort_transfer(uuid)
            logger.info("transfer is to be aborted")

    def force_transfer(self, uuid: str) -> None:
        """Pause the instance, so that a transfer comes to its end that would not."""
        with alone(self._host, uuid), self._hypervisor() as driver:
            driver.force_transfer(uuid)
            logger.info("transfer is forced to its end, the instance is paused")

    def complete_arrival(self, uuid: str, fixed_ips: Sequence[FixedIp]) -> PowerState:
        """It is here to stay."""
        with alone(self._host, uuid), self._hypervisor() as driver:
            instance = self._host.records.get_instance(uuid)
            if instance.host != self._host.name:
                raise self._wrong("complete the arrival of", instance)
            power_state = driver.complete_arrival(instance, fixed_ips)
            logger.bind(power_state=power_state.name.lower()).info("instance has arrived")
            return power_state

    def cancel_arrival(self, uuid: str) -> None:
        """Remove what came or was made ready for it; an instance that is here is never removed."""
        with alone(self._host, uuid), self._hypervisor() as driver:
            self._refuse_own(uuid, "cancel the arrival of")
            driver.cancel_arrival(uuid)
            logger.info("arrival cancelled")

    def clear_departed(self, uuid: str, *, keeps_disk: bool) -> None:
        """Remove what is left of one that another host has; `keeps_disk` where that one uses the same storage."""
        with alone(self._host, uuid), self._hypervisor() as driver:
            self._refuse_own(uuid, "clear away")
            driver.clear_departed(uuid, keeps_disk=keeps_disk)
            logger.bind(keeps_disk=keeps_disk).info("departed instance cleared away")

    def guest_state(self, uuid: str) -> PowerState | None:
        """None when the hypervisor has no such instance."""
        try:
            return self._host.driver.power_state(uuid)
        except InstanceMissingError:
            return None
        except VirtError as exc:
            raise ComputeError(str(exc)) from exc

    @contextmanager
    def _hypervisor(self) -> Iterator[LiveMigrating]:
        driver = self._host.driver
        if not isinstance(driver, LiveMigrating):
            raise ComputeError(f"cannot migrate on host {self._host.name}: its hypervisor moves no instance that runs")
        try:
            yield driver
        except VirtError as exc:
            raise ComputeError(str(exc)) from exc

    def _instance_here(self, uuid: str) -> Instance:
        """One that is to leave this host."""
        instance = self._host.records.get_instance(uuid)
        if instance.host != self._host.name or instance.task_state is not TaskState.MIGRATING:
            raise self._wrong("migrate", instance)
        return instance

    def _instance_to_come(self, uuid: str) -> Instance:
        instance = self._host.records.get_instance(uuid)
        if instance.host == self._host.name or instance.task_state is not TaskState.MIGRATING:
            raise self._wrong("receive", instance)
        return instance

    def _refuse_own(self, uuid: str, verb: str) -> None:
        """Of one that is deleted, or to be deleted, nothing is to stay anywhere."""
        try:
            instance = self._host.records.get_instance(uuid)
        except InstanceNotFoundError:
            return
        if instance.host == self._host.name and instance.task_state is not TaskState.DELETING:
            raise self._wrong(verb, instance)

    def _wrong(self, verb: str, instance: Instance) -> InstanceStateError:
        return InstanceStateError(
            f"cannot {verb} instance {instance.uuid} on host {self._host.name}: "
            f"it is on host {instance.host}, its task_state {instance.task_state}"
        )
