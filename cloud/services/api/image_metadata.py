"""images/ID/metadata: the properties of an image, one by one or all."""

from collections.abc import Collection, Mapping
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field, StringConstraints
from starlette.responses import JSONResponse, Response

from cloud.db.quotas import UNLIMITED
from cloud.errors import BadRequestError, NotFoundError, QuotaError
from cloud.services.api.body import Body, BodyOf
from cloud.services.api.call import Call, TheCall

router = APIRouter()

Key = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9_:. -]+$")]
Value = Annotated[str, StringConstraints(max_length=255)]


class ImageMetadata(Body):
    metadata: dict[Key, Value]


class ImageMetadataItem(Body):
    meta: Annotated[dict[Key, Value], Field(min_length=1, max_length=1)]


@router.get("/images/{image_id}/metadata")
def list_metadata(call: TheCall, image_id: str) -> JSONResponse:
    call.require("compute:images:show")
    return _answer(call.parts.images.show(image_id).properties)


@router.post("/images/{image_id}/metadata")
def add_metadata(
    call: TheCall, image_id: str, body: Annotated[ImageMetadata, Depends(BodyOf(ImageMetadata))]
) -> JSONResponse:
    """Set these beside those that are there."""
    return _answer(_change(call, image_id, set_to=body.metadata))


@router.put("/images/{image_id}/metadata")
def replace_metadata(
    call: TheCall, image_id: str, body: Annotated[ImageMetadata, Depends(BodyOf(ImageMetadata))]
) -> JSONResponse:
    """These, and no others."""
    others = call.parts.images.show(image_id).properties.keys() - body.metadata.keys()
    return _answer(_change(call, image_id, set_to=body.metadata, removed=others))


@router.get("/images/{image_id}/metadata/{key}")
def show_item(call: TheCall, image_id: str, key: str) -> JSONResponse:
    call.require("compute:images:show")
    properties = call.parts.images.show(image_id).properties
    if key not in properties:
        raise NotFoundError(f"cannot find metadata {key} of image {image_id}")
    return JSONResponse({"meta": {key: properties[key]}})


@router.put("/images/{image_id}/metadata/{key}")
def set_item(
    call: TheCall, image_id: str, key: str, body: Annotated[ImageMetadataItem, Depends(BodyOf(ImageMetadataItem))]
) -> JSONResponse:
    if key not in body.meta:
        raise BadRequestError("cannot set metadata: the body names another key than the address")
    _change(call, image_id, set_to=body.meta)
    return JSONResponse({"meta": body.meta})


@router.delete("/images/{image_id}/metadata/{key}")
def delete_item(call: TheCall, image_id: str, key: str) -> Response:
    if key not in call.parts.images.show(image_id).properties:
        raise NotFoundError(f"cannot find metadata {key} of image {image_id}")
    _change(call, image_id, removed=(key,))
    return Response(status_code=204)


def _change(
    call: Call, image_id: str, *, set_to: Mapping[str, str] | None = None, removed: Collection[str] = ()
) -> Mapping[str, str]:
    """All properties as they are then; QuotaError beyond the project's limit of metadata_items."""
    call.require("compute:images:update")
    wanted = set_to or {}
    limit = call.parts.quotas.limits(call.project_id)["metadata_items"]
    count = len((call.parts.images.show(image_id).properties.keys() | wanted.keys()) - set(removed))
    if wanted and limit != UNLIMITED and count > limit:
        raise QuotaError(f"cannot set metadata of image {image_id}: quota of metadata_items is {limit}")
    return call.parts.images.change_properties(image_id, set_to=wanted, removed=removed).properties


def _answer(properties: Mapping[str, str]) -> JSONResponse:
    return JSONResponse({"metadata": dict(properties)})
