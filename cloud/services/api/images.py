"""images: the image service's images, as clients of 2014 ask nova for them."""

from collections.abc import Callable, Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from cloud.domain.image import ACTIVE, KILLED, QUEUED, SAVING, Image
from cloud.errors import BadRequestError
from cloud.services.api.call import Call, TheCall
from cloud.services.api.paging import Page
from cloud.services.api.times import read_time, second

router = APIRouter()

_STATUSES = {ACTIVE: "ACTIVE", QUEUED: "SAVING", SAVING: "SAVING", KILLED: "ERROR"}
_UNKNOWN = "UNKNOWN"
_PROGRESS = {QUEUED: 25, SAVING: 50, ACTIVE: 100}
_PROPERTY = "property-"
_SERVER = "instance_uuid"
"""The property of a snapshot that names what it was taken of."""
_TYPE = "image_type"


@router.get("/images")
def list_images(request: Request, call: TheCall) -> JSONResponse:
    page = Page.of(request, call.parts.conf.osapi_max_limit)
    found = _listed(request, call, page)
    shown = [{"id": image.id, "name": image.name, "links": _links(call, image)} for image in found]
    return _list_answer(shown, page.next_links(request, call, "images", [image.id for image in found]))


@router.get("/images/detail")
def list_images_in_detail(request: Request, call: TheCall) -> JSONResponse:
    page = Page.of(request, call.parts.conf.osapi_max_limit)
    found = _listed(request, call, page)
    links = page.next_links(request, call, "images/detail", [image.id for image in found])
    return _list_answer([_view(call, image) for image in found], links)


@router.get("/images/{image_id}")
def show_image(call: TheCall, image_id: str) -> JSONResponse:
    call.require("compute:images:show")
    return JSONResponse({"image": _view(call, call.parts.images.show(image_id))})


@router.delete("/images/{image_id}")
def delete_image(call: TheCall, image_id: str) -> Response:
    call.require("compute:images:delete")
    call.parts.images.delete(image_id)
    return Response(status_code=204)


def _listed(request: Request, call: Call, page: Page) -> Sequence[Image]:
    call.require("compute:images:list")
    query = request.query_params
    filters = [made for key, value in query.items() if (made := _filter(key, value)) is not None]
    name = query.get("name")
    found = call.parts.images.list(**({} if name is None else {"name": name}))
    return _page([image for image in found if all(fits(image) for fits in filters)], page)


def _filter(key: str, value: str) -> Callable[[Image], bool] | None:
    """Whether an image passes; None where the key of an address is no filter, or the image service's."""
    match key:
        case "status":
            return lambda image: value.lower() == image.status or value.upper() == _STATUSES.get(image.status, _UNKNOWN)
        case "minRam":
            min_ram_mb = _number(key, value)
            return lambda image: image.min_ram_mb == min_ram_mb
        case "minDisk":
            min_disk_gb = _number(key, value)
            return lambda image: image.min_disk_gb == min_disk_gb
        case "changes-since":
            since = read_time(key, value)
            return lambda image: image.updated_at >= since
        case "server":  # clients give its address too
            return _has_property(_SERVER, value.rpartition("/")[2])
        case "type":
            return _has_property(_TYPE, value)
    return _has_property(key.removeprefix(_PROPERTY), value) if key.startswith(_PROPERTY) else None


def _has_property(name: str, value: str) -> Callable[[Image], bool]:
    return lambda image: image.properties.get(name) == value


def _number(key: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BadRequestError(f"cannot use {key}: it is not a whole number of 0 or more")
    return int(text)


def _page(images: Sequence[Image], page: Page) -> Sequence[Image]:
    start = 0
    if page.marker is not None:
        ids = [image.id for image in images]
        if page.marker not in ids:
            raise BadRequestError("cannot use marker: there is no such image in the list")
        start = ids.index(page.marker) + 1
    return images[start : start + page.limit]


def _list_answer(shown: list[dict[str, Any]], links: list[dict[str, str]]) -> JSONResponse:
    return JSONResponse({"images": shown} | ({"images_links": links} if links else {}))


def _view(call: Call, image: Image) -> dict[str, Any]:
    uuid = image.properties.get(_SERVER)
    server = {} if uuid is None else {"server": {"id": uuid, "links": call.links("servers", uuid)}}
    return {
        "id": image.id,
        "name": image.name,
        "status": _STATUSES.get(image.status, _UNKNOWN),
        "progress": _PROGRESS.get(image.status, 0),
        "created": second(image.created_at),
        "updated": second(image.updated_at),
        "minRam": image.min_ram_mb,
        "minDisk": image.min_disk_gb,
        "metadata": dict(image.properties),
        "OS-EXT-IMG-SIZE:size": image.size or 0,
        "links": _links(call, image),
        **server,
    }


def _links(call: Call, image: Image) -> list[dict[str, str]]:
    """Also where the image service has it."""
    alternate = f"{call.parts.conf.image.url.rstrip('/')}/{call.project_id}/images/{image.id}"
    return [
        *call.links("images", image.id),
        {"href": alternate, "rel": "alternate", "type": "application/vnd.openstack.image"},
    ]
