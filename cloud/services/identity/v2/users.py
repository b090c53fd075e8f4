"""v2.0's users: looked after by admins, seen by themselves."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import JSONResponse, Response

from cloud.db.users import UserChange
from cloud.errors import BadRequestError, NotFoundError
from cloud.services.identity.accounts import (
    Account,
    change_account,
    change_own_password,
    create_account,
    delete_account,
    reset_password,
)
from cloud.services.identity.authority import Scope
from cloud.services.identity.bodies import Body, Claimed, Name, Password
from cloud.services.identity.guard import may, may_own
from cloud.services.identity.identity import Identity
from cloud.services.identity.page import Limit, Marker, page
from cloud.services.identity.tokens import PASSWORD
from cloud.services.identity.v2.views import access_view, user_view

_ONE = "/v2.0/users/{user_id}"


class NewUserBody(Body):
    name: Name | None = None
    username: Name | None = None
    password: Password | None = None
    email: Name | None = None
    enabled: bool = True
    tenant_id: Annotated[Claimed | None, Field(alias="tenantId")] = None


class NewUserRequest(Body):
    user: NewUserBody


class ChangedUser(Body):
    name: Name | None = None
    username: Name | None = None
    password: Password | None = None
    email: Name | None = None
    enabled: bool | None = None
    tenant_id: Annotated[Claimed | None, Field(alias="tenantId")] = None


class ChangedUserRequest(Body):
    user: ChangedUser


class NewPassword(Body):
    password: Password


class NewPasswordRequest(Body):
    user: NewPassword


class OwnPassword(Body):
    password: Password
    original_password: Password


class OwnPasswordRequest(Body):
    user: OwnPassword


class Enabled(Body):
    enabled: bool


class EnabledRequest(Body):
    user: Enabled


def router(identity: Identity) -> APIRouter:
    routes = APIRouter()

    @routes.get("/v2.0/users", dependencies=[may("identity:users:list")])
    def list_users(name: str | None = None, marker: Marker = None, limit: Limit = None) -> Response:
        found = identity.users.all(name=name)
        if name is not None:
            if not found:
                raise NotFoundError("cannot find a user of that name")
            return JSONResponse({"user": user_view(found[0])})
        return JSONResponse({"users": [user_view(user) for user in page(found, marker, limit)], "users_links": []})

    @routes.post("/v2.0/users", dependencies=[may("identity:users:create")])
    def create_user(body: NewUserRequest) -> Response:
        new = body.user
        account = Account(
            name=_name(new.name, new.username),
            password=new.password,
            email=new.email,
            is_enabled=new.enabled,
            default_project_id=new.tenant_id or None,
            is_member_of_default_project=True,
        )
        return JSONResponse({"user": user_view(create_account(identity, account))})

    @routes.get(_ONE, dependencies=[may_own("identity:users:show")])
    def show_user(user_id: str) -> Response:
        return JSONResponse({"user": user_view(identity.users.get(user_id))})

    @routes.put(_ONE, dependencies=[may("identity:users:update")])
    def update_user(user_id: str, body: ChangedUserRequest) -> Response:
        new = body.user
        change = UserChange(new.name or new.username, new.email, new.enabled, new.tenant_id or None)
        return JSONResponse({"user": user_view(change_account(identity, user_id, change, new.password))})

    @routes.put(f"{_ONE}/OS-KSADM/password", dependencies=[may("identity:users:update")])
    def set_password(user_id: str, body: NewPasswordRequest) -> Response:
        return JSONResponse({"user": user_view(reset_password(identity, user_id, body.user.password))})

    @routes.put(f"{_ONE}/OS-KSADM/enabled", dependencies=[may("identity:users:update")])
    def set_enabled(user_id: str, body: EnabledRequest) -> Response:
        user = change_account(identity, user_id, UserChange(is_enabled=body.user.enabled))
        return JSONResponse({"user": user_view(user)})

    @routes.patch(
        "/v2.0/OS-KSCRUD/users/{user_id}", dependencies=[may_own("identity:users:change_password", others_too=False)]
    )
    def change_password(user_id: str, body: OwnPasswordRequest, request: Request) -> Response:
        """The caller's token ends with the password, so the answer is another one."""
        session = request.state.session
        new = body.user
        user = change_own_password(identity, request, user_id, new.original_password, new.password)
        renewed = identity.authority.issue(
            user, Scope(session.token.project_id), (PASSWORD,), expires_at=session.token.expires_at
        )
        return JSONResponse(access_view(renewed, identity.catalog))

    @routes.delete(_ONE, dependencies=[may("identity:users:delete")])
    def delete_user(user_id: str) -> Response:
        delete_account(identity, user_id)
        return Response(status_code=204)

    return routes


def _name(name: str | None, username: str | None) -> str:
    if given := name or username:
        return given
    raise BadRequestError("cannot create a user without a name")
