"""The documents by which clients find the versions of the API."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from cloud.services.identity.guard import may
from cloud.services.identity.identity import Identity

_ANY = "/"
_V2 = ("/v2.0", "/v2.0/")
_V3 = ("/v3", "/v3/")
_EXTENSIONS = "/v2.0/extensions"
PATHS = (_ANY, *_V2, *_V3, _EXTENSIONS)

_EXTENSION_NAMES = {
    "OS-KSADM": "users, roles and projects are looked after",
    "OS-KSCRUD": "users change their own passwords",
    "OS-EC2": "key pairs for EC2 requests",
}


def router(identity: Identity) -> APIRouter:
    routes = APIRouter(dependencies=[may("identity:versions:show")])

    def document(version: str, status: str) -> dict[str, Any]:
        return {
            "id": {"v3": "v3.0"}.get(version, version),
            "status": status,
            "updated": "2014-04-17T00:00:00Z",
            "links": [{"rel": "self", "href": f"{identity.catalog.public_url}/{version}/"}],
            "media-types": [{"base": "application/json", "type": f"application/vnd.openstack.identity-{version}+json"}],
        }

    v2 = ("v2.0", "stable")
    v3 = ("v3", "stable")

    @routes.api_route(_ANY, methods=["GET", "HEAD"])
    async def show_all() -> Response:
        return JSONResponse({"versions": {"values": [document(*v3), document(*v2)]}}, 300)

    @routes.api_route(_V2[0], methods=["GET", "HEAD"])
    @routes.api_route(_V2[1], methods=["GET", "HEAD"])
    async def show_v2() -> Response:
        return JSONResponse({"version": document(*v2)})

    @routes.api_route(_V3[0], methods=["GET", "HEAD"])
    @routes.api_route(_V3[1], methods=["GET", "HEAD"])
    async def show_v3() -> Response:
        return JSONResponse({"version": document(*v3)})

    @routes.api_route(_EXTENSIONS, methods=["GET", "HEAD"])
    async def list_extensions() -> Response:
        extensions = [
            {"alias": alias, "name": description, "description": description, "links": []}
            for alias, description in _EXTENSION_NAMES.items()
        ]
        return JSONResponse({"extensions": {"values": extensions}})

    return routes
