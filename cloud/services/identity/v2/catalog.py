"""v2.0's services and endpoints: what the configuration says, to be read."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from cloud.errors import NotFoundError
from cloud.services.identity.catalog import Endpoint
from cloud.services.identity.guard import may
from cloud.services.identity.identity import Identity

_SERVICES = "/v2.0/OS-KSADM/services"


def router(identity: Identity) -> APIRouter:
    routes = APIRouter()
    catalog = identity.catalog

    @routes.get(_SERVICES, dependencies=[may("identity:services:list")])
    def list_services() -> Response:
        services = [service_view(endpoint) for endpoint in catalog.endpoints("v2.0")]
        return JSONResponse({"OS-KSADM:services": services})

    @routes.get(f"{_SERVICES}/{{service_id}}", dependencies=[may("identity:services:list")])
    def show_service(service_id: str) -> Response:
        for endpoint in catalog.endpoints("v2.0"):
            if endpoint.service_id == service_id:
                return JSONResponse({"OS-KSADM:service": service_view(endpoint)})
        raise NotFoundError(f"cannot find service {service_id}")

    @routes.get("/v2.0/endpoints", dependencies=[may("identity:services:list")])
    def list_endpoints() -> Response:
        endpoints = [
            {
                "id": endpoint.id(catalog.region, "public"),
                "service_id": endpoint.service_id,
                "region": catalog.region,
                "publicurl": endpoint.url,
                "internalurl": endpoint.url,
                "adminurl": endpoint.url,
            }
            for endpoint in catalog.endpoints("v2.0")
        ]
        return JSONResponse({"endpoints": endpoints})

    return routes


def service_view(endpoint: Endpoint) -> dict[str, Any]:
    return {"id": endpoint.service_id, "type": endpoint.type, "name": endpoint.name, "description": ""}
