"""Copies that this host keeps of instances that are not its own: listed, made of guests that are nobody's, removed."""

from collections.abc import Sequence

from cloud.domain.whereabouts import Whereabouts
from cloud.errors import ComputeError, InstanceStateError
from cloud.logs.emit import logger
from cloud.logs.events import INSTANCE
from cloud.services.compute.work import Host, alone
from cloud.virt.driver import InstanceMissingError, VirtError
from cloud.virt.keeping import Keeping, KeptCopy


class Copies:
    """ComputeError for what the hypervisor does not do; InstanceStateError for what is this host's own, or moving."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def all(self) -> Sequence[KeptCopy]:
        """None at all where the hypervisor keeps none."""
        driver = self._host.driver
        if not isinstance(driver, Keeping):
            return ()
        try:
            return driver.kept_copies()
        except VirtError as exc:
            raise ComputeError(str(exc)) from exc

    def keep(self, uuid: str) -> None:
        """Power off a guest that is nobody's, or another host's, and keep it as a copy; no error when there is none."""
        with alone(self._host, uuid):
            found = self._whereabouts(uuid)
            if found.is_moving or (found.host == self._host.name and not found.is_deleted):
                raise self._wrong("keep a copy of", found)
            driver = self._driver()
            try:
                self._host.driver.power_off(uuid)
                name = driver.keep(uuid)
            except InstanceMissingError:
                return
            except VirtError as exc:
                raise ComputeError(str(exc)) from exc
            if name is not None:
                logger.bind(event=INSTANCE.event("keep"), copy=name).warning(
                    "guest that is not this host's is powered off, and kept: cloud doctor lists it"
                )

    def remove(self, uuid: str, name: str, *, keeps_disk: bool) -> None:
        """`keeps_disk` as of Keeping.remove_kept."""
        with alone(self._host, uuid):
            found = self._whereabouts(uuid)
            is_for_revert = name == uuid
            if found.is_moving or (is_for_revert and found.host == self._host.name and not found.is_deleted):
                raise self._wrong("remove a copy of", found)
            try:
                self._driver().remove_kept(uuid, name, keeps_disk=keeps_disk)
            except VirtError as exc:
                raise ComputeError(str(exc)) from exc
            logger.bind(copy=name, keeps_disk=keeps_disk).info("kept copy removed")

    def _whereabouts(self, uuid: str) -> Whereabouts:
        (found,) = self._host.records.whereabouts([uuid])
        return found

    def _driver(self) -> Keeping:
        driver = self._host.driver
        if not isinstance(driver, Keeping):
            raise ComputeError(f"cannot keep copies on {self._host.name}: its hypervisor does not do that")
        return driver

    def _wrong(self, verb: str, found: Whereabouts) -> InstanceStateError:
        return InstanceStateError(
            f"cannot {verb} instance {found.uuid} on {self._host.name}: it is on host {found.host}"
            f"{', and it is being moved' if found.is_moving else ''}"
        )
