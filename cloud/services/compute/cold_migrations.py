"""What nova-conductor's cold migrations and resizes have this host do, as the source or as the destination.

The instance's row says which of the two has it: the source before the hand-over, the destination behind it; where a
resize is reverted, the other way round.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from cloud.domain.fixed_ip import FixedIp
from cloud.domain.flavor import Flavor
from cloud.domain.instance import Instance, PowerState, TaskState, VmState
from cloud.errors import BadRequestError, ComputeError, InstanceNotFoundError, InstanceStateError
from cloud.logs.emit import logger
from cloud.services.compute.disk_sending import DiskSending
from cloud.services.compute.work import Host, alone
from cloud.virt.driver import InstanceMissingError, Progress, VirtError
from cloud.virt.moving import ColdMigrating, Transfer

STOP_SENDING_S = 60.0

_LEFT_TO_OTHERS = (TaskState.RESIZE_CONFIRMING, TaskState.RESIZE_REVERTING)
"""While these last, a host that does not have the instance may be told to remove what it has of it."""


_REVERTED = (VmState.RESIZED, VmState.ERROR)
"""What an instance is whose resize is reverted: it waits, or has not been started by its new host."""


class ColdMigrations:
    """Each request may come twice. InstanceStateError or InstanceNotFoundError where it does not hold any more, and
    ComputeError for what the hypervisor does not do.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._sending = DiskSending(self._send, stop_wait_s=STOP_SENDING_S)

    # Of a move. The task_state is resize_prep, then resize_migrating, and behind the hand-over resize_finish.

    def prepare_disk(self, uuid: str, flavor: Flavor) -> Mapping[str, Any]:
        """Destination: be ready for its disk. `storage_id` of this host, and `target`, for the source's `send_disk`."""
        with self._working(uuid) as (instance, driver):
            self._check("prepare disk of", instance, is_here=False, task_state=TaskState.RESIZE_PREP)
            target = driver.prepare_disk(replace(instance, flavor=flavor))
            return {"storage_id": driver.storage_id(), "target": target}

    def power_off_for_resize(self, uuid: str, flavor: Flavor) -> str:
        """Source: it is off; the `storage_id` of this host. BadRequestError for a flavor with a smaller disk."""
        with self._working(uuid) as (instance, driver):
            self._check("power off", instance, is_here=True, task_state=TaskState.RESIZE_PREP)
            _refuse_smaller_disk(instance, flavor)
            self._host.driver.power_off(uuid)
            logger.info("instance powered off, to be moved or resized")
            return driver.storage_id()

    def send_disk(self, uuid: str, target: Mapping[str, Any]) -> None:
        """Source: begin to send its disk, and return at once; `disk_transfer` tells the rest.

        While it is sent there already that is no change.
        """
        with self._working(uuid) as (instance, _):
            self._check("send disk of", instance, is_here=True, task_state=TaskState.RESIZE_MIGRATING)
            self._sending.start(uuid, target)

    def disk_transfer(self, uuid: str) -> Transfer:
        """Source: as it stands; NONE where this process has not begun it."""
        return self._sending.transfer(uuid)

    def adopt(self, uuid: str, flavor: Flavor, fixed_ips: Sequence[FixedIp]) -> None:
        """Destination: it is here, off, as large as `flavor` says, of the disk that came or that both hosts share."""
        with self._working(uuid) as (instance, driver):
            self._check("adopt", instance, is_here=False, task_state=TaskState.RESIZE_MIGRATING)
            driver.adopt(replace(instance, flavor=flavor), fixed_ips, is_running=False)
            logger.info("instance has come to this host, and is off")

    def resize_here(self, uuid: str, flavor: Flavor) -> None:
        """Where the host stays the same: it is off, and as large as `flavor` says. Also back to what it was."""
        with self._working(uuid) as (instance, driver):
            back = TaskState.RESIZE_REVERTING
            task_state = back if instance.task_state is back else TaskState.RESIZE_MIGRATING
            self._check("resize", instance, is_here=True, task_state=task_state)
            self._host.driver.power_off(uuid)
            driver.resize(replace(instance, flavor=flavor))
            logger.bind(flavor=flavor.name).info("instance resized")

    def set_aside(self, uuid: str) -> None:
        """It is off, and nothing starts it until `take_back`.

        At the source before the hand-over; where a resize is reverted, at either. The destination may have lost it.
        """
        with self._working(uuid) as (instance, driver):
            is_here = instance.host == self._host.name
            is_reverted = instance.vm_state in _REVERTED
            if is_reverted:
                self._check("set aside", instance, is_here=is_here, task_state=TaskState.RESIZE_REVERTING)
            else:
                self._check("set aside", instance, is_here=True, task_state=TaskState.RESIZE_MIGRATING)
            with suppress(InstanceMissingError):  # it is set aside already, or the next line says that it is missing
                self._host.driver.power_off(uuid)
            try:
                driver.set_aside(uuid)
            except InstanceMissingError as exc:
                if not (is_reverted and is_here):
                    raise
                logger.bind(error=str(exc)).warning("nothing is here of an instance that goes back to its old host")
            else:
                logger.info("instance set aside")

    def start_resized(self, uuid: str, *, is_running: bool) -> PowerState:
        """Who has it behind the hand-over: it runs, or is off."""
        with self._working(uuid) as (instance, _):
            self._check("start", instance, is_here=True, task_state=TaskState.RESIZE_FINISH)
            return self._started(uuid, is_running=is_running)

    # Of what takes it back. The task_state is resize_reverting, also where a move is undone.

    def take_back(self, uuid: str, *, is_running: bool) -> PowerState:
        """Undo `set_aside` and what came before it. Only who has the instance lets it run."""
        with self._working(uuid) as (instance, driver):
            is_here = True if is_running else instance.host == self._host.name
            self._check("take back", instance, is_here=is_here, task_state=TaskState.RESIZE_REVERTING)
            self._sending.stop(uuid)
            driver.take_back(uuid)
            logger.info("instance taken back")
            return self._started(uuid, is_running=is_running)

    def drop_aside(self, uuid: str, *, keeps_disk: bool) -> None:
        """Nothing is left here of an instance that another host has, or that is deleted; one that runs is an error.

        `keeps_disk` where that host uses the same storage.
        """
        with alone(self._host, uuid), self._speaking_of_failures():
            driver = self._driver()
            try:
                instance = self._host.records.get_instance(uuid)
            except InstanceNotFoundError:
                is_here = False
            else:
                is_here = instance.host == self._host.name
                is_left = not is_here and instance.task_state in _LEFT_TO_OTHERS
                if not is_left and instance.task_state is not TaskState.DELETING:
                    raise self._wrong("remove", instance)
            self._sending.stop(uuid)
            driver.drop_aside(uuid, keeps_disk=keeps_disk)
            if not is_here:  # else its deletion removes it
                driver.clear_departed(uuid, keeps_disk=keeps_disk)
                driver.cancel_arrival(uuid)
            logger.bind(keeps_disk=keeps_disk).info("nothing is left here of an instance that another host has")

    @contextmanager
    def _working(self, uuid: str) -> Iterator[tuple[Instance, ColdMigrating]]:
        """The instance as it is now, of which nobody else does anything."""
        with alone(self._host, uuid), self._speaking_of_failures():
            yield self._host.records.get_instance(uuid), self._driver()

    @contextmanager
    def _speaking_of_failures(self) -> Iterator[None]:
        try:
            yield
        except VirtError as exc:
            raise ComputeError(str(exc)) from exc

    def _check(self, verb: str, instance: Instance, *, is_here: bool, task_state: TaskState) -> None:
        if (instance.host == self._host.name) is not is_here or instance.task_state is not task_state:
            raise self._wrong(verb, instance)

    def _wrong(self, verb: str, instance: Instance) -> InstanceStateError:
        return InstanceStateError(
            f"cannot {verb} instance {instance.uuid} on {self._host.name}: its vm_state is {instance.vm_state}, "
            f"its task_state {instance.task_state}, its host {instance.host}"
        )

    def _started(self, uuid: str, *, is_running: bool) -> PowerState:
        if is_running:
            self._host.driver.power_on(uuid)
            logger.info("instance started")
        return self._host.driver.power_state(uuid)

    def _driver(self) -> ColdMigrating:
        driver = self._host.driver
        if not isinstance(driver, ColdMigrating):
            raise ComputeError(f"cannot move instances of {self._host.name}: its hypervisor does not do that")
        return driver

    def _send(self, uuid: str, target: Mapping[str, Any], progress: Progress) -> None:
        self._driver().send_disk(uuid, target, progress)


def _refuse_smaller_disk(instance: Instance, flavor: Flavor) -> None:
    """Whatever the API has let pass: what a disk holds would be cut off."""
    old = instance.flavor
    if flavor.root_gb < old.root_gb or flavor.ephemeral_gb < old.ephemeral_gb:
        raise BadRequestError(
            f"cannot resize instance {instance.uuid}: its disks have {old.root_gb} and {old.ephemeral_gb} GiB, "
            f"those of flavor {flavor.flavorid} {flavor.root_gb} and {flavor.ephemeral_gb}"
        )
