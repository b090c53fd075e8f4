"""os-extra_specs: what else a flavor asks of a host, as pairs of texts that filters of the scheduler read."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from starlette.responses import JSONResponse, Response

from cloud.errors import BadRequestError, NotFoundError
from cloud.services.api.body import Body, BodyOf
from cloud.services.api.call import TheCall
from cloud.services.api.flavors import seen_flavor

router = APIRouter()

MAX_SPECS = 128
"""In one request: as many as there may be items of metadata by default."""


def _text(value: object) -> object:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


SpecKey = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9_:. -]+$")]
SpecValue = Annotated[str, StringConstraints(max_length=255), BeforeValidator(_text)]


class ExtraSpecs(Body):
    extra_specs: Annotated[dict[SpecKey, SpecValue], Field(max_length=MAX_SPECS)]


def _is_the_spec(schema: dict[str, Any]) -> None:
    spec = schema.pop("properties")["spec"]
    del schema["required"]
    schema.update(spec)


class OneSpec(Body):
    """The body is the one pair itself."""

    model_config = ConfigDict(json_schema_extra=_is_the_spec)

    spec: Annotated[dict[SpecKey, SpecValue], Field(min_length=1, max_length=1)]

    @model_validator(mode="before")
    @classmethod
    def _whole(cls, values: Any) -> Any:
        return {"spec": values}


@router.get("/flavors/{flavorid}/os-extra_specs")
def list_specs(call: TheCall, flavorid: str) -> JSONResponse:
    call.require("compute:flavor_extra_specs:list")
    return JSONResponse({"extra_specs": dict(seen_flavor(call, flavorid).extra_specs)})


@router.post("/flavors/{flavorid}/os-extra_specs")
def create_specs(
    call: TheCall, flavorid: str, body: Annotated[ExtraSpecs, Depends(BodyOf(ExtraSpecs))]
) -> JSONResponse:
    """Set these beside those that are there."""
    call.require("compute:flavor_extra_specs:create")
    call.parts.flavors.set_extra_specs(flavorid, body.extra_specs)
    return JSONResponse({"extra_specs": body.extra_specs})


@router.get("/flavors/{flavorid}/os-extra_specs/{key}")
def show_spec(call: TheCall, flavorid: str, key: str) -> JSONResponse:
    call.require("compute:flavor_extra_specs:show")
    specs = seen_flavor(call, flavorid).extra_specs
    if key not in specs:
        raise NotFoundError(f"cannot find extra spec {key} of flavor {flavorid}")
    return JSONResponse({key: specs[key]})


@router.put("/flavors/{flavorid}/os-extra_specs/{key}")
def update_spec(
    call: TheCall, flavorid: str, key: str, body: Annotated[OneSpec, Depends(BodyOf(OneSpec))]
) -> JSONResponse:
    """Also one that is not there yet."""
    call.require("compute:flavor_extra_specs:update")
    if key not in body.spec:
        raise BadRequestError("cannot set extra spec: the body names another one than the address")
    call.parts.flavors.set_extra_specs(flavorid, body.spec)
    return JSONResponse(body.spec)


@router.delete("/flavors/{flavorid}/os-extra_specs/{key}")
def delete_spec(call: TheCall, flavorid: str, key: str) -> Response:
    call.require("compute:flavor_extra_specs:delete")
    call.parts.flavors.delete_extra_spec(flavorid, key)
    return Response(status_code=200)
