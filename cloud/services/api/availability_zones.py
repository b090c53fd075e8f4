"""os-availability-zone: which zones there are; for admins with their hosts, and the zone of the controllers."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse

from cloud.domain.service import Service
from cloud.services.api.call import TheCall
from cloud.services.api.services import nova_services
from cloud.services.api.times import moment

router = APIRouter()


@router.get("/os-availability-zone")
def list_zones(call: TheCall) -> JSONResponse:
    call.require("compute:availability_zones:list")
    internal = call.parts.conf.internal_service_availability_zone
    services = nova_services(call)
    available = _zones_of(services, is_enabled=True)
    zones = [_zone(name, is_available=True) for name in available if name != internal]
    zones += [_zone(name, is_available=False) for name in _unavailable(services, available) if name != internal]
    return JSONResponse({"availabilityZoneInfo": zones})


@router.get("/os-availability-zone/detail")
def list_zones_in_detail(call: TheCall) -> JSONResponse:
    call.require("compute:availability_zones:detail")
    services = nova_services(call)
    available = _zones_of(services, is_enabled=True)
    zones = [_zone(name, is_available=True) | {"hosts": _hosts(services, name)} for name in available]
    zones += [_zone(name, is_available=False) for name in _unavailable(services, available)]
    return JSONResponse({"availabilityZoneInfo": zones})


def _zones_of(services: Sequence[Service], *, is_enabled: bool) -> Sequence[str]:
    """Ordered by name."""
    return sorted({service.availability_zone for service in services if service.is_enabled is is_enabled})


def _unavailable(services: Sequence[Service], available: Sequence[str]) -> Sequence[str]:
    """The zones all of whose services are disabled."""
    return [name for name in _zones_of(services, is_enabled=False) if name not in available]


def _zone(name: str, *, is_available: bool) -> dict[str, Any]:
    return {"zoneName": name, "zoneState": {"available": is_available}, "hosts": None}


def _hosts(services: Sequence[Service], zone: str) -> dict[str, dict[str, Any]]:
    hosts: dict[str, dict[str, Any]] = {}
    for service in services:
        if service.is_enabled and service.availability_zone == zone:
            hosts.setdefault(service.host, {})[service.binary] = {
                "available": service.is_up,
                "active": True,
                "updated_at": moment(service.updated_at),
            }
    return hosts
