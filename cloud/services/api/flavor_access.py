"""os-flavor-access: which projects may use a flavor that is not public."""

from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field, StringConstraints
from starlette.responses import JSONResponse

from cloud.errors import BadRequestError, ConflictError, FlavorNotFoundError
from cloud.services.api.body import Body, BodyOf
from cloud.services.api.call import TheCall
from cloud.services.api.flavors import seen_flavor
from cloud.services.api.versions import V2_7

router = APIRouter()


class Tenant(Body):
    tenant: Annotated[str, StringConstraints(min_length=1, max_length=255)]


class FlavorAction(Body):
    """One of both."""

    add: Tenant | None = Field(None, alias="addTenantAccess")
    remove: Tenant | None = Field(None, alias="removeTenantAccess")


@router.get("/flavors/{flavorid}/os-flavor-access")
def list_access(call: TheCall, flavorid: str) -> JSONResponse:
    """FlavorNotFoundError for a public one, which has no such list."""
    call.require("compute:flavor_access:list")
    if seen_flavor(call, flavorid).is_public:
        raise FlavorNotFoundError(f"cannot list who may use flavor {flavorid}: it is public")
    return _answer(flavorid, call.parts.flavors.access(flavorid))


@router.post("/flavors/{flavorid}/action")
def change_access(
    call: TheCall, flavorid: str, body: Annotated[FlavorAction, Depends(BodyOf(FlavorAction))]
) -> JSONResponse:
    match body.add, body.remove:
        case Tenant(tenant=tenant), None:
            call.require("compute:flavor_access:add")
            if call.version >= V2_7 and call.parts.flavors.get(flavorid).is_public:
                raise ConflictError(f"cannot add project {tenant} to flavor {flavorid}: the flavor is public")
            projects = call.parts.flavors.add_access(flavorid, tenant)
        case None, Tenant(tenant=tenant):
            call.require("compute:flavor_access:remove")
            projects = call.parts.flavors.remove_access(flavorid, tenant)
        case _:
            raise BadRequestError("cannot change a flavor: it takes one of addTenantAccess and removeTenantAccess")
    return _answer(flavorid, projects)


def _answer(flavorid: str, projects: Iterable[str]) -> JSONResponse:
    pairs = [{"flavor_id": flavorid, "tenant_id": project_id} for project_id in projects]
    return JSONResponse({"flavor_access": pairs})
