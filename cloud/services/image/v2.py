"""The routes of the Image API v2."""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from cloud.domain.image import ACTIVE, Image
from cloud.errors import BadRequestError, CloudError, NotFoundError
from cloud.policy.rules import require
from cloud.policy.table import POLICY
from cloud.services.image.asking import Asking
from cloud.services.image.body import read_json
from cloud.services.image.change import Change
from cloud.services.image.document import document_of
from cloud.services.image.fields import check_tag, read_fields
from cloud.services.image.images import Images
from cloud.services.image.listing import Page, Pairs, read_v2, select
from cloud.services.image.patch import FORMATS, change_of
from cloud.services.image.schemas import IMAGE_SCHEMA, IMAGES_SCHEMA
from cloud.services.image.store import Expected
from cloud.services.image.transfer import DataResponse, Transfers, check_announced


class UnsupportedMediaTypeError(CloudError):
    """A body of a kind that is not read here."""

    status = 415


Body = Annotated[Any, Depends(read_json)]


def v2_router(images: Images, transfers: Transfers, max_image_bytes: int) -> APIRouter:
    """The routes below `/v2`."""
    router = APIRouter(prefix="/v2")

    @router.get("/images")
    def list_images(request: Request, caller: Asking) -> Response:
        pairs = request.query_params.multi_items()
        page = select(images.visible(caller), read_v2(pairs))
        return JSONResponse(_list_document(page, pairs))

    @router.post("/images")
    def create_image(body: Body, caller: Asking) -> Response:
        if not isinstance(body, dict):
            raise BadRequestError("cannot create image: the body is not a JSON object")
        change, image_id = read_fields(body)
        image = images.create(caller, change, image_id)
        return JSONResponse(document_of(image), 201, {"Location": f"/v2/images/{image.id}"})

    @router.get("/images/{image_id}")
    def show_image(image_id: str, caller: Asking) -> Response:
        return JSONResponse(document_of(images.show(caller, image_id)))

    @router.patch("/images/{image_id}")
    def update_image(image_id: str, request: Request, body: Body, caller: Asking) -> Response:
        images.show(caller, image_id)
        read = FORMATS.get(request.headers.get("content-type", "").partition(";")[0].strip().lower())
        if read is None:
            raise UnsupportedMediaTypeError(f"cannot change image {image_id}: a patch is one of {', '.join(FORMATS)}")
        operations = read(body)
        return JSONResponse(document_of(images.update(caller, image_id, lambda image: change_of(operations, image))))

    @router.delete("/images/{image_id}")
    def delete_image(image_id: str, caller: Asking) -> Response:
        images.delete(caller, image_id)
        return Response(status_code=204)

    @router.put("/images/{image_id}/file")
    async def upload_image(image_id: str, request: Request, caller: Asking) -> Response:
        check_announced(request, max_image_bytes)
        expected = Expected(_announced_size(request))
        await transfers.upload(request, lambda: images.begin_upload(caller, image_id), expected, is_final=False)
        return Response(status_code=204)

    @router.get("/images/{image_id}/file")
    async def download_image(image_id: str, caller: Asking) -> Response:
        image = await run_in_threadpool(images.show, caller, image_id)
        if image.status != ACTIVE:
            return Response(status_code=204)
        data = await run_in_threadpool(images.open, image)
        return DataResponse(transfers, image, data, {"Content-MD5": image.checksum or ""})

    @router.put("/images/{image_id}/tags/{tag}")
    def add_tag(image_id: str, tag: str, caller: Asking) -> Response:
        check_tag(tag)
        images.update(caller, image_id, lambda image: _tagged(tuple(dict.fromkeys([*image.tags, tag]))))
        return Response(status_code=204)

    @router.delete("/images/{image_id}/tags/{tag}")
    def remove_tag(image_id: str, tag: str, caller: Asking) -> Response:
        def change(image: Image) -> Change:
            if tag not in image.tags:
                raise NotFoundError(f"cannot remove tag from image {image_id}: it has none of this name")
            return _tagged(tuple(name for name in image.tags if name != tag))

        images.update(caller, image_id, change)
        return Response(status_code=204)

    @router.get("/schemas/image")
    def show_image_schema(caller: Asking) -> Response:
        require(POLICY, "image:schemas:show", caller)
        return JSONResponse(IMAGE_SCHEMA)

    @router.get("/schemas/images")
    def show_images_schema(caller: Asking) -> Response:
        require(POLICY, "image:schemas:show", caller)
        return JSONResponse(IMAGES_SCHEMA)

    return router


def _tagged(tags: tuple[str, ...]) -> Change:
    return Change({"tags": tags})


def _list_document(page: Page, pairs: Pairs) -> dict[str, Any]:
    kept = [(name, value) for name, value in pairs if name != "marker"]
    document: dict[str, Any] = {
        "images": [document_of(image) for image in page.images],
        "first": _path(kept),
        "schema": "/v2/schemas/images",
    }
    if page.has_more and page.images:
        document["next"] = _path([*kept, ("marker", page.images[-1].id)])
    return document


def _path(pairs: Pairs) -> str:
    return f"/v2/images?{urlencode(pairs, errors='replace')}" if pairs else "/v2/images"


def _announced_size(request: Request) -> int | None:
    text = request.headers.get("x-openstack-image-size")
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise BadRequestError("invalid header x-openstack-image-size: it is no whole number that is not negative")
    return int(text)
