"""os-hypervisors: the compute hosts as their hypervisors see them, and how much of them is claimed."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse

from cloud.db.instance_query import InstanceQuery
from cloud.domain.host import ComputeNode
from cloud.domain.instance import TaskState
from cloud.domain.service import Service
from cloud.errors import BadRequestError, HostNotFoundError
from cloud.services.api.call import Call, TheCall
from cloud.services.api.server_view import instance_name
from cloud.services.api.versions import V2_28, Version
from cloud.services.api.zones import COMPUTE_BINARY

router = APIRouter()


@router.get("/os-hypervisors")
def list_hypervisors(call: TheCall) -> JSONResponse:
    call.require("compute:hypervisors:list")
    return _list_answer(call, call.parts.hosts.all())


@router.get("/os-hypervisors/detail")
def list_hypervisors_in_detail(call: TheCall) -> JSONResponse:
    call.require("compute:hypervisors:list")
    services, workloads = _services(call), _workloads(call)
    shown = [
        _detailed(node, services.get(node.host), workloads[node.host], call.version) for node in call.parts.hosts.all()
    ]
    return JSONResponse({"hypervisors": shown})


@router.get("/os-hypervisors/statistics")
def show_statistics(call: TheCall) -> JSONResponse:
    """Sums over all hosts."""
    call.require("compute:hypervisors:statistics")
    nodes, workloads = call.parts.hosts.all(), _workloads(call)
    amounts = [_amounts(node, workloads[node.host]) for node in nodes]
    sums = {name: sum(amount[name] for amount in amounts) for name in _AMOUNTS}
    return JSONResponse({"hypervisor_statistics": {"count": len(nodes), **sums}})


@router.get("/os-hypervisors/{hypervisor_id}")
def show_hypervisor(call: TheCall, hypervisor_id: str) -> JSONResponse:
    call.require("compute:hypervisors:show")
    node = _found(call, hypervisor_id)
    service, workload = _services(call).get(node.host), _workloads(call)[node.host]
    return JSONResponse({"hypervisor": _detailed(node, service, workload, call.version)})


@router.get("/os-hypervisors/{hypervisor_id}/uptime")
def show_uptime(call: TheCall, hypervisor_id: str) -> JSONResponse:
    """What the host itself says; BadRequestError when it cannot be asked."""
    call.require("compute:hypervisors:uptime")
    node = _found(call, hypervisor_id)
    service = _services(call).get(node.host)
    if service is None or not service.is_up:
        raise BadRequestError(f"cannot ask host {node.host} for its uptime: its nova-compute is down")
    uptime = call.parts.compute.host_uptime(node.host)
    return JSONResponse({"hypervisor": _brief(node, service) | {"uptime": uptime}})


@router.get("/os-hypervisors/{pattern}/search")
def search_hypervisors(call: TheCall, pattern: str) -> JSONResponse:
    """Those that have `pattern` somewhere in their names."""
    call.require("compute:hypervisors:list")
    return _list_answer(call, _matching(call, pattern))


@router.get("/os-hypervisors/{pattern}/servers")
def list_servers_of_hypervisors(call: TheCall, pattern: str) -> JSONResponse:
    """The same, with the servers of each; one without any has no such key."""
    call.require("compute:hypervisors:servers")
    services = _services(call)
    shown = []
    for node in _matching(call, pattern):
        servers = [
            {"name": instance_name(instance), "uuid": instance.uuid}
            for instance in call.parts.instances.on_host(node.host)
        ]
        shown.append(_brief(node, services.get(node.host)) | ({"servers": servers} if servers else {}))
    return JSONResponse({"hypervisors": shown})


def _found(call: Call, hypervisor_id: str) -> ComputeNode:
    for node in call.parts.hosts.all():
        if str(node.id) == hypervisor_id:
            return node
    raise HostNotFoundError(f"cannot find hypervisor {hypervisor_id}")


def _matching(call: Call, pattern: str) -> Sequence[ComputeNode]:
    found = [node for node in call.parts.hosts.all() if pattern.lower() in node.node.lower()]
    if not found:
        raise HostNotFoundError(f"cannot find a hypervisor whose name has {pattern} in it")
    return found


def _services(call: Call) -> Mapping[str, Service]:
    """By host; one that reports its resources may have been deleted from the services meanwhile."""
    return {service.host: service for service in call.parts.services.all(binary=COMPUTE_BINARY)}


def _workloads(call: Call) -> Counter[str | None]:
    """On how many instances of each host something is being done."""
    busy = call.parts.instances.list(InstanceQuery(task_states=tuple(TaskState)))
    return Counter(instance.host for instance in busy)


def _list_answer(call: Call, nodes: Sequence[ComputeNode]) -> JSONResponse:
    services = _services(call)
    return JSONResponse({"hypervisors": [_brief(node, services.get(node.host)) for node in nodes]})


def _brief(node: ComputeNode, service: Service | None) -> dict[str, Any]:
    return {
        "id": node.id,
        "hypervisor_hostname": node.node,
        "state": "up" if service is not None and service.is_up else "down",
        "status": "enabled" if service is not None and service.is_enabled else "disabled",
    }


def _detailed(node: ComputeNode, service: Service | None, workload: int, version: Version) -> dict[str, Any]:
    cpu_info = dict(node.cpu_info)
    return {
        **_brief(node, service),
        **_amounts(node, workload),
        "hypervisor_type": node.hypervisor_type,
        "hypervisor_version": node.hypervisor_version,
        "host_ip": node.host_ip,
        "cpu_info": cpu_info if version >= V2_28 else json.dumps(cpu_info),
        "service": {
            "id": None if service is None else service.id,
            "host": node.host,
            "disabled_reason": None if service is None else service.disabled_reason,
        },
    }


def _amounts(node: ComputeNode, workload: int) -> dict[str, int]:
    total, used = node.total, node.used
    return {
        "vcpus": total.vcpus,
        "vcpus_used": used.vcpus,
        "memory_mb": total.memory_mb,
        "memory_mb_used": used.memory_mb,
        "free_ram_mb": total.memory_mb - used.memory_mb,
        "local_gb": total.disk_gb,
        "local_gb_used": used.disk_gb,
        "free_disk_gb": total.disk_gb - used.disk_gb,
        "disk_available_least": node.free_disk_gb,
        "running_vms": node.running_vms,
        "current_workload": workload,
    }


_AMOUNTS = (
    "vcpus",
    "vcpus_used",
    "memory_mb",
    "memory_mb_used",
    "free_ram_mb",
    "local_gb",
    "local_gb_used",
    "free_disk_gb",
    "disk_available_least",
    "running_vms",
    "current_workload",
)
"""What `_amounts` gives, also where there is no host to sum over."""
