"""The routes of the Image API v1, where what is known of an image travels in headers."""

from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from cloud.domain.caller import Caller
from cloud.domain.image import ACTIVE, QUEUED, Image
from cloud.errors import BadRequestError, ConflictError, NotFoundError
from cloud.services.image.asking import Asking
from cloud.services.image.change import Change
from cloud.services.image.headers import Metadata, headers_of, read_headers, v1_document_of
from cloud.services.image.images import Images
from cloud.services.image.listing import boolean, read_v1, select
from cloud.services.image.transfer import DataResponse, Transfers, check_announced, has_body

_BRIEF = ("id", "name", "container_format", "disk_format", "checksum", "size")


def v1_router(images: Images, transfers: Transfers, max_image_bytes: int) -> APIRouter:
    """The routes below `/v1`."""
    router = APIRouter(prefix="/v1")

    @router.get("/images")
    def list_images(request: Request, caller: Asking) -> Response:
        found = _selected(images, request, caller)
        return JSONResponse({"images": [{name: image[name] for name in _BRIEF} for image in found]})

    @router.get("/images/detail")
    def list_images_in_detail(request: Request, caller: Asking) -> Response:
        return JSONResponse({"images": _selected(images, request, caller)})

    @router.head("/images/{image_id}")
    def show_image(image_id: str, caller: Asking) -> Response:
        return _with_headers(Response(), images.show(caller, image_id))

    @router.get("/images/{image_id}")
    async def download_image(image_id: str, caller: Asking) -> Response:
        image = await run_in_threadpool(images.show, caller, image_id)
        if image.status != ACTIVE:
            raise NotFoundError(f"cannot read image {image_id}: it is {image.status}, not {ACTIVE}")
        data = await run_in_threadpool(images.open, image)
        return _with_headers(DataResponse(transfers, image, data, {"ETag": image.checksum or ""}), image)

    @router.post("/images")
    async def create_image(request: Request, caller: Asking) -> Response:
        check_announced(request, max_image_bytes)
        metadata = read_headers(request.headers.raw)
        given = metadata.change.attributes
        if has_body(request) and not (given.get("disk_format") and given.get("container_format")):
            raise BadRequestError("cannot upload image: data comes with x-image-meta-disk_format and -container_format")
        image = await run_in_threadpool(images.create, caller, metadata.change, metadata.image_id)
        if has_body(request):
            image = await _uploaded(image.id, request, caller, metadata)
        return JSONResponse({"image": v1_document_of(image)}, 201, {"Location": f"/v1/images/{image.id}"})

    @router.put("/images/{image_id}")
    async def update_image(image_id: str, request: Request, caller: Asking) -> Response:
        check_announced(request, max_image_bytes)
        metadata = read_headers(request.headers.raw)
        if metadata.image_id not in (None, image_id):
            raise BadRequestError(f"cannot change image {image_id}: an image keeps its id")

        def change(image: Image) -> Change:
            if has_body(request) and image.status != QUEUED:
                raise ConflictError(f"cannot upload image {image_id}: it is {image.status}, not {QUEUED}")
            return replace(metadata.change, purges=metadata.purges and not has_body(request))

        image = await run_in_threadpool(images.update, caller, image_id, change)
        if has_body(request):
            image = await _uploaded(image_id, request, caller, metadata)
        return JSONResponse({"image": v1_document_of(image)})

    @router.delete("/images/{image_id}")
    def delete_image(image_id: str, caller: Asking) -> Response:
        images.delete(caller, image_id)
        return Response()

    async def _uploaded(image_id: str, request: Request, caller: Caller, metadata: Metadata) -> Image:
        return await transfers.upload(
            request, lambda: images.begin_upload(caller, image_id), metadata.expected, is_final=True
        )

    return router


def _selected(images: Images, request: Request, caller: Caller) -> list[dict[str, Any]]:
    pairs = request.query_params.multi_items()
    wanted = dict(pairs).get("is_public", "true")
    found = images.visible(caller)
    if wanted.lower() != "none":  # for which admins see everything
        is_public = boolean("is_public", wanted)
        found = [
            image
            for image in found
            if image.is_public == is_public or (is_public and image.owner == caller.project_id is not None)
        ]
    return [v1_document_of(image) for image in select(found, read_v1(pairs)).images]


def _with_headers(response: Response, image: Image) -> Response:
    response.raw_headers.extend(headers_of(image))
    return response
