"""v3's services, endpoints, regions and domains: what the configuration says, to be read."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from cloud.domain.identity import DEFAULT_DOMAIN_ID, DEFAULT_DOMAIN_NAME
from cloud.errors import NotFoundError
from cloud.services.identity.catalog import INTERFACES, Endpoint
from cloud.services.identity.guard import may
from cloud.services.identity.identity import Identity
from cloud.services.identity.v3.views import Views


def router(identity: Identity) -> APIRouter:
    routes = APIRouter()
    views = Views(identity.catalog)
    catalog = identity.catalog

    def service_views() -> list[dict[str, Any]]:
        return [
            {"id": one.service_id, "type": one.type, "name": one.name, "enabled": True, "links": {}}
            for one in catalog.endpoints("v3")
        ]

    def endpoint_view(one: Endpoint, interface: str) -> dict[str, Any]:
        return {
            "id": one.id(catalog.region, interface),
            "service_id": one.service_id,
            "interface": interface,
            "region": catalog.region,
            "region_id": catalog.region,
            "url": one.url,
            "enabled": True,
            "links": {},
        }

    def endpoint_views() -> list[dict[str, Any]]:
        return [endpoint_view(one, interface) for one in catalog.endpoints("v3") for interface in INTERFACES]

    @routes.get("/v3/services", dependencies=[may("identity:services:list")])
    def list_services(name: str | None = None, type: str | None = None) -> Response:  # noqa: A002 - the query's name
        found = [
            view
            for view in service_views()
            if (name is None or view["name"] == name) and (type is None or view["type"] == type)
        ]
        return JSONResponse(views.listed("services", "services", found))

    @routes.get("/v3/services/{service_id}", dependencies=[may("identity:services:list")])
    def show_service(service_id: str) -> Response:
        return JSONResponse({"service": _one(service_views(), service_id, "service")})

    @routes.get("/v3/endpoints", dependencies=[may("identity:services:list")])
    def list_endpoints(service_id: str | None = None, interface: str | None = None) -> Response:
        found = [
            view
            for view in endpoint_views()
            if (service_id is None or view["service_id"] == service_id)
            and (interface is None or view["interface"] == interface)
        ]
        return JSONResponse(views.listed("endpoints", "endpoints", found))

    @routes.get("/v3/endpoints/{endpoint_id}", dependencies=[may("identity:services:list")])
    def show_endpoint(endpoint_id: str) -> Response:
        return JSONResponse({"endpoint": _one(endpoint_views(), endpoint_id, "endpoint")})

    @routes.get("/v3/regions", dependencies=[may("identity:services:list")])
    def list_regions() -> Response:
        region: dict[str, Any] = {"id": catalog.region, "description": "", "parent_region_id": None, "links": {}}
        return JSONResponse(views.listed("regions", "regions", [region]))

    @routes.get("/v3/domains", dependencies=[may("identity:domains:show")])
    def list_domains(name: str | None = None) -> Response:
        found = [views.domain()] if name in (None, DEFAULT_DOMAIN_NAME) else []
        return JSONResponse(views.listed("domains", "domains", found))

    @routes.get("/v3/domains/{domain_id}", dependencies=[may("identity:domains:show")])
    def show_domain(domain_id: str) -> Response:
        if domain_id != DEFAULT_DOMAIN_ID:
            raise NotFoundError(f"cannot find domain {domain_id}")
        return JSONResponse({"domain": views.domain()})

    return routes


def _one(views: list[dict[str, Any]], wanted_id: str, what: str) -> dict[str, Any]:
    for view in views:
        if view["id"] == wanted_id:
            return view
    raise NotFoundError(f"cannot find {what} {wanted_id}")
