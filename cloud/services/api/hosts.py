"""os-hosts: what each host of the cloud serves, how much of a compute host is used and by whom."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Depends
from pydantic import BeforeValidator, model_validator
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from cloud.domain.flavor import Resources
from cloud.services.api.body import Body, BodyOf
from cloud.services.api.call import Call, TheCall
from cloud.services.api.services import Wanted, nova_services, set_enabled
from cloud.services.api.zones import COMPUTE_BINARY

router = APIRouter()


@router.get("/os-hosts")
def list_hosts(call: TheCall, zone: str | None = None) -> JSONResponse:
    """A row for each service that is enabled; `zone` narrows."""
    call.require("compute:hosts:list")
    return JSONResponse(
        {
            "hosts": [
                {"host_name": service.host, "service": service.topic, "zone": service.availability_zone}
                for service in nova_services(call)
                if service.is_enabled and (not zone or service.availability_zone == zone)
            ]
        }
    )


@router.get("/os-hosts/{host}")
def show_host(call: TheCall, host: str) -> JSONResponse:
    """What the host has, what is claimed of it, what its instances may take, and how much of that each project's."""
    call.require("compute:hosts:show")
    node = call.parts.hosts.get(host)
    return JSONResponse({"host": host_rows(host, node.total, node.used, call.parts.hosts.usage_by_project(host))})


def host_rows(
    host: str, total: Resources, used_now: Resources, by_project: Mapping[str, Resources]
) -> list[dict[str, Any]]:
    """In the order that operators know: (total), (used_now), (used_max), then the projects by id."""
    used_max = Resources(
        memory_mb=sum(used.memory_mb for used in by_project.values()),
        vcpus=sum(used.vcpus for used in by_project.values()),
        disk_gb=sum(used.disk_gb for used in by_project.values()),
    )
    sums = {"(total)": total, "(used_now)": used_now, "(used_max)": used_max}
    rows = [*sums.items(), *sorted(by_project.items())]
    return [
        {
            "resource": {
                "host": host,
                "project": project,
                "cpu": resources.vcpus,
                "memory_mb": resources.memory_mb,
                "disk_gb": resources.disk_gb,
            }
        }
        for project, resources in rows
    ]


def _lowered(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


_Switch = Annotated[Literal["enable", "disable"], BeforeValidator(_lowered)]


class HostUpdate(Body):
    """At least one of both."""

    status: _Switch | None = None
    maintenance_mode: _Switch | None = None

    @model_validator(mode="after")
    def _is_something(self) -> Self:
        if self.status is None and self.maintenance_mode is None:
            raise ValueError("status or maintenance_mode is needed")
        return self


@router.put("/os-hosts/{host}")
def update_host(call: TheCall, host: str, body: Annotated[HostUpdate, Depends(BodyOf(HostUpdate))]) -> JSONResponse:
    """Let new instances be put there, or not: what os-services does for nova-compute."""
    call.require("compute:hosts:update")
    call.parts.hosts.get(host)
    if body.maintenance_mode is not None:
        raise _beyond_the_driver("maintenance mode")
    service = set_enabled(call, Wanted(host, COMPUTE_BINARY, is_enabled=body.status == "enable"))
    return JSONResponse({"host": host, "status": "enabled" if service.is_enabled else "disabled"})


@router.get("/os-hosts/{host}/startup")
def start_host(call: TheCall, host: str) -> JSONResponse:
    raise _power_action(call, host)


@router.get("/os-hosts/{host}/shutdown")
def shut_down_host(call: TheCall, host: str) -> JSONResponse:
    raise _power_action(call, host)


@router.get("/os-hosts/{host}/reboot")
def reboot_host(call: TheCall, host: str) -> JSONResponse:
    raise _power_action(call, host)


def _power_action(call: Call, host: str) -> HTTPException:
    call.require("compute:hosts:power")
    call.parts.hosts.get(host)
    return _beyond_the_driver("switching a host on and off")


def _beyond_the_driver(what: str) -> HTTPException:
    """No error of the cloud: no driver of ours will ever have these, as none of nova's for libvirt has."""
    return HTTPException(501, f"the hypervisor's driver does not support {what}")
