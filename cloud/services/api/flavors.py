"""flavors: how much of a host an instance may get; listed and shown to all, made and deleted by admins."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BeforeValidator, Field, StringConstraints, TypeAdapter, ValidationError
from starlette.responses import JSONResponse, Response

from cloud.db.bounds import MAX_INTEGER
from cloud.domain.flavor import Flavor
from cloud.errors import BadRequestError
from cloud.services.api.body import Body, BodyOf, Flag, Name
from cloud.services.api.call import Call, TheCall
from cloud.services.api.paging import Page

router = APIRouter()

MAX_RXTX_FACTOR = 3.40282e38
"""The largest number of single precision, in which nova kept it."""


def _text(value: object) -> object:
    """Clients send a flavor's id as a number where it looks like one."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _whole(value: object) -> object:
    is_digits = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _MAX_NUMBER_LENGTH
    return int(value) if isinstance(value, str) and is_digits else value


def _float(value: object) -> object:
    try:
        return float(value) if isinstance(value, str) and len(value) <= _MAX_NUMBER_LENGTH else value
    except ValueError:
        return value


_MAX_NUMBER_LENGTH = 64
_FLAG: TypeAdapter[bool] = TypeAdapter(Flag)
FlavorId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9._-]([a-zA-Z0-9. _-]*[a-zA-Z0-9._-])?$"),
    BeforeValidator(_text),
]
Some = Annotated[int, Field(ge=1, le=MAX_INTEGER), BeforeValidator(_whole)]
SomeOrNone = Annotated[int, Field(ge=0, le=MAX_INTEGER), BeforeValidator(_whole)]
Factor = Annotated[float, Field(gt=0, le=MAX_RXTX_FACTOR, allow_inf_nan=False), BeforeValidator(_float)]


class NewFlavor(Body):
    """MiB and GiB; without an id it gets one."""

    name: Name
    id: FlavorId | None = None
    ram: Some
    vcpus: Some
    disk: SomeOrNone
    ephemeral: SomeOrNone = Field(0, alias="OS-FLV-EXT-DATA:ephemeral")
    swap: SomeOrNone = 0
    rxtx_factor: Factor = 1.0
    is_public: Flag = Field(True, alias="os-flavor-access:is_public")


class NewFlavorBody(Body):
    flavor: NewFlavor


@router.get("/flavors")
def list_flavors(request: Request, call: TheCall) -> JSONResponse:
    page = Page.of(request, call.parts.conf.osapi_max_limit)
    found = _listed(request, call, page)
    shown = [{"id": flavor.flavorid, "name": flavor.name, "links": _links(call, flavor)} for flavor in found]
    return _list_answer(shown, page.next_links(request, call, "flavors", [flavor.flavorid for flavor in found]))


@router.get("/flavors/detail")
def list_flavors_in_detail(request: Request, call: TheCall) -> JSONResponse:
    page = Page.of(request, call.parts.conf.osapi_max_limit)
    found = _listed(request, call, page)
    links = page.next_links(request, call, "flavors/detail", [flavor.flavorid for flavor in found])
    return _list_answer([flavor_view(call, flavor) for flavor in found], links)


@router.get("/flavors/{flavorid}")
def show_flavor(call: TheCall, flavorid: str) -> JSONResponse:
    call.require("compute:flavors:show")
    return JSONResponse({"flavor": flavor_view(call, seen_flavor(call, flavorid))})


@router.post("/flavors")
def create_flavor(call: TheCall, body: Annotated[NewFlavorBody, Depends(BodyOf(NewFlavorBody))]) -> JSONResponse:
    """ConflictError where the id or the name is taken."""
    call.require("compute:flavors:create")
    wanted = body.flavor
    flavor = Flavor(
        id=0,
        flavorid=wanted.id or str(uuid.uuid4()),
        name=wanted.name,
        memory_mb=wanted.ram,
        vcpus=wanted.vcpus,
        root_gb=wanted.disk,
        ephemeral_gb=wanted.ephemeral,
        swap_mb=wanted.swap,
        rxtx_factor=wanted.rxtx_factor,
        is_public=wanted.is_public,
    )
    return JSONResponse({"flavor": flavor_view(call, call.parts.flavors.create(flavor))})


@router.delete("/flavors/{flavorid}")
def delete_flavor(call: TheCall, flavorid: str) -> Response:
    """Instances of it stay as they are."""
    call.require("compute:flavors:delete")
    call.parts.flavors.delete(flavorid)
    return Response(status_code=202)


def seen_flavor(call: Call, flavorid: str) -> Flavor:
    """FlavorNotFoundError too for one that the caller's project may not use, unless an admin asks."""
    return call.parts.flavors.get(flavorid, call.seen_project)


def flavor_view(call: Call, flavor: Flavor) -> dict[str, Any]:
    """As it is shown alone, and in a list in detail."""
    return {
        "id": flavor.flavorid,
        "name": flavor.name,
        "ram": flavor.memory_mb,
        "disk": flavor.root_gb,
        "vcpus": flavor.vcpus,
        "swap": flavor.swap_mb or "",
        "rxtx_factor": flavor.rxtx_factor,
        "OS-FLV-EXT-DATA:ephemeral": flavor.ephemeral_gb,
        "OS-FLV-DISABLED:disabled": False,  # no call of the API has ever disabled one
        "os-flavor-access:is_public": flavor.is_public,
        "links": _links(call, flavor),
    }


def _links(call: Call, flavor: Flavor) -> list[dict[str, str]]:
    return call.links("flavors", flavor.flavorid)


def _list_answer(shown: list[dict[str, Any]], links: list[dict[str, str]]) -> JSONResponse:
    return JSONResponse({"flavors": shown} | ({"flavors_links": links} if links else {}))


_SORT_KEYS: Mapping[str, Callable[[Flavor], Any]] = {
    "flavorid": lambda flavor: flavor.flavorid,
    "id": lambda flavor: flavor.id,
    "name": lambda flavor: flavor.name,
    "memory_mb": lambda flavor: flavor.memory_mb,
    "vcpus": lambda flavor: flavor.vcpus,
    "root_gb": lambda flavor: flavor.root_gb,
    "ephemeral_gb": lambda flavor: flavor.ephemeral_gb,
    "swap": lambda flavor: flavor.swap_mb,
    "rxtx_factor": lambda flavor: flavor.rxtx_factor,
    "is_public": lambda flavor: flavor.is_public,
}


def _listed(request: Request, call: Call, page: Page) -> Sequence[Flavor]:
    call.require("compute:flavors:list")
    query = request.query_params
    is_public: bool | None = True
    if call.is_allowed("compute:flavors:list:any"):
        is_public = _is_public(query.get("is_public"))
    if is_public:  # those that the project may use are not all public
        found = call.parts.flavors.all(project_id=call.project_id)
    else:
        found = call.parts.flavors.all(is_public=is_public)
    min_ram_mb, min_disk_gb = (_least(query.get(name), name) for name in ("minRam", "minDisk"))
    wanted = [flavor for flavor in found if flavor.memory_mb >= min_ram_mb and flavor.root_gb >= min_disk_gb]
    return _page(_sorted(wanted, query.get("sort_key"), query.get("sort_dir")), page)


def _is_public(text: str | None) -> bool | None:
    """None for both kinds; what an admin gets who does not say is what everybody gets."""
    if text is None:
        return True
    if text.lower() == "none":
        return None
    try:
        return _FLAG.validate_python(text)
    except ValidationError:
        raise BadRequestError("cannot use is_public: it is neither true nor false nor none") from None


def _least(text: str | None, name: str) -> int:
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_NUMBER_LENGTH):
        raise BadRequestError(f"cannot use {name}: it is not a whole number of 0 or more")
    return int(text)


def _sorted(flavors: Sequence[Flavor], key: str | None, direction: str | None) -> Sequence[Flavor]:
    """By flavorid, unless told otherwise; equals in the order in which they were made."""
    by = _SORT_KEYS.get(key or "flavorid")
    if by is None:
        raise BadRequestError("cannot use sort_key: flavors cannot be sorted by it")
    if direction not in (None, "", "asc", "desc"):
        raise BadRequestError("cannot use sort_dir: it is neither asc nor desc")
    return sorted(flavors, key=lambda flavor: (by(flavor), flavor.id), reverse=direction == "desc")


def _page(flavors: Sequence[Flavor], page: Page) -> Sequence[Flavor]:
    start = 0
    if page.marker is not None:
        ids = [flavor.flavorid for flavor in flavors]
        if page.marker not in ids:
            raise BadRequestError("cannot use marker: there is no such flavor in the list")
        start = ids.index(page.marker) + 1
    return flavors[start : start + page.limit]
