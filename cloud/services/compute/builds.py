"""What nova-conductor's build has this host do: fetch the image, spawn, and destroy where it is undone."""

from collections.abc import Sequence

from cloud.domain.fixed_ip import FixedIp
from cloud.domain.instance import Instance, PowerState, TaskState, VmState
from cloud.errors import (
    ComputeError,
    IdentityUnavailableError,
    ImageUnavailableError,
    InstanceNotFoundError,
    InstanceStateError,
    UnauthorizedError,
)
from cloud.logs.emit import logger
from cloud.services.compute.addresses import addresses_of
from cloud.services.compute.images import ImageCache
from cloud.services.compute.progress import ProgressReport
from cloud.services.compute.records import Networks
from cloud.services.compute.work import Host, alone
from cloud.virt.driver import InstanceMissingError, VirtError

_UNFINISHED = (VmState.BUILDING, VmState.ERROR)


class Builds:
    """Raises what the conductor tells hosts apart by: ComputeError where another one may do better."""

    def __init__(self, host: Host, images: ImageCache, networks: Networks) -> None:
        self._host = host
        self._images = images
        self._networks = networks

    def prepare_image(self, image_id: str) -> None:
        """See to it that the image is here. ImageNotFoundError and its like hold for every host."""
        try:
            self._images.prepare(image_id)
        except (ImageUnavailableError, IdentityUnavailableError, UnauthorizedError) as exc:
            raise ComputeError(f"cannot fetch image {image_id}: {exc}") from exc

    def spawn(self, uuid: str, fixed_ips: Sequence[FixedIp] | None) -> PowerState:
        """Let it run, and say that it does; None as `fixed_ips` has nova-network asked. A second time is no change.

        InstanceStateError or InstanceNotFoundError when nobody wants it here any more; ComputeError otherwise, and
        nothing of it is left.
        """
        with alone(self._host, uuid):
            instance = self._host.records.get_instance(uuid)
            if (
                instance.vm_state is not VmState.BUILDING
                or instance.task_state is not TaskState.SPAWNING  # none: it is being undone, and we come too late
                or instance.host != self._host.name
            ):
                raise InstanceStateError(
                    f"cannot spawn instance {uuid} on {self._host.name}: its vm_state is {instance.vm_state}, "
                    f"its task_state {instance.task_state}, its host {instance.host}"
                )
            try:
                return self._host.driver.power_state(uuid)
            except InstanceMissingError:
                pass
            except VirtError as exc:
                raise ComputeError(str(exc)) from exc
            self._spawn(instance, fixed_ips)
            return self._host.power_state(uuid)

    def destroy(self, uuid: str) -> None:
        """What may have come of a build is gone. InstanceStateError for an instance that was built and is in use."""
        with alone(self._host, uuid):
            try:
                instance = self._host.records.get_instance(uuid)
                is_in_use = instance.host == self._host.name and instance.vm_state not in _UNFINISHED
            except InstanceNotFoundError:
                is_in_use = False
            if is_in_use and instance.task_state is not TaskState.DELETING:
                raise InstanceStateError(f"cannot destroy instance {uuid}: its vm_state is {instance.vm_state}")
            try:
                self._host.driver.destroy(uuid)
            except VirtError as exc:
                raise ComputeError(str(exc)) from exc
            logger.info("instance destroyed")

    def _spawn(self, instance: Instance, fixed_ips: Sequence[FixedIp] | None) -> None:
        if fixed_ips is None:
            fixed_ips = addresses_of(instance, self._host, self._networks)
        with self._images.lease(instance.image_id) as image, ProgressReport(self._host, instance) as progress:
            try:
                self._host.driver.spawn(instance, image, fixed_ips, progress)
            except VirtError as exc:
                raise ComputeError(str(exc)) from exc
        logger.info("instance spawned")
