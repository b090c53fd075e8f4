"""The source's part of LiveMigrating."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from cloud.virt.driver import InstanceMissingError, VirtError
from cloud.virt.moving import Transfer, TransferPhase
from cloud.virt.simulated.arrivals import Destination
from cloud.virt.simulated.host import HostPart, SimulatedHost, doing
from cloud.virt.simulated.transfers import RunningTransfer


class LiveSource(HostPart):
    """Transfers are threads of this process and end with it: the guest then goes on where it is."""

    def __init__(self, host: SimulatedHost) -> None:
        super().__init__(host)
        self._transfers: dict[str, RunningTransfer] = {}
        """The last one of each guest; with the lock of the guests."""

    def check_can_leave(self, uuid: str, *, block: bool) -> Mapping[str, Any]:
        host = self._host
        with doing("let go", uuid):
            host.knobs.turn("check_can_leave", uuid)
            guest = host.guest_now(uuid)
            if guest.is_off:
                raise VirtError("it does not run")
            host.disks.check_owned(uuid)
            return {
                "cpu_model": host.cpu_info(1)["model"],
                "disk_bytes": guest.content.data_bytes if block else 0,
                "storage_id": host.disks.storage_id(),
            }

    def start_transfer(self, uuid: str, destination: Mapping[str, Any], *, block: bool, is_live: bool) -> None:
        host = self._host
        with doing("start transfer of", uuid):
            host.knobs.turn("start_transfer", uuid)
            with host.guests.lock:
                self._start(uuid, destination, block=block, is_live=is_live)

    def transfer(self, uuid: str) -> Transfer:
        with doing("look at transfer of", uuid):
            self._host.knobs.turn("transfer", uuid)
            return self._transfer_now(uuid)

    def abort_transfer(self, uuid: str) -> None:
        with doing("abort transfer of", uuid):
            self._host.knobs.turn("abort_transfer", uuid)
            with suppress(KeyError):
                self._transfers[uuid].abort()

    def force_transfer(self, uuid: str) -> None:
        with doing("force transfer of", uuid):
            self._host.knobs.turn("force_transfer", uuid)
            with suppress(KeyError):
                self._transfers[uuid].force()

    def clear_departed(self, uuid: str, *, keeps_disk: bool) -> None:
        """A disk on shared storage that another host has taken over stays in any case."""
        host = self._host
        with doing("clear away", uuid):
            host.knobs.turn("clear_departed", uuid)
            self._check_runs_not(uuid)
            host.clear_departed(uuid)
            host.knobs.turn("clear_departed.disk", uuid)
            half = host.guests.new_half()
            with host.guests.lock:
                self._transfers.pop(uuid, None)
                self._check_runs_not(uuid)
                if host.guests.has(uuid):
                    host.guests.send(uuid, half)
                if not keeps_disk and not host.aside(uuid).exists():
                    host.disks.remove(uuid)
            host.disks.discard(half)

    def _check_runs_not(self, uuid: str) -> None:
        with suppress(InstanceMissingError):
            if not self._host.guest_now(uuid).is_off:
                raise VirtError("it runs here")

    def _transfer_now(self, uuid: str) -> Transfer:
        """`transfer`, without a knob."""
        host = self._host
        with host.guests.lock:
            host.arrivals.take_in(uuid)
            is_here, running = host.guests.has(uuid), self._transfers.get(uuid)
            if running is not None and not (is_here and running.now().phase is TransferPhase.COMPLETED):
                return running.now()
            if is_here:  # and came back since, if it had gone
                return Transfer(TransferPhase.NONE)
            if host.departed(uuid).exists():  # while another process looked after it
                return Transfer(TransferPhase.COMPLETED, progress=100)
            raise InstanceMissingError("it is not there")

    def _start(self, uuid: str, destination: Mapping[str, Any], *, block: bool, is_live: bool) -> None:
        host = self._host
        if self._transfer_now(uuid).phase in (TransferPhase.RUNNING, TransferPhase.COMPLETED):
            return
        guest = host.guest_now(uuid)
        if guest.is_off:
            raise VirtError("it does not run")
        found = Destination.find(destination)
        is_same_storage = found.storage_id == host.disks.storage_id()
        if not block and not is_same_storage:
            raise VirtError("Unsafe migration: Migration without shared storage is unsafe")  # libvirt's words
        if block and is_same_storage:
            raise VirtError("its destination has the same storage, there is nothing to copy")
        host.clear_departed(uuid)
        disk_bytes = guest.content.data_bytes if block else 0
        transfer = RunningTransfer(host, uuid, found, disk_bytes=disk_bytes, is_live=is_live)
        transfer.start()
        self._transfers[uuid] = transfer
