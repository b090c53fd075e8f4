"""os-quota-sets: how much a project may have of each resource."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BeforeValidator, Field, ValidationInfo, model_validator
from starlette.responses import JSONResponse, Response

from cloud.db.bounds import MAX_INTEGER
from cloud.errors import BadRequestError
from cloud.services.api.body import Body, BodyOf, Flag
from cloud.services.api.call import Call, TheCall
from cloud.services.api.versions import V2

router = APIRouter()

UNLIMITED = -1
_NAMES_OF_THE_PROJECT = frozenset({"tenant_id", "id"})
"""What clients of 2014 repeat in the body."""


def _number(value: object) -> object:
    is_digits = isinstance(value, str) and value.isascii() and value.removeprefix("-").isdigit() and len(value) <= 11
    return int(value) if isinstance(value, str) and is_digits else value


Limit = Annotated[int, Field(ge=UNLIMITED, le=MAX_INTEGER), BeforeValidator(_number)]


class QuotaLimitsBody(Body):
    """Limits by resource; one that is left out, or null, stays as it is."""

    instances: Limit | None = None
    cores: Limit | None = None
    ram: Limit | None = None
    key_pairs: Limit | None = None
    metadata_items: Limit | None = None
    injected_files: Limit | None = None
    injected_file_content_bytes: Limit | None = None
    injected_file_path_bytes: Limit | None = None
    floating_ips: Limit | None = None
    fixed_ips: Limit | None = None
    security_groups: Limit | None = None
    security_group_rules: Limit | None = None
    force: Flag = False
    """Whether a limit may be below what is used."""

    @model_validator(mode="before")
    @classmethod
    def _known(cls, values: Any, info: ValidationInfo) -> Any:
        """A quota that is misspelt is refused by every version."""
        if not (isinstance(values, dict) and info.context and info.context["version"] == V2):
            return values
        rest = {key: value for key, value in values.items() if key not in _NAMES_OF_THE_PROJECT}
        if any(key not in cls.model_fields for key in rest):
            raise ValueError("there is a resource among these that has no quota")
        return rest

    def limits(self) -> dict[str, int]:
        given = self.model_dump(exclude={"force"}, exclude_none=True)
        return {resource: int(limit) for resource, limit in given.items()}


class QuotaSetBody(Body):
    quota_set: QuotaLimitsBody


def _refuse_user(user_id: str | None) -> None:
    """What is meant for one user must not change, or be taken for, what holds for the whole project."""
    if user_id is not None:
        raise BadRequestError("cannot use user_id: quotas are those of projects")


@router.get("/os-quota-sets/{project_id}")
def show_quotas(call: TheCall, project_id: str, user_id: str | None = None) -> JSONResponse:
    call.require("compute:quotas:show", project_id)
    _refuse_user(user_id)
    return JSONResponse({"quota_set": {"id": project_id, **call.parts.quotas.limits(project_id)}})


@router.get("/os-quota-sets/{project_id}/defaults")
def show_default_quotas(call: TheCall, project_id: str) -> JSONResponse:
    """What holds for a project that has no limits of its own."""
    call.require("compute:quotas:defaults")
    return JSONResponse({"quota_set": {"id": project_id, **call.parts.quotas.defaults}})


@router.get("/os-quota-sets/{project_id}/detail")
def show_quotas_in_detail(call: TheCall, project_id: str, user_id: str | None = None) -> JSONResponse:
    """Each limit beside what is used of it."""
    call.require("compute:quotas:show", project_id)
    _refuse_user(user_id)
    used = _used(call, project_id)
    shown = {
        resource: {"limit": limit, "in_use": used.get(resource, 0), "reserved": 0}
        for resource, limit in call.parts.quotas.limits(project_id).items()
    }
    return JSONResponse({"quota_set": {"id": project_id, **shown}})


@router.put("/os-quota-sets/{project_id}")
def update_quotas(
    call: TheCall,
    project_id: str,
    body: Annotated[QuotaSetBody, Depends(BodyOf(QuotaSetBody))],
    user_id: str | None = None,
) -> JSONResponse:
    """Give the project limits of its own; without force none below what it uses."""
    call.require("compute:quotas:update", project_id)
    _refuse_user(user_id)
    limits = body.quota_set.limits()
    if not body.quota_set.force:
        _check_against(_used(call, project_id), limits)
    return JSONResponse({"quota_set": dict(call.parts.quotas.set(project_id, limits))})


@router.delete("/os-quota-sets/{project_id}")
def delete_quotas(call: TheCall, project_id: str, user_id: str | None = None) -> Response:
    """Back to the defaults."""
    call.require("compute:quotas:delete", project_id)
    _refuse_user(user_id)
    call.parts.quotas.delete(project_id)
    return Response(status_code=202)


def _used(call: Call, project_id: str) -> dict[str, int]:
    """What is counted of a project; key pairs are their users'."""
    used = call.parts.instances.usage(project_id)
    return {"instances": used.instances, "cores": used.cores, "ram": used.ram_mb}


def _check_against(used: Mapping[str, int], limits: Mapping[str, int]) -> None:
    for resource, limit in limits.items():
        if UNLIMITED != limit < used.get(resource, 0):
            raise BadRequestError(
                f"cannot set quota {resource} to {limit}: {used[resource]} are used already, and force is not set"
            )
