"""The destination's part of LiveMigrating, and what every way to another host needs of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from cloud.domain.fixed_ip import FixedIp
from cloud.domain.instance import Instance, PowerState
from cloud.virt.driver import VirtError
from cloud.virt.simulated.host import HostPart, doing


class LiveDestination(HostPart):
    """Sees what came without being told."""

    def storage_id(self) -> str:
        with doing("read id of", "disks", kind="simulated"):
            return self._host.disks.storage_id()

    def check_can_come(
        self,
        instance: Instance,
        *,
        block: bool,
        disk_over_commit: bool,
        source: Mapping[str, Any] | None = None,
    ) -> None:
        host, uuid, flavor = self._host, instance.uuid, instance.flavor
        said = source or {}
        with doing("receive", uuid):
            host.knobs.turn("check_can_come", uuid)
            host.check_absent(uuid)
            machine = host.read_machine()
            cpu_model = host.cpu_info(1)["model"]
            if said.get("cpu_model", cpu_model) != cpu_model:
                raise VirtError(f"its CPU is a {said['cpu_model']}, that of this host a {cpu_model}")
            vcpus = host.size.vcpus or machine.vcpus
            if flavor.vcpus > vcpus:
                raise VirtError(f"it has {flavor.vcpus} processors, this host {vcpus}")
            if not block:
                if host.disks.is_shared and not host.disks.has_shared(uuid):
                    raise VirtError("shared storage has no disk of it")
                return
            host.disks.check_free(uuid)
            disk_bytes = flavor.resources.disk_gb << 30
            if disk_over_commit:
                disk_bytes = said.get("disk_bytes", disk_bytes)
            free_bytes = host.free_disk_gb(machine) << 30
            if disk_bytes > free_bytes:
                raise VirtError(f"its disk takes {disk_bytes} bytes, there are {free_bytes}")

    def prepare_arrival(self, instance: Instance, fixed_ips: Sequence[FixedIp], *, block: bool) -> Mapping[str, Any]:
        host, uuid = self._host, instance.uuid
        with doing("prepare arrival of", uuid):
            host.knobs.turn("prepare_arrival", uuid)
            host.check_absent(uuid)
            if block:
                host.disks.check_free(uuid)
            prepared = host.arrivals.prepare(uuid, fixed_ips, host.settings.guests)
            host.knobs.turn("prepare_arrival.ready", uuid)
            return prepared

    def complete_arrival(self, instance: Instance, fixed_ips: Sequence[FixedIp]) -> PowerState:
        host, uuid = self._host, instance.uuid
        with doing("complete arrival of", uuid):
            host.knobs.turn("complete_arrival", uuid)
            guest = host.guest_now(uuid).moved_to(host.settings.guests, fixed_ips)
            host.guests.keep(guest)
            return host.guests.power_state(guest)

    def cancel_arrival(self, uuid: str) -> None:
        with doing("cancel arrival of", uuid):
            self._host.knobs.turn("cancel_arrival", uuid)
            self._host.arrivals.cancel(uuid)
