"""The HTTP application of the identity service: v2.0 and v3 over the same users, projects, roles and tokens."""

from typing import Any

from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response
from starlette.types import Scope

from cloud.domain.caller import Caller
from cloud.errors import DatabaseUnavailableError, IdentityUnavailableError, UnauthorizedError
from cloud.logs.emit import logger
from cloud.services.identity import versions
from cloud.services.identity.authority import NO_SUCH_TOKEN
from cloud.services.identity.identity import Identity
from cloud.services.identity.subject import without_tokens_in_paths
from cloud.services.identity.throttle import ThrottledError
from cloud.services.identity.v2 import catalog as v2_catalog
from cloud.services.identity.v2 import ec2 as v2_ec2
from cloud.services.identity.v2 import roles as v2_roles
from cloud.services.identity.v2 import tenants as v2_tenants
from cloud.services.identity.v2 import tokens as v2_tokens
from cloud.services.identity.v2 import users as v2_users
from cloud.services.identity.v3 import auth as v3_auth
from cloud.services.identity.v3 import catalog as v3_catalog
from cloud.services.identity.v3 import ec2 as v3_ec2
from cloud.services.identity.v3 import projects as v3_projects
from cloud.services.identity.v3 import roles as v3_roles
from cloud.services.identity.v3 import users as v3_users
from cloud.web.app import Shape, gated, make_app
from cloud.web.auth import token_of
from cloud.web.server import App

ROUTERS = (
    versions.router,
    v2_tokens.router,
    v2_tenants.router,
    v2_users.router,
    v2_roles.router,
    v2_catalog.router,
    v2_ec2.router,
    v3_auth.router,
    v3_catalog.router,
    v3_projects.router,
    v3_users.router,
    v3_roles.router,
    v3_ec2.router,
)
PUBLIC = {
    *(("GET", path) for path in versions.PATHS),
    *(("HEAD", path) for path in versions.PATHS),
    ("POST", "/v2.0/tokens"),
    ("POST", "/v3/auth/tokens"),
}
"""What needs no token; one that is sent along, as old clients do, is not looked at."""
_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    413: "Request Entity Too Large",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


def render(status: int, message: str) -> dict[str, Any]:
    """An error as Keystone shows it."""
    return {"error": {"code": status, "title": _TITLES.get(status, "Error"), "message": message}}


def make_identity_app(identity: Identity, public_url: str | None = None) -> App:
    """The whole application; a refusal names `public_url` as the place to sign in."""
    shape = Shape(render, unauthorized_header=f'Keystone uri="{public_url}"' if public_url else "Keystone")
    return without_tokens_in_paths(gated(routes(identity, shape), shape, _Authentication(identity)))


def routes(identity: Identity, shape: Shape) -> FastAPI:
    """The routes alone."""
    app = make_app("identity", shape)
    for router in ROUTERS:
        app.include_router(router(identity))

    @app.exception_handler(ThrottledError)
    async def throttled(request: Request, exc: ThrottledError) -> Response:  # noqa: ARG001 - FastAPI's signature
        return JSONResponse(shape.render(429, str(exc)), 429, {"Retry-After": str(exc.retry_after_s)})

    @app.exception_handler(DatabaseUnavailableError)
    async def database_is_away(request: Request, exc: DatabaseUnavailableError) -> Response:  # noqa: ARG001
        return JSONResponse(shape.render(503, str(_unavailable(exc))), 503)

    return app


class _Authentication:
    """Implements `Authenticate`: the caller is the token's, and the session stands beside it in the request's state."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    async def __call__(self, scope: Scope) -> Caller | None:
        if (scope["method"], scope["path"]) in PUBLIC:
            return None
        text = token_of(scope)
        if text is None:
            raise UnauthorizedError("this needs a token: there is no X-Auth-Token")
        try:
            session = await run_in_threadpool(self._identity.authority.session, text)
        except DatabaseUnavailableError as exc:
            raise _unavailable(exc) from exc
        if session is None:
            raise UnauthorizedError(NO_SUCH_TOKEN)
        scope.setdefault("state", {})["session"] = session
        return session.caller


def _unavailable(exc: DatabaseUnavailableError) -> IdentityUnavailableError:
    """What anybody may be told of it; the log has the rest."""
    logger.bind(error=str(exc)).error("cannot use the database")
    return IdentityUnavailableError("the identity service cannot use its database; try again later")
