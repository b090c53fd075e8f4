"""v2.0's tenants: one's own for everybody, all of them for admins."""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from cloud.db.projects import ProjectChange
from cloud.errors import NotFoundError
from cloud.logs.emit import logger
from cloud.policy.rules import is_allowed
from cloud.policy.table import POLICY
from cloud.services.identity.bodies import Body, Description, Name
from cloud.services.identity.guard import may, may_in_project
from cloud.services.identity.identity import Identity
from cloud.services.identity.page import Limit, Marker, page
from cloud.services.identity.v2.views import tenant_view, user_view

_ONE = "/v2.0/tenants/{project_id}"


class NewTenant(Body):
    name: Name
    description: Description | None = None
    enabled: bool = True


class NewTenantRequest(Body):
    tenant: NewTenant


class ChangedTenant(Body):
    name: Name | None = None
    description: Description | None = None
    enabled: bool | None = None


class ChangedTenantRequest(Body):
    tenant: ChangedTenant


def router(identity: Identity) -> APIRouter:
    routes = APIRouter()

    @routes.get("/v2.0/tenants", dependencies=[may("identity:projects:list_own")])
    def list_tenants(request: Request, name: str | None = None, marker: Marker = None, limit: Limit = None) -> Response:
        caller = request.state.caller
        if not is_allowed(POLICY, "identity:projects:list", caller):
            found = identity.projects.of_user(caller.user_id)
        elif name is None:
            found = identity.projects.all()
        else:
            named = identity.projects.all(name=name)
            if not named:
                raise NotFoundError("cannot find a tenant of that name")
            return JSONResponse({"tenant": tenant_view(named[0])})
        shown = [tenant_view(tenant) for tenant in page(found, marker, limit)]
        return JSONResponse({"tenants": shown, "tenants_links": []})

    @routes.post("/v2.0/tenants", dependencies=[may("identity:projects:create")])
    def create_tenant(body: NewTenantRequest) -> Response:
        new = body.tenant
        tenant = identity.projects.create(new.name, new.description or "", is_enabled=new.enabled)
        logger.bind(subject_project=tenant.id).info("project created")
        return JSONResponse({"tenant": tenant_view(tenant)})

    @routes.get(_ONE, dependencies=[may_in_project("identity:projects:show")])
    def show_tenant(project_id: str) -> Response:
        return JSONResponse({"tenant": tenant_view(identity.projects.get(project_id))})

    @routes.put(_ONE, dependencies=[may("identity:projects:update")])
    @routes.post(_ONE, dependencies=[may("identity:projects:update")])
    def update_tenant(project_id: str, body: ChangedTenantRequest) -> Response:
        new = body.tenant
        tenant = identity.projects.update(project_id, ProjectChange(new.name, new.description, new.enabled))
        logger.bind(subject_project=tenant.id, is_enabled=tenant.is_enabled).info("project changed")
        return JSONResponse({"tenant": tenant_view(tenant)})

    @routes.delete(_ONE, dependencies=[may("identity:projects:delete")])
    def delete_tenant(project_id: str) -> Response:
        identity.projects.delete(project_id)
        logger.bind(subject_project=project_id).info("project deleted")
        return Response(status_code=204)

    @routes.get(f"{_ONE}/users", dependencies=[may("identity:assignments:list")])
    def list_users(project_id: str) -> Response:
        return JSONResponse({"users": [user_view(user) for user in identity.users.of_project(project_id)]})

    return routes
