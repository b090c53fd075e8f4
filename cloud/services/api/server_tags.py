"""`/servers/{id}/tags`, since 2.26: words by which servers are found."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends
from pydantic import AfterValidator, Field, StringConstraints
from starlette.datastructures import QueryParams
from starlette.responses import JSONResponse, Response

from cloud.domain.instance import Instance, VmState
from cloud.domain.system_metadata import tags_of, with_tags
from cloud.errors import BadRequestError, NotFoundError
from cloud.services.api.body import Body, BodyOf
from cloud.services.api.call import Call, TheCall
from cloud.services.api.server_state import check_state, server_of
from cloud.services.api.versions import V2_26

MAX_TAG_LENGTH = 60
MAX_TAGS = 50
router = APIRouter()
_STATES = frozenset({VmState.ACTIVE, VmState.PAUSED, VmState.SUSPENDED, VmState.STOPPED})
_FILTERS: Mapping[str, Callable[[frozenset[str], frozenset[str]], bool]] = {
    "tags": lambda asked, tags: asked <= tags,
    "tags-any": lambda asked, tags: bool(asked & tags),
    "not-tags": lambda asked, tags: not asked <= tags,
    "not-tags-any": lambda asked, tags: not asked & tags,
}
"""Whether a server with `tags` fits what is `asked` for."""


def _tag(text: str) -> str:
    if "/" in text or "," in text or not text.isprintable():
        raise ValueError("a tag has neither / nor , in it")
    return text


Tag = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TAG_LENGTH), AfterValidator(_tag)]


class Tags(Body):
    tags: Annotated[list[Tag], Field(max_length=MAX_TAGS)]


def filter_of(call: Call, params: QueryParams) -> Callable[[Instance], bool] | None:
    """What a list of servers is filtered by that no statement can say; None where it is by nothing."""
    if call.version < V2_26:
        return None
    asked = {name: frozenset(params[name].split(",")) for name in _FILTERS if name in params}
    if not asked:
        return None

    def fits(instance: Instance) -> bool:
        tags = frozenset(tags_of(instance))
        return all(_FILTERS[name](words, tags) for name, words in asked.items())

    return fits


@router.get("/servers/{server_id}/tags")
def list_tags(server_id: str, call: TheCall) -> Response:
    return JSONResponse({"tags": list(tags_of(_server(call, server_id, "list")))})


@router.put("/servers/{server_id}/tags")
def replace_tags(server_id: str, call: TheCall, body: Annotated[Tags, Depends(BodyOf(Tags))]) -> Response:
    instance = _server(call, server_id, "replace")
    return JSONResponse({"tags": list(_set(call, instance, lambda _: body.tags, "update tags"))})


@router.delete("/servers/{server_id}/tags", status_code=204)
def delete_tags(server_id: str, call: TheCall) -> Response:
    _set(call, _server(call, server_id, "delete_all"), lambda _: (), "delete tags")
    return Response(status_code=204)


@router.get("/servers/{server_id}/tags/{tag}", status_code=204)
def show_tag(server_id: str, tag: str, call: TheCall) -> Response:
    _existing(_server(call, server_id, "show"), tag)
    return Response(status_code=204)


@router.put("/servers/{server_id}/tags/{tag}", status_code=201)
def add_tag(server_id: str, tag: str, call: TheCall) -> Response:
    instance = _server(call, server_id, "update")
    check_state(instance, "update tag", _STATES)
    if not 1 <= len(tag) <= MAX_TAG_LENGTH or "," in tag or not tag.isprintable():
        raise BadRequestError(f"cannot use tag: it has 1 to {MAX_TAG_LENGTH} characters, and no comma")
    if tag in tags_of(instance):
        return Response(status_code=204)

    def with_it(tags: Sequence[str]) -> Iterable[str]:
        if tag not in tags and len(tags) >= MAX_TAGS:
            raise BadRequestError(f"cannot add tag: instance {instance.uuid} has {MAX_TAGS} already")
        return (*tags, tag)

    _set(call, instance, with_it, "update tag")
    return Response(status_code=201, headers={"Location": call.url("servers", instance.uuid, "tags", quote(tag))})


@router.delete("/servers/{server_id}/tags/{tag}", status_code=204)
def delete_tag(server_id: str, tag: str, call: TheCall) -> Response:
    instance = _server(call, server_id, "delete")
    check_state(instance, "delete tag", _STATES)
    _existing(instance, tag)
    _set(call, instance, lambda tags: (other for other in tags if other != tag), "delete tag")
    return Response(status_code=204)


def _server(call: Call, server_id: str, verb: str) -> Instance:
    if call.version < V2_26:
        raise NotFoundError("cannot find tags: they came with version 2.26")
    instance = server_of(call, server_id)
    call.require(f"compute:server_tags:{verb}", instance.project_id)
    return instance


def _existing(instance: Instance, tag: str) -> None:
    if tag not in tags_of(instance):
        raise NotFoundError(f"cannot find tag: instance {instance.uuid} has no such tag")


def _set(
    call: Call, instance: Instance, change: Callable[[Sequence[str]], Iterable[str]], action: str
) -> tuple[str, ...]:
    """What `change` makes of the tags as they are by then: others may add and delete some at the same time."""

    def changed(now: Instance) -> Mapping[str, object]:
        check_state(now, action, _STATES)
        return {"system_metadata": with_tags(now.system_metadata, change(tags_of(now)))}

    return tags_of(call.parts.instances.merge(instance.uuid, changed))
