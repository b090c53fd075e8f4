"""v3's projects."""

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from cloud.db.projects import ProjectChange
from cloud.domain.identity import DEFAULT_DOMAIN_ID
from cloud.errors import BadRequestError
from cloud.logs.emit import logger
from cloud.services.identity.bodies import Body, Claimed, Description, Name
from cloud.services.identity.guard import may, may_in_project, may_own
from cloud.services.identity.identity import Identity
from cloud.services.identity.page import Limit, Marker, page
from cloud.services.identity.v3.lists import DomainId, Enabled, is_of_domain, is_wanted
from cloud.services.identity.v3.views import Views

_ALL = "/v3/projects"
_ONE = f"{_ALL}/{{project_id}}"


class NewProject(Body):
    name: Name
    description: Description | None = None
    enabled: bool = True
    domain_id: Claimed | None = None
    parent_id: Claimed | None = None
    is_domain: bool = False


class NewProjectRequest(Body):
    project: NewProject


class ChangedProject(Body):
    name: Name | None = None
    description: Description | None = None
    enabled: bool | None = None


class ChangedProjectRequest(Body):
    project: ChangedProject


def router(identity: Identity) -> APIRouter:
    routes = APIRouter()
    views = Views(identity.catalog)

    @routes.get(_ALL, dependencies=[may("identity:projects:list")])
    def list_projects(
        name: str | None = None,
        domain_id: DomainId = None,
        enabled: Enabled = None,
        marker: Marker = None,
        limit: Limit = None,
    ) -> Response:
        found = [
            project
            for project in identity.projects.all(name=name)
            if is_of_domain(domain_id) and is_wanted(is_enabled=project.is_enabled, enabled=enabled)
        ]
        shown = [views.project(project) for project in page(found, marker, limit)]
        return JSONResponse(views.listed("projects", "projects", shown))

    @routes.post(_ALL, dependencies=[may("identity:projects:create")])
    def create_project(body: NewProjectRequest) -> Response:
        new = body.project
        if new.is_domain or {new.domain_id, new.parent_id} - {None, DEFAULT_DOMAIN_ID}:
            raise BadRequestError("cannot create a project but right below the default domain, which is the only one")
        project = identity.projects.create(new.name, new.description or "", is_enabled=new.enabled)
        logger.bind(subject_project=project.id).info("project created")
        return JSONResponse({"project": views.project(project)}, 201)

    @routes.get(_ONE, dependencies=[may_in_project("identity:projects:show")])
    def show_project(project_id: str) -> Response:
        return JSONResponse({"project": views.project(identity.projects.get(project_id))})

    @routes.patch(_ONE, dependencies=[may("identity:projects:update")])
    def update_project(project_id: str, body: ChangedProjectRequest) -> Response:
        new = body.project
        project = identity.projects.update(project_id, ProjectChange(new.name, new.description, new.enabled))
        logger.bind(subject_project=project.id, is_enabled=project.is_enabled).info("project changed")
        return JSONResponse({"project": views.project(project)})

    @routes.delete(_ONE, dependencies=[may("identity:projects:delete")])
    def delete_project(project_id: str) -> Response:
        identity.projects.delete(project_id)
        logger.bind(subject_project=project_id).info("project deleted")
        return Response(status_code=204)

    @routes.get("/v3/users/{user_id}/projects", dependencies=[may_own("identity:projects:list_own")])
    def list_projects_of_user(user_id: str) -> Response:
        identity.users.get(user_id)
        shown = [views.project(project) for project in identity.projects.of_user(user_id)]
        return JSONResponse(views.listed("projects", f"users/{user_id}/projects", shown))

    return routes
