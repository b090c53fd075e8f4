"""v2.0's roles, and who has which."""

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from cloud.domain.identity import Assignment
from cloud.services.identity.bodies import Body, Name
from cloud.services.identity.grants import create_role, delete_role, grant, withdraw
from cloud.services.identity.guard import may, may_own
from cloud.services.identity.identity import Identity
from cloud.services.identity.page import Limit, Marker, page
from cloud.services.identity.v2.views import role_view

_ROLES = "/v2.0/OS-KSADM/roles"
_OF_USER = "/v2.0/tenants/{project_id}/users/{user_id}/roles"
_ASSIGNMENT = f"{_OF_USER}/OS-KSADM/{{role_id}}"


class NewRole(Body):
    name: Name


class NewRoleRequest(Body):
    role: NewRole


def router(identity: Identity) -> APIRouter:
    routes = APIRouter()

    @routes.get(_ROLES, dependencies=[may("identity:roles:list")])
    def list_roles(marker: Marker = None, limit: Limit = None) -> Response:
        found = page(identity.roles.all(), marker, limit)
        return JSONResponse({"roles": [role_view(role) for role in found], "roles_links": []})

    @routes.post(_ROLES, dependencies=[may("identity:roles:create")])
    def add_role(body: NewRoleRequest) -> Response:
        return JSONResponse({"role": role_view(create_role(identity, body.role.name))})

    @routes.get(f"{_ROLES}/{{role_id}}", dependencies=[may("identity:roles:list")])
    def show_role(role_id: str) -> Response:
        return JSONResponse({"role": role_view(identity.roles.get(role_id))})

    @routes.delete(f"{_ROLES}/{{role_id}}", dependencies=[may("identity:roles:delete")])
    def remove_role(role_id: str) -> Response:
        delete_role(identity, role_id)
        return Response(status_code=204)

    @routes.get(_OF_USER, dependencies=[may_own("identity:users:show")])
    def list_roles_of_user(project_id: str, user_id: str) -> Response:
        found = identity.roles.of(user_id, project_id)
        return JSONResponse({"roles": [role_view(role) for role in found], "roles_links": []})

    @routes.put(_ASSIGNMENT, dependencies=[may("identity:assignments:create")])
    def assign_role(project_id: str, user_id: str, role_id: str) -> Response:
        grant(identity, Assignment(user_id, project_id, role_id))
        return JSONResponse({"role": role_view(identity.roles.get(role_id))})

    @routes.delete(_ASSIGNMENT, dependencies=[may("identity:assignments:delete")])
    def take_role_away(project_id: str, user_id: str, role_id: str) -> Response:
        withdraw(identity, Assignment(user_id, project_id, role_id))
        return Response(status_code=204)

    return routes
