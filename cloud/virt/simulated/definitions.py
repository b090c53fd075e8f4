"""Regenerating: guests made anew of what is known of them and their disk on shared storage."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cloud.domain.fixed_ip import FixedIp
from cloud.domain.instance import Instance
from cloud.virt.driver import VirtError
from cloud.virt.simulated.guest import Change, Guest, Settings, Turn
from cloud.virt.simulated.host import HostPart, doing


class Definitions(HostPart):
    """What is not shared storage's has no definition but its own directory."""

    def has_disk(self, uuid: str) -> bool:
        with doing("look for the disk of", uuid):
            return self._host.disks.has_shared(uuid)

    def define_again(self, instance: Instance, fixed_ips: Sequence[FixedIp], settings: Mapping[str, str]) -> None:
        host, uuid = self._host, instance.uuid
        with doing("define", uuid):
            host.knobs.turn("define_again", uuid)
            chosen = _chosen(host.settings.guests, settings)
            host.arrivals.take_in(uuid)
            if host.guests.has(uuid):
                place = host.guests.place(uuid)
                if host.disks.is_shared:
                    host.disks.own(place, uuid)
                size_bytes = host.disks.file(place, uuid).stat().st_size
                guest = host.guest_now(uuid).moved_to(chosen, fixed_ips).resized(instance, size_bytes)
                host.guests.keep(guest)
                return
            if not host.disks.has_shared(uuid):
                raise VirtError("shared storage has no disk of it")
            host.check_absent(uuid)
            half = host.guests.new_half()
            half.mkdir(parents=True, mode=0o700)
            try:
                host.knobs.turn("define_again.disk", uuid)
                content = host.disks.settle(half, uuid)
                turn = Turn(host.now(), Change.DEFINED)
                host.guests.bring(half, Guest.made(instance, fixed_ips, content, chosen, turn))
            except BaseException:
                host.disks.discard(half)
                raise

    def definition(self, uuid: str) -> Mapping[str, Any]:
        host = self._host
        with doing("look at", uuid):
            guest = host.guest_now(uuid)
            return {
                "uuid": uuid,
                "name": guest.name,
                "memory_mb": guest.size.memory_mb,
                "vcpus": guest.size.vcpus,
                "disk_gb": guest.size.disk_gb,
                "disk": str(host.disks.file(host.guests.place(uuid), uuid)),
                "interfaces": [fixed_ip.as_dict() for fixed_ip in guest.fixed_ips],
                "dhcp_server": guest.dhcp_server,
                "vnc_address": guest.vnc_address,
            }


def _chosen(own: Settings, said: Mapping[str, str]) -> Settings:
    """VirtError for a setting that there is not."""
    try:
        return replace(own, **said)
    except TypeError as exc:
        raise VirtError(f"cannot use settings {dict(said)}: {exc}") from exc
