"""The application: a path's version and project are taken off it, the rest goes to the routers below."""

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.datastructures import URL, Headers
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from cloud.errors import BadRequestError, NotFoundError
from cloud.services.api import (
    aggregates,
    availability_zones,
    errors,
    extensions,
    flavor_access,
    flavor_extra_specs,
    flavors,
    hosts,
    hypervisors,
    image_metadata,
    images,
    instance_actions,
    keypairs,
    limits,
    migrations,
    quota_classes,
    quotas,
    server_actions,
    server_addresses,
    server_metadata,
    server_migrations,
    server_tags,
    servers,
    services,
    usage,
)
from cloud.services.api.caller_token import token_in_use
from cloud.services.api.openapi import describe
from cloud.services.api.parts import ApiParts
from cloud.services.api.versions import (
    BRANCHES,
    V2,
    V2_18,
    Version,
    asked_version,
    branch_document,
    list_document,
    version_headers,
)
from cloud.web.app import Authenticate, OnStop, gated, make_app
from cloud.web.auth import token_of
from cloud.web.server import App

ROUTERS: Sequence[APIRouter] = (
    servers.router,
    server_actions.router,
    server_metadata.router,
    server_addresses.router,
    server_tags.router,
    server_migrations.router,
    instance_actions.router,
    flavors.router,
    flavor_access.router,
    flavor_extra_specs.router,
    images.router,
    image_metadata.router,
    keypairs.router,
    aggregates.router,
    availability_zones.router,
    hosts.router,
    hypervisors.router,
    services.router,
    migrations.router,
    limits.router,
    quotas.router,
    quota_classes.router,
    usage.router,
    extensions.router,
)
"""Every resource, each with paths as they are behind the project."""

_V2_PREFIXES = ("/v2", "/v1.1")
_V2_1_PREFIX = "/v2.1"
PUBLIC_PATHS = frozenset({"/"}) | {path for prefix in (*_V2_PREFIXES, _V2_1_PREFIX) for path in (prefix, f"{prefix}/")}
"""What is answered to anybody."""


def make_api(
    parts: ApiParts,
    authenticate: Authenticate,
    routers: Sequence[APIRouter] = ROUTERS,
    on_stop: OnStop | None = None,
) -> App:
    """nova-api as an ASGI application, which answers from `parts`; `on_stop` comes after the last request."""
    shape = errors.shape(parts.conf.identity.url)
    app = make_app("nova-api", shape)
    errors.handle_quota(app)
    app.state.parts = parts
    for router in routers:
        app.include_router(router)
    describe(app, routers)
    frame = _Frame(app, _resources(routers), parts.conf.osapi_compute_link_prefix)
    return gated(frame, shape, authenticate, on_stop)


def _resources(routers: Sequence[APIRouter]) -> frozenset[str]:
    paths = [route.path for router in routers for route in router.routes if isinstance(route, APIRoute)]
    return frozenset(path.split("/")[1] for path in paths)


@dataclass(frozen=True, slots=True)
class _Place:
    """A path taken apart."""

    version: Version
    prefix: str
    project_path: str
    rest: str


class _Frame:
    """Between the gate and the routes. The scope that goes on is a copy: the gate logs the path that was asked for."""

    def __init__(self, app: FastAPI, resources: frozenset[str], link_prefix: str | None) -> None:
        self._app = app
        self._resources = resources
        self._link_prefix = link_prefix

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["path"] in PUBLIC_PATHS:
            await self._document(scope)(scope, receive, send)
            return
        if b"%00" in scope.get("query_string", b"") or "\0" in scope["path"]:
            raise BadRequestError("cannot read the address: it has the character NUL")
        place = self._place(scope)
        state = {
            **scope["state"],
            "version": place.version,
            "prefix": place.prefix,
            "project_path": place.project_path,
        }
        inner = {**scope, "path": place.rest, "raw_path": place.rest.encode(), "state": state}
        with token_in_use(token_of(scope) or ""):
            await self._app(inner, receive, send if place.version == V2 else _with_version(send, place.version))

    def _document(self, scope: Scope) -> JSONResponse:
        url = URL(scope=scope)
        base_url = (self._link_prefix or f"{url.scheme}://{url.netloc}").rstrip("/")
        if scope["path"] == "/":
            return JSONResponse(list_document(base_url))
        path = scope["path"].rstrip("/")
        v2, v2_1 = BRANCHES
        return JSONResponse(branch_document(v2_1 if path == _V2_1_PREFIX else v2, base_url))

    def _place(self, scope: Scope) -> _Place:
        """NotFoundError for a path that is none of ours, BadRequestError for another project's."""
        _, branch, *parts = scope["path"].rstrip("/").split("/")
        prefix = f"/{branch}"
        if prefix == _V2_1_PREFIX:
            version = asked_version(Headers(scope=scope))
        elif prefix in _V2_PREFIXES:
            version = V2
        else:
            raise NotFoundError("cannot find what was asked for: there is no such version of the API")
        project_id = scope["state"]["caller"].project_id
        project, *resource = parts
        if project == project_id:
            return _Place(version, f"{prefix}/{project}", f"/{project}", "/" + "/".join(resource))
        if version >= V2_18 and project in self._resources:
            if project_id is None:
                raise BadRequestError("cannot tell whose things are meant: the token is for no project")
            return _Place(version, prefix, "", "/" + "/".join(parts))
        raise BadRequestError("cannot use this address: its project is not the one that the token is for")


def _with_version(send: Send, version: Version) -> Send:
    async def send_on(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *version_headers(version)]}
        await send(message)

    return send_on
