"""An instance -> a server as the API shows it, in brief and in detail."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cloud.domain.fixed_ip import FixedIp
from cloud.domain.instance import Instance, InstanceFault
from cloud.domain.system_metadata import description_of, disk_config_of, tags_of
from cloud.services.api.call import Call
from cloud.services.api.server_status import FAULTY, PROGRESSING, status_of
from cloud.services.api.times import moment_or_none
from cloud.services.api.versions import V2_3, V2_9, V2_16, V2_19, V2_26
from cloud.services.api.zones import COMPUTE_BINARY, in_their_zones

_ROOT_DEVICE = "/dev/vda"
_FAULT_HIDES_DETAILS = 500


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is told of servers beyond their own rows, by uuid or by host, and to whom."""

    faults: Mapping[str, InstanceFault]
    addresses: Mapping[str, Sequence[FixedIp]]
    zones: Mapping[str, str]
    host_statuses: Mapping[str, str]
    shows_attributes: bool
    """Whether the caller may see where servers run."""
    shows_host_status: bool


def surroundings_of(call: Call, instances: Sequence[Instance]) -> Surroundings:
    """In at most four statements, however many instances there are."""
    parts = call.parts
    faulty = [instance.uuid for instance in instances if status_of(instance) in FAULTY]
    hosts = [instance for instance in instances if instance.host is not None]
    services = parts.services.all(binary=COMPUTE_BINARY) if hosts else ()
    zoned = in_their_zones(services, parts.aggregates.all()) if services else ()
    return Surroundings(
        faults=parts.instances.faults(faulty) if faulty else {},
        addresses=parts.fixed_ips.of([instance.uuid for instance in hosts]) if hosts else {},
        zones={service.host: service.availability_zone for service in zoned},
        host_statuses={
            service.host: "DOWN" if not service.is_up else "UP" if service.is_enabled else "MAINTENANCE"
            for service in services
        },
        shows_attributes=call.is_allowed("compute:servers:show:extended_attributes"),
        shows_host_status=call.version >= V2_16 and call.is_allowed("compute:servers:show:host_status"),
    )


def brief(call: Call, instance: Instance) -> dict[str, Any]:
    """As lists have it that are not in detail."""
    return {"id": instance.uuid, "name": instance.display_name, "links": call.links("servers", instance.uuid)}


def detailed(call: Call, instance: Instance, surroundings: Surroundings) -> dict[str, Any]:
    """All that the caller may know in the version that is asked."""
    status = status_of(instance)
    zone = surroundings.zones.get(instance.host, "") if instance.host is not None else instance.availability_zone
    view: dict[str, Any] = {
        "id": instance.uuid,
        "name": instance.display_name,
        "status": status,
        "tenant_id": instance.project_id,
        "user_id": instance.user_id,
        "metadata": dict(instance.metadata),
        "hostId": host_id(instance),
        "image": _reference(call, "images", instance.image_id) if instance.image_id else "",
        "flavor": _reference(call, "flavors", instance.flavor.flavorid),
        "created": second(instance.created_at),
        "updated": second(instance.updated_at),
        "addresses": addresses(surroundings.addresses.get(instance.uuid, ())),
        "accessIPv4": instance.access_ip_v4 or "",
        "accessIPv6": instance.access_ip_v6 or "",
        "links": call.links("servers", instance.uuid),
        "key_name": instance.key_name,
        "config_drive": "True" if instance.has_config_drive else "",
        "security_groups": [{"name": "default"}],
        "OS-DCF:diskConfig": disk_config_of(instance),
        "OS-EXT-AZ:availability_zone": zone or "",
        "OS-EXT-STS:task_state": instance.task_state,
        "OS-EXT-STS:vm_state": instance.vm_state,
        "OS-EXT-STS:power_state": instance.power_state.value,
        "OS-SRV-USG:launched_at": moment_or_none(instance.launched_at),
        "OS-SRV-USG:terminated_at": moment_or_none(instance.terminated_at),
        "os-extended-volumes:volumes_attached": [],
    }
    if status in PROGRESSING:
        view["progress"] = instance.progress
    if status in FAULTY and (fault := surroundings.faults.get(instance.uuid)) is not None:
        view["fault"] = _fault(call, fault)
    if surroundings.shows_attributes:
        view |= _for_admins(call, instance)
    if call.version >= V2_9:
        view["locked"] = instance.locked_by is not None
    if surroundings.shows_host_status:
        view["host_status"] = surroundings.host_statuses.get(instance.host, "UNKNOWN") if instance.host else ""
    if call.version >= V2_19:
        view["description"] = description_of(instance)
    if call.version >= V2_26:
        view["tags"] = list(tags_of(instance))
    return view


def created(call: Call, instance: Instance, password: str) -> dict[str, Any]:
    """What whoever makes a server is told of it."""
    return {
        "id": instance.uuid,
        "links": call.links("servers", instance.uuid),
        "OS-DCF:diskConfig": disk_config_of(instance),
        "security_groups": [{"name": "default"}],
        "adminPass": password,
    }


def second(value: datetime) -> str:
    """A time as servers have it: `2014-10-16T12:00:00Z`."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def host_id(instance: Instance) -> str:
    """Tells a project whether two of its servers share a host, and nothing else of the host."""
    if instance.host is None:
        return ""
    return hashlib.sha224((instance.project_id + instance.host).encode()).hexdigest()


def instance_name(instance: Instance) -> str:
    """What the hypervisor calls it."""
    return f"instance-{instance.id:08x}"


def addresses(fixed_ips: Sequence[FixedIp]) -> dict[str, list[dict[str, Any]]]:
    """By network."""
    shown: dict[str, list[dict[str, Any]]] = {}
    for fixed_ip in fixed_ips:
        shown.setdefault(fixed_ip.network, []).append(
            {
                "version": 4,
                "addr": fixed_ip.address,
                "OS-EXT-IPS:type": "fixed",
                "OS-EXT-IPS-MAC:mac_addr": fixed_ip.mac,
            }
        )
    return shown


def _for_admins(call: Call, instance: Instance) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "OS-EXT-SRV-ATTR:host": instance.host,
        "OS-EXT-SRV-ATTR:hypervisor_hostname": instance.node,
        "OS-EXT-SRV-ATTR:instance_name": instance_name(instance),
    }
    if call.version >= V2_3:
        shown |= {
            "OS-EXT-SRV-ATTR:reservation_id": instance.reservation_id,
            "OS-EXT-SRV-ATTR:launch_index": instance.launch_index,
            "OS-EXT-SRV-ATTR:hostname": instance.hostname,
            "OS-EXT-SRV-ATTR:kernel_id": "",
            "OS-EXT-SRV-ATTR:ramdisk_id": "",
            "OS-EXT-SRV-ATTR:root_device_name": _ROOT_DEVICE,
            "OS-EXT-SRV-ATTR:user_data": instance.user_data,
        }
    return shown


def _reference(call: Call, kind: str, identity: str) -> dict[str, Any]:
    return {"id": identity, "links": [{"rel": "bookmark", "href": call.bookmark(kind, identity)}]}


def _fault(call: Call, fault: InstanceFault) -> dict[str, Any]:
    shown: dict[str, Any] = {"code": fault.code, "created": second(fault.created_at), "message": fault.message}
    if fault.details and (call.caller.is_admin or fault.code != _FAULT_HIDES_DETAILS):
        shown["details"] = fault.details
    return shown
