"""v2.0's tokens: signing in, and looking at a token or ending it."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from cloud.errors import BadRequestError
from cloud.services.identity.authority import Scope
from cloud.services.identity.bodies import Body, Claimed, Password, TokenText
from cloud.services.identity.guard import may
from cloud.services.identity.identity import Identity
from cloud.services.identity.peer import peer_of
from cloud.services.identity.sign_in import Claim
from cloud.services.identity.subject import PLACEHOLDER, subject_token
from cloud.services.identity.subject_session import session_to_end, session_to_look_at
from cloud.services.identity.v2.views import access_view

_ONE = f"/v2.0/tokens/{PLACEHOLDER}"


class PasswordCredentials(Body):
    password: Password
    username: Claimed | None = None
    user_id: Annotated[Claimed | None, Field(alias="userId")] = None


class OldToken(Body):
    id: TokenText


class Auth(Body):
    password: Annotated[PasswordCredentials | None, Field(alias="passwordCredentials")] = None
    token: OldToken | None = None
    tenant_name: Annotated[Claimed | None, Field(alias="tenantName")] = None
    tenant_id: Annotated[Claimed | None, Field(alias="tenantId")] = None

    @property
    def scope(self) -> Scope:
        # Clients send what was left empty in their environment.
        return Scope(self.tenant_id or None, self.tenant_name or None)


class TokenRequest(Body):
    auth: Auth


def router(identity: Identity) -> APIRouter:
    routes = APIRouter()

    @routes.post("/v2.0/tokens", dependencies=[may("identity:tokens:create")])
    async def create_token(body: TokenRequest, request: Request) -> Response:
        auth, peer = body.auth, peer_of(request)
        if auth.token is not None and auth.password is None:
            session = await run_in_threadpool(identity.sign_in.by_token, auth.token.id, auth.scope, peer)
        elif auth.password is not None and auth.token is None:
            given = auth.password
            if (given.username is None) == (given.user_id is None):
                raise BadRequestError("cannot sign in: it takes either a username or a userId")
            claim = Claim(given.password, peer, user_id=given.user_id, user_name=given.username)
            async with identity.turns.turn():
                session = await run_in_threadpool(identity.sign_in.by_password, claim, auth.scope)
        else:
            raise BadRequestError("cannot sign in: it takes either passwordCredentials or a token")
        return JSONResponse(access_view(session, identity.catalog))

    @routes.api_route(_ONE, methods=["GET", "HEAD"], dependencies=[may("identity:tokens:validate")])
    def show_token(request: Request, belongs_to: Annotated[str | None, Query(alias="belongsTo")] = None) -> Response:
        session = session_to_look_at(identity, request, subject_token(request.state), project_id=belongs_to)
        return JSONResponse(access_view(session, identity.catalog))

    @routes.get(f"{_ONE}/endpoints", dependencies=[may("identity:tokens:validate")])
    def list_endpoints(request: Request) -> Response:
        session = session_to_look_at(identity, request, subject_token(request.state))
        endpoints = [
            entry | {"name": service["name"], "type": service["type"]}
            for service in identity.catalog.v2(session.token.project_id)
            for entry in service["endpoints"]
        ]
        return JSONResponse({"endpoints": endpoints, "endpoints_links": []})

    @routes.delete(_ONE, dependencies=[may("identity:tokens:revoke")])
    def delete_token(request: Request) -> Response:
        session_to_end(identity, request, subject_token(request.state))
        return Response(status_code=204)

    return routes
