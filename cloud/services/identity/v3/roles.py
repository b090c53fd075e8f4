"""v3's roles, and who has which."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from cloud.domain.identity import Assignment
from cloud.errors import NotFoundError
from cloud.services.identity.bodies import Body, Name
from cloud.services.identity.grants import create_role, delete_role, grant, withdraw
from cloud.services.identity.guard import may
from cloud.services.identity.identity import Identity
from cloud.services.identity.page import Limit, Marker, page
from cloud.services.identity.v3.views import Views

_ALL = "/v3/roles"
_ONE = f"{_ALL}/{{role_id}}"
_OF_USER = "/v3/projects/{project_id}/users/{user_id}/roles"
_ASSIGNMENT = f"{_OF_USER}/{{role_id}}"


class NewRole(Body):
    name: Name


class NewRoleRequest(Body):
    role: NewRole


def router(identity: Identity) -> APIRouter:
    routes = APIRouter()
    views = Views(identity.catalog)

    @routes.get(_ALL, dependencies=[may("identity:roles:list")])
    def list_roles(
        name: str | None = None, domain_id: str | None = None, marker: Marker = None, limit: Limit = None
    ) -> Response:
        # Roles belong to no domain, so none is of one that is asked for.
        found = identity.roles.all(name=name) if not domain_id else ()
        return JSONResponse(views.listed("roles", "roles", [views.role(role) for role in page(found, marker, limit)]))

    @routes.post(_ALL, dependencies=[may("identity:roles:create")])
    def add_role(body: NewRoleRequest) -> Response:
        return JSONResponse({"role": views.role(create_role(identity, body.role.name))}, 201)

    @routes.get(_ONE, dependencies=[may("identity:roles:list")])
    def show_role(role_id: str) -> Response:
        return JSONResponse({"role": views.role(identity.roles.get(role_id))})

    @routes.delete(_ONE, dependencies=[may("identity:roles:delete")])
    def remove_role(role_id: str) -> Response:
        delete_role(identity, role_id)
        return Response(status_code=204)

    @routes.get(_OF_USER, dependencies=[may("identity:assignments:list")])
    def list_roles_of_user(project_id: str, user_id: str) -> Response:
        found = [views.role(role) for role in identity.roles.of(user_id, project_id)]
        return JSONResponse(views.listed("roles", f"projects/{project_id}/users/{user_id}/roles", found))

    @routes.put(_ASSIGNMENT, dependencies=[may("identity:assignments:create")])
    def assign_role(project_id: str, user_id: str, role_id: str) -> Response:
        grant(identity, Assignment(user_id, project_id, role_id))
        return Response(status_code=204)

    @routes.api_route(_ASSIGNMENT, methods=["GET", "HEAD"], dependencies=[may("identity:assignments:list")])
    def check_role(project_id: str, user_id: str, role_id: str) -> Response:
        if role_id not in {role.id for role in identity.roles.of(user_id, project_id)}:
            raise NotFoundError(f"cannot find role {role_id} of user {user_id} in project {project_id}")
        return Response(status_code=204)

    @routes.delete(_ASSIGNMENT, dependencies=[may("identity:assignments:delete")])
    def take_role_away(project_id: str, user_id: str, role_id: str) -> Response:
        withdraw(identity, Assignment(user_id, project_id, role_id))
        return Response(status_code=204)

    @routes.get("/v3/role_assignments", dependencies=[may("identity:assignments:list")])
    def list_assignments(
        request: Request,
        user_id: Annotated[str | None, Query(alias="user.id")] = None,
        project_id: Annotated[str | None, Query(alias="scope.project.id")] = None,
        role_id: Annotated[str | None, Query(alias="role.id")] = None,
    ) -> Response:
        found = identity.roles.assignments(user_id=user_id, project_id=project_id, role_id=role_id)
        names: dict[str, str] = {}
        if "include_names" in request.query_params:
            for things in (identity.users.all(), identity.projects.all(), identity.roles.all()):
                names |= {thing.id: thing.name for thing in things}
        shown = [views.assignment(assignment, names) for assignment in found]
        return JSONResponse(views.listed("role_assignments", "role_assignments", shown))

    return routes
