"""os-quota-class-sets: the limits that projects begin with."""

from fastapi import APIRouter
from starlette.responses import JSONResponse

from cloud.services.api.call import TheCall

router = APIRouter()


@router.get("/os-quota-class-sets/{name}")
def show_quota_class(call: TheCall, name: str) -> JSONResponse:
    """nova.conf's limits under any name: there is no class that has others."""
    call.require("compute:quota_classes:show")
    return JSONResponse({"quota_class_set": {"id": name, **call.parts.quotas.defaults}})
