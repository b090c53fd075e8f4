"""What nova-conductor's evacuation has this host do: tell whether it sees the disk, and let the instance run here."""

from collections.abc import Sequence

from cloud.domain.fixed_ip import FixedIp
from cloud.domain.instance import Instance, PowerState, TaskState
from cloud.errors import ComputeError, InstanceStateError
from cloud.logs.emit import logger
from cloud.services.compute.images import ImageCache
from cloud.services.compute.progress import ProgressReport
from cloud.services.compute.work import Host, alone
from cloud.virt.driver import InstanceMissingError, VirtError
from cloud.virt.moving import ColdMigrating, Regenerating


class Evacuations:
    """Raises ComputeError for what the hypervisor does not do, and InstanceStateError where nobody wants it here."""

    def __init__(self, host: Host, images: ImageCache) -> None:
        self._host = host
        self._images = images

    def sees_disk(self, uuid: str) -> bool:
        """Whether the instance, which is to come here, has a disk that this host sees.

        ComputeError when there is a guest of it here already, or one that is set aside: nobody knows which of the two
        the instance is.
        """
        with alone(self._host, uuid):
            driver = self._host.driver
            try:
                power_state = driver.power_state(uuid)
            except InstanceMissingError:
                pass
            except VirtError as exc:
                raise ComputeError(str(exc)) from exc
            else:
                raise ComputeError(
                    f"cannot evacuate instance {uuid} to host {self._host.name}: there is a guest of it, "
                    f"and its power state is {power_state.name}"
                )
            try:
                is_aside = isinstance(driver, ColdMigrating) and driver.is_set_aside(uuid)
                has_disk = isinstance(driver, Regenerating) and driver.has_disk(uuid)
            except VirtError as exc:
                raise ComputeError(str(exc)) from exc
            if is_aside:
                raise ComputeError(
                    f"cannot evacuate instance {uuid} to host {self._host.name}: a resize has set it aside there"
                )
            return has_disk

    def evacuate_here(
        self, uuid: str, fixed_ips: Sequence[FixedIp], *, shares_disk: bool, is_running: bool
    ) -> PowerState:
        """It is here, with the disk that is there, or a new one from its image; running or off. May be repeated.

        InstanceNotFoundError when it is deleted.
        """
        with alone(self._host, uuid):
            instance = self._host.records.get_instance(uuid)
            if instance.host != self._host.name or instance.task_state is not TaskState.REBUILDING:
                raise InstanceStateError(
                    f"cannot evacuate instance {uuid} to {self._host.name}: its task_state is {instance.task_state}, "
                    f"its host {instance.host}"
                )
            try:
                if not self._is_there(uuid):
                    self._make(instance, fixed_ips, shares_disk=shares_disk)
                if is_running:
                    self._host.driver.power_on(uuid)
                else:
                    self._host.driver.power_off(uuid)
            except VirtError as exc:
                raise ComputeError(str(exc)) from exc
            logger.bind(shares_disk=shares_disk, is_running=is_running).info("instance evacuated to this host")
            return self._host.power_state(uuid)

    def _is_there(self, uuid: str) -> bool:
        """Whoever asked before may not have lived to hear of it."""
        try:
            self._host.driver.power_state(uuid)
        except InstanceMissingError:
            return False
        return True

    def _make(self, instance: Instance, fixed_ips: Sequence[FixedIp], *, shares_disk: bool) -> None:
        driver = self._host.driver
        if not shares_disk:
            with self._images.lease(instance.image_id) as image, ProgressReport(self._host, instance) as progress:
                driver.spawn(instance, image, fixed_ips, progress)
        elif isinstance(driver, Regenerating):
            driver.define_again(instance, fixed_ips, {})
        else:
            raise ComputeError(f"cannot evacuate instance {instance.uuid}: the hypervisor takes no disk that is there")
