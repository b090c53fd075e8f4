"""os-services: which daemons of nova there are, and which of them may be used."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import AfterValidator, StringConstraints
from starlette.responses import JSONResponse, Response

from cloud.domain.service import Service
from cloud.errors import BadRequestError, NotFoundError, ServiceNotFoundError
from cloud.logs.emit import logger
from cloud.logs.events import SERVICE
from cloud.services.api.body import Body, BodyOf, Flag
from cloud.services.api.call import Call, TheCall
from cloud.services.api.hostname import HostName
from cloud.services.api.times import moment
from cloud.services.api.versions import V2_11, Version
from cloud.services.api.zones import in_their_zones

router = APIRouter()

_PREFIX = "nova-"
"""Of the binaries that are the compute service's own: identity and image report too, and are not shown here."""
_MAX_DIGITS = 10


def nova_services(call: Call, *, host: str | None = None, binary: str | None = None) -> Sequence[Service]:
    """Ordered by binary, then host; each in the zone that its aggregates put it into."""
    found = call.parts.services.all(host=host, binary=binary)
    ours = (service for service in found if service.binary.startswith(_PREFIX))
    return in_their_zones(ours, call.parts.aggregates.all())


def _reason(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("a reason is 1 to 255 printable characters")
    return text


class NamedService(Body):
    """One daemon on one host."""

    host: HostName
    binary: Annotated[str, StringConstraints(min_length=1, max_length=255)]


class DisabledService(NamedService):
    """The same, and why it is disabled."""

    disabled_reason: Annotated[str, StringConstraints(max_length=255), AfterValidator(_reason)]


class ForcedService(NamedService):
    """The same, and whether it is to be taken for down."""

    forced_down: Flag


@router.get("/os-services")
def list_services(call: TheCall, host: str | None = None, binary: str | None = None) -> JSONResponse:
    call.require("compute:services:list")
    found = nova_services(call, host=host or None, binary=binary or None)
    return JSONResponse({"services": [_view(service, call.version) for service in found]})


@router.put("/os-services/enable")
def enable_service(call: TheCall, body: Annotated[NamedService, Depends(BodyOf(NamedService))]) -> JSONResponse:
    """Let it be used again."""
    call.require("compute:services:update")
    return _answer(set_enabled(call, Wanted(body.host, body.binary, is_enabled=True)))


@router.put("/os-services/disable")
def disable_service(call: TheCall, body: Annotated[NamedService, Depends(BodyOf(NamedService))]) -> JSONResponse:
    """Let nothing new be put there; what runs goes on."""
    call.require("compute:services:update")
    return _answer(set_enabled(call, Wanted(body.host, body.binary, is_enabled=False)))


@router.put("/os-services/disable-log-reason")
def disable_service_with_reason(
    call: TheCall, body: Annotated[DisabledService, Depends(BodyOf(DisabledService))]
) -> JSONResponse:
    call.require("compute:services:update")
    wanted = Wanted(body.host, body.binary, is_enabled=False, reason=body.disabled_reason)
    return _answer(set_enabled(call, wanted), disabled_reason=body.disabled_reason)


@router.put("/os-services/force-down")
def force_service_down(call: TheCall, body: Annotated[ForcedService, Depends(BodyOf(ForcedService))]) -> JSONResponse:
    """Since 2.11: take it for down, whatever it reports, or no more."""
    call.require("compute:services:update")
    if call.version < V2_11:
        raise NotFoundError(f"cannot force a service down before version {V2_11}")
    _refuse_others(body.host, body.binary)
    service = call.parts.services.force_down(body.host, body.binary, is_forced=body.forced_down)
    logger.bind(service=service.binary, service_host=service.host, is_forced_down=service.is_forced_down).info(
        "service forced down or released"
    )
    shown = {"host": service.host, "binary": service.binary, "forced_down": service.is_forced_down}
    return JSONResponse({"service": shown})


@router.delete("/os-services/{service_id}")
def delete_service(call: TheCall, service_id: str) -> Response:
    """Forget one that will not come back; one that reports again is there again."""
    call.require("compute:services:delete")
    if not (service_id.isascii() and service_id.isdigit() and len(service_id) <= _MAX_DIGITS):
        raise BadRequestError("cannot delete a service: its id is a number")
    found = [service for service in nova_services(call) if service.id == int(service_id)]
    if not found:
        raise ServiceNotFoundError(f"cannot find service {service_id}")
    call.parts.services.delete(found[0].id)
    logger.bind(service=found[0].binary, service_host=found[0].host).info("service deleted")
    return Response(status_code=204)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a service is to be."""

    host: str
    binary: str
    is_enabled: bool
    reason: str | None = None


def set_enabled(call: Call, wanted: Wanted) -> Service:
    """The service as it then is; ServiceNotFoundError for one of another part of the cloud too."""
    _refuse_others(wanted.host, wanted.binary)
    named = {"service": wanted.binary, "service_host": wanted.host}
    if wanted.is_enabled:
        service = call.parts.services.enable(wanted.host, wanted.binary)
        logger.bind(event=SERVICE.event("enable"), **named).info("service enabled")
    else:
        service = call.parts.services.disable(wanted.host, wanted.binary, wanted.reason)
        logger.bind(event=SERVICE.event("disable"), reason=wanted.reason, **named).info("service disabled")
    return service


def _refuse_others(host: str, binary: str) -> None:
    if not binary.startswith(_PREFIX):
        raise ServiceNotFoundError(f"cannot find service {binary} on {host}")


def _answer(service: Service, **further: str) -> JSONResponse:
    status = "enabled" if service.is_enabled else "disabled"
    shown = {"host": service.host, "binary": service.binary, "status": status}
    return JSONResponse({"service": shown | further})


def _view(service: Service, version: Version) -> dict[str, Any]:
    return {
        "id": service.id,
        "binary": service.binary,
        "host": service.host,
        "zone": service.availability_zone,
        "status": "enabled" if service.is_enabled else "disabled",
        "state": "up" if service.is_up else "down",
        "updated_at": moment(service.updated_at),
        "disabled_reason": service.disabled_reason,
        **({"forced_down": service.is_forced_down} if version >= V2_11 else {}),
    }
