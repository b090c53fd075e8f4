"""v3's users."""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from cloud.db.users import UserChange
from cloud.domain.identity import DEFAULT_DOMAIN_ID
from cloud.errors import BadRequestError
from cloud.services.identity.accounts import (
    Account,
    change_account,
    change_own_password,
    create_account,
    delete_account,
)
from cloud.services.identity.bodies import Body, Claimed, Name, Password
from cloud.services.identity.guard import may, may_own
from cloud.services.identity.identity import Identity
from cloud.services.identity.page import Limit, Marker, page
from cloud.services.identity.v3.lists import DomainId, Enabled, is_of_domain, is_wanted
from cloud.services.identity.v3.views import Views

_ALL = "/v3/users"
_ONE = f"{_ALL}/{{user_id}}"


class NewUserBody(Body):
    name: Name
    password: Password | None = None
    email: Name | None = None
    enabled: bool = True
    default_project_id: Claimed | None = None
    domain_id: Claimed | None = None


class NewUserRequest(Body):
    user: NewUserBody


class ChangedUser(Body):
    name: Name | None = None
    password: Password | None = None
    email: Name | None = None
    enabled: bool | None = None
    default_project_id: Claimed | None = None


class ChangedUserRequest(Body):
    user: ChangedUser


class OwnPassword(Body):
    password: Password
    original_password: Password


class OwnPasswordRequest(Body):
    user: OwnPassword


def router(identity: Identity) -> APIRouter:
    routes = APIRouter()
    views = Views(identity.catalog)

    @routes.get(_ALL, dependencies=[may("identity:users:list")])
    def list_users(
        name: str | None = None,
        domain_id: DomainId = None,
        enabled: Enabled = None,
        marker: Marker = None,
        limit: Limit = None,
    ) -> Response:
        found = [
            user
            for user in identity.users.all(name=name)
            if is_of_domain(domain_id) and is_wanted(is_enabled=user.is_enabled, enabled=enabled)
        ]
        shown = [views.user(user) for user in page(found, marker, limit)]
        return JSONResponse(views.listed("users", "users", shown))

    @routes.post(_ALL, dependencies=[may("identity:users:create")])
    def create_user(body: NewUserRequest) -> Response:
        new = body.user
        if new.domain_id not in (None, DEFAULT_DOMAIN_ID):
            raise BadRequestError("cannot create a user but in the default domain, which is the only one")
        account = Account(
            name=new.name,
            password=new.password,
            email=new.email,
            is_enabled=new.enabled,
            default_project_id=new.default_project_id or None,
            is_member_of_default_project=False,
        )
        return JSONResponse({"user": views.user(create_account(identity, account))}, 201)

    @routes.get(_ONE, dependencies=[may_own("identity:users:show")])
    def show_user(user_id: str) -> Response:
        return JSONResponse({"user": views.user(identity.users.get(user_id))})

    @routes.patch(_ONE, dependencies=[may("identity:users:update")])
    def update_user(user_id: str, body: ChangedUserRequest) -> Response:
        new = body.user
        change = UserChange(new.name, new.email, new.enabled, new.default_project_id or None)
        return JSONResponse({"user": views.user(change_account(identity, user_id, change, new.password))})

    @routes.post(f"{_ONE}/password", dependencies=[may_own("identity:users:change_password", others_too=False)])
    def change_password(user_id: str, body: OwnPasswordRequest, request: Request) -> Response:
        change_own_password(identity, request, user_id, body.user.original_password, body.user.password)
        return Response(status_code=204)

    @routes.delete(_ONE, dependencies=[may("identity:users:delete")])
    def delete_user(user_id: str) -> Response:
        delete_account(identity, user_id)
        return Response(status_code=204)

    return routes
