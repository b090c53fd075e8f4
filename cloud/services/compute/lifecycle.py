"""What users ask of an instance that is built: reboot, stop, start, rebuild, delete."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from cloud.domain.instance import Instance, PowerState, TaskState, VmState
from cloud.errors import CloudError, ComputeError, InstanceNotFoundError, InstanceStateError
from cloud.services.compute.addresses import addresses_of
from cloud.services.compute.images import ImageCache
from cloud.services.compute.manual_recovery import ManualRecovery
from cloud.services.compute.progress import ProgressReport
from cloud.services.compute.records import Networks
from cloud.services.compute.work import Host, Job, alone, carry_out, do, say_deleted, wanted
from cloud.virt.driver import VirtError
from cloud.virt.moving import ColdMigrating


def _in_error(_power_state: PowerState) -> VmState:
    return VmState.ERROR


def _active_if_it_runs(power_state: PowerState) -> VmState:
    return VmState.ACTIVE if power_state is PowerState.RUNNING else VmState.ERROR


REBOOT = Job(
    "reboot_instance",
    (TaskState.REBOOTING, TaskState.REBOOTING_HARD),
    done="instance rebooted",
    failed="cannot reboot instance",
    event="reboot",
    state_after_failure=_active_if_it_runs,
)
STOP = Job(
    "stop_instance",
    (TaskState.POWERING_OFF,),
    done="instance stopped",
    failed="cannot stop instance",
    event="stop",
)
START = Job(
    "start_instance",
    (TaskState.POWERING_ON,),
    done="instance started",
    failed="cannot start instance",
    event="start",
)
REBUILD = Job(
    "rebuild_instance",
    (TaskState.REBUILDING,),
    done="instance rebuilt",
    failed="cannot rebuild instance",
    state_after_failure=_in_error,
)
DELETE = Job(
    "terminate_instance",  # nova's name for it, which users see
    (TaskState.DELETING,),
    done="instance deleted",
    failed="cannot delete instance",
    event="delete",
    state_after_failure=_in_error,
)


class Lifecycle:
    """Each request may come twice: one that finds the instance without its task_state is let go."""

    def __init__(
        self,
        host: Host,
        images: ImageCache,
        networks: Networks,
        manual_recovery: ManualRecovery,
        now: Callable[[], datetime],
    ) -> None:
        self._host = host
        self._images = images
        self._networks = networks
        self._manual_recovery = manual_recovery
        self._now = now

    def reboot(self, uuid: str, *, hard: bool) -> None:
        """It is active afterwards; also when that failed and it runs all the same, else in error.

        `hard` also where the hypervisor has no such guest, as long as it has its disk.
        """

        def work(instance: Instance) -> None:
            if hard:
                self._manual_recovery.have_guest_here(instance)
            self._host.driver.reboot(uuid, hard=hard)
            self._settle(instance, REBOOT, VmState.ACTIVE)

        carry_out(self._host, REBOOT, uuid, work)

    def stop(self, uuid: str) -> None:
        """It is stopped afterwards; when that failed, it is what it was."""

        def work(instance: Instance) -> None:
            self._host.driver.power_off(uuid)
            self._settle(instance, STOP, VmState.STOPPED)

        carry_out(self._host, STOP, uuid, work)

    def start(self, uuid: str) -> None:
        """It is active afterwards; when that failed, it is what it was."""

        def work(instance: Instance) -> None:
            self._host.driver.power_on(uuid)
            self._settle(instance, START, VmState.ACTIVE)

        carry_out(self._host, START, uuid, work)

    def rebuild(self, uuid: str, image_id: str | None) -> None:
        """A new one in its place, with the same addresses, made from `image_id`; stopped, if it was."""
        if image_id is not None:
            with suppress(CloudError):  # which comes again below
                self._images.prepare(image_id)  # before it is held: it may take long, and who deletes it need not wait
        carry_out(self._host, REBUILD, uuid, lambda instance: self._rebuild(instance, image_id))

    def delete(self, uuid: str) -> None:
        """It is gone, here and in the database, whatever state it was in; in error when that failed."""
        with alone(self._host, uuid):
            try:
                instance = wanted(self._host, DELETE, uuid)
            except InstanceNotFoundError:
                self._clear_away(uuid)
                return
            if instance is not None:
                do(self._host, DELETE, instance, self._delete)

    def _rebuild(self, instance: Instance, image_id: str | None) -> None:
        (found,) = self._host.records.whereabouts([instance.uuid])
        if found.is_moving:  # an evacuation has the same task_state, and the request comes too late
            raise InstanceStateError(f"cannot rebuild instance {instance.uuid}: it is being moved")
        self._manual_recovery.have_claim_here(instance)
        driver = self._host.driver
        was_stopped = instance.vm_state is VmState.STOPPED
        with self._images.lease(image_id) as image, ProgressReport(self._host, instance) as progress:
            fixed_ips = addresses_of(instance, self._host, self._networks)
            driver.destroy(instance.uuid)
            driver.spawn(replace(instance, image_id=image_id), image, fixed_ips, progress)
            if was_stopped:
                driver.power_off(instance.uuid)
        vm_state = VmState.STOPPED if was_stopped else VmState.ACTIVE
        self._settle(instance, REBUILD, vm_state, launched_at=self._now(), progress=0)

    def _delete(self, instance: Instance) -> None:
        self._remove(instance.uuid)
        self._host.records.instance_deleted(instance.uuid)

    def _clear_away(self, uuid: str) -> None:
        """What may be left of an instance that the database has not any more."""
        try:
            self._remove(uuid)
        except VirtError as exc:
            raise ComputeError(str(exc)) from exc
        say_deleted(DELETE)

    def _remove(self, uuid: str) -> None:
        """With what a move may have set aside here."""
        driver = self._host.driver
        driver.destroy(uuid)
        if isinstance(driver, ColdMigrating):
            driver.drop_aside(uuid, keeps_disk=False)

    def _settle(self, instance: Instance, job: Job, vm_state: VmState, **changes: object) -> None:
        states = {"vm_state": vm_state, "task_state": None, "power_state": self._host.power_state(instance.uuid)}
        self._host.records.update_instance(instance.uuid, states | changes, job.expected)
