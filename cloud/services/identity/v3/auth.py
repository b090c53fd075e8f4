"""v3's tokens: signing in, and looking at a token or ending it."""

from typing import Literal

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from cloud.domain.identity import DEFAULT_DOMAIN_ID, DEFAULT_DOMAIN_NAME
from cloud.errors import BadRequestError, UnauthorizedError
from cloud.services.identity.authority import Scope, Session
from cloud.services.identity.bodies import Body, Claimed, Password, TokenText
from cloud.services.identity.guard import may
from cloud.services.identity.identity import Identity
from cloud.services.identity.peer import peer_of
from cloud.services.identity.sign_in import Claim
from cloud.services.identity.subject_session import session_to_end, session_to_look_at
from cloud.services.identity.v3.views import Views

_TOKENS = "/v3/auth/tokens"
_SUBJECT = "X-Subject-Token"


class DomainRef(Body):
    id: Claimed | None = None
    name: Claimed | None = None

    @property
    def is_ours(self) -> bool:
        if self.id is not None:
            return self.id == DEFAULT_DOMAIN_ID
        return self.name is not None and self.name.casefold() == DEFAULT_DOMAIN_NAME.casefold()


class UserWithPassword(Body):
    password: Password
    id: Claimed | None = None
    name: Claimed | None = None
    domain: DomainRef | None = None


class PasswordMethod(Body):
    user: UserWithPassword


class TokenMethod(Body):
    id: TokenText


class IdentityBody(Body):
    methods: list[str]
    password: PasswordMethod | None = None
    token: TokenMethod | None = None


class ProjectRef(Body):
    id: Claimed | None = None
    name: Claimed | None = None
    domain: DomainRef | None = None


class ScopeBody(Body):
    project: ProjectRef | None = None
    unscoped: dict[str, str] | None = None


class Auth(Body):
    identity: IdentityBody
    scope: ScopeBody | Literal["unscoped"] | None = None


class AuthRequest(Body):
    auth: Auth


def router(identity: Identity) -> APIRouter:
    routes = APIRouter()
    views = Views(identity.catalog)

    @routes.post(_TOKENS, dependencies=[may("identity:tokens:create")])
    async def create_token(body: AuthRequest, request: Request) -> Response:
        given, peer = body.auth.identity, peer_of(request)
        scope = _scope(body.auth.scope)
        if given.methods == ["token"] and given.token is not None:
            session = await run_in_threadpool(identity.sign_in.by_token, given.token.id, scope, peer)
        elif given.methods == ["password"] and given.password is not None:
            claim = _claim(given.password.user, peer)
            wants_default = body.auth.scope is None
            async with identity.turns.turn():
                session = await run_in_threadpool(
                    identity.sign_in.by_password, claim, scope, uses_default_project=wants_default
                )
        else:
            raise BadRequestError("cannot sign in: it takes one method, password or token, and what belongs to it")
        return answer(session, request, 201)

    @routes.api_route(_TOKENS, methods=["GET", "HEAD"], dependencies=[may("identity:tokens:validate")])
    def show_token(request: Request) -> Response:
        return answer(session_to_look_at(identity, request, _subject(request)), request, 200)

    @routes.delete(_TOKENS, dependencies=[may("identity:tokens:revoke")])
    def delete_token(request: Request) -> Response:
        session_to_end(identity, request, _subject(request))
        return Response(status_code=204)

    @routes.get("/v3/auth/catalog", dependencies=[may("identity:catalog:show")])
    def show_catalog(request: Request) -> Response:
        catalog = identity.catalog.v3(request.state.caller.project_id)
        return JSONResponse(views.listed("catalog", "auth/catalog", catalog))

    @routes.get("/v3/auth/projects", dependencies=[may("identity:projects:list_own")])
    def list_projects(request: Request) -> Response:
        found = identity.projects.of_user(request.state.caller.user_id)
        return JSONResponse(views.listed("projects", "auth/projects", [views.project(project) for project in found]))

    @routes.get("/v3/auth/domains", dependencies=[may("identity:domains:show")])
    def list_domains() -> Response:
        return JSONResponse(views.listed("domains", "auth/domains", []))

    def answer(session: Session, request: Request, status: int) -> Response:
        view = views.token(session, has_catalog="nocatalog" not in request.query_params)
        return JSONResponse(view, status, {_SUBJECT: session.text, "Vary": "X-Auth-Token"})

    return routes


def _claim(user: UserWithPassword, peer: str) -> Claim:
    if user.id is not None:
        is_ours = user.domain is None or user.domain.is_ours
        return Claim(user.password, peer, user_id=user.id, is_of_our_domain=is_ours)
    if user.name is None or user.domain is None:
        raise BadRequestError("cannot sign in: it takes the user's id, or a name and the domain")
    return Claim(user.password, peer, user_name=user.name, is_of_our_domain=user.domain.is_ours)


def _scope(scope: ScopeBody | str | None) -> Scope:
    if scope is None or isinstance(scope, str):
        return Scope()
    project = scope.project
    if project is None and scope.unscoped is not None:
        return Scope()
    if project is None:
        raise UnauthorizedError("cannot sign in but for a project or for none: roles are given in projects alone")
    if project.id is None and (project.name is None or project.domain is None):
        raise BadRequestError("cannot sign in for a project without its id, or its name and domain")
    if project.domain is not None and not project.domain.is_ours:
        raise UnauthorizedError("the user has no role in that project, or there is no such project")
    return Scope(project.id, project.name)


def _subject(request: Request) -> str:
    if text := request.headers.get(_SUBJECT):
        return text
    raise BadRequestError(f"cannot tell which token: there is no {_SUBJECT}")
