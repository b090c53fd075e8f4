"""os-aggregates: hosts that admins put together, some of them as a zone."""

from typing import Annotated, Any, Self

from fastapi import APIRouter, Depends
from pydantic import Field, StringConstraints, model_validator
from starlette.responses import JSONResponse, Response

from cloud.domain.host import Aggregate
from cloud.errors import BadRequestError, NotFoundError
from cloud.services.api.body import Body, BodyOf, Name
from cloud.services.api.call import TheCall
from cloud.services.api.hostname import HostName
from cloud.services.api.times import moment

router = APIRouter()

_MAX_ITEMS = 128
_ZONE = "availability_zone"


class NewAggregate(Body):
    name: Name
    availability_zone: Name | None = None


class NewAggregateBody(Body):
    aggregate: NewAggregate


class AggregateUpdate(Body):
    """At least one of both; a zone of null takes it out of its zone."""

    name: Name | None = None
    availability_zone: Name | None = None

    @model_validator(mode="after")
    def _is_something(self) -> Self:
        if self.name is None and _ZONE not in self.model_fields_set:
            raise ValueError("name or availability_zone is needed")
        return self


class AggregateUpdateBody(Body):
    aggregate: AggregateUpdate


class Member(Body):
    host: HostName


class Metadata(Body):
    """Keys with null are removed, those that are not named stay."""

    metadata: Annotated[
        dict[
            Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9_:. -]+$")],
            Annotated[str, StringConstraints(max_length=255)] | None,
        ],
        Field(max_length=_MAX_ITEMS),
    ]


class AggregateAction(Body):
    """One of these."""

    add_host: Member | None = None
    remove_host: Member | None = None
    set_metadata: Metadata | None = None


@router.get("/os-aggregates")
def list_aggregates(call: TheCall) -> JSONResponse:
    call.require("compute:aggregates:list")
    return JSONResponse({"aggregates": [_view(aggregate) for aggregate in call.parts.aggregates.all()]})


@router.post("/os-aggregates")
def create_aggregate(
    call: TheCall, body: Annotated[NewAggregateBody, Depends(BodyOf(NewAggregateBody))]
) -> JSONResponse:
    call.require("compute:aggregates:create")
    created = call.parts.aggregates.create(body.aggregate.name, body.aggregate.availability_zone)
    shown = _view(created)
    del shown["hosts"], shown["metadata"]  # as nova has it, for there can be none yet
    return JSONResponse({"aggregate": shown})


@router.get("/os-aggregates/{aggregate_id}")
def show_aggregate(call: TheCall, aggregate_id: str) -> JSONResponse:
    call.require("compute:aggregates:show")
    return _answer(call.parts.aggregates.get(_number(aggregate_id)))


@router.put("/os-aggregates/{aggregate_id}")
def update_aggregate(
    call: TheCall, aggregate_id: str, body: Annotated[AggregateUpdateBody, Depends(BodyOf(AggregateUpdateBody))]
) -> JSONResponse:
    call.require("compute:aggregates:update")
    number, wanted = _number(aggregate_id), body.aggregate
    aggregate = call.parts.aggregates.update(number, name=wanted.name, availability_zone=wanted.availability_zone)
    if wanted.availability_zone is None and _ZONE in wanted.model_fields_set:
        aggregate = call.parts.aggregates.set_metadata(number, {_ZONE: None})
    return _answer(aggregate)


@router.delete("/os-aggregates/{aggregate_id}")
def delete_aggregate(call: TheCall, aggregate_id: str) -> Response:
    call.require("compute:aggregates:delete")
    call.parts.aggregates.delete(_number(aggregate_id))
    return Response(status_code=200)


@router.post("/os-aggregates/{aggregate_id}/action")
def act_on_aggregate(
    call: TheCall, aggregate_id: str, body: Annotated[AggregateAction, Depends(BodyOf(AggregateAction))]
) -> JSONResponse:
    table, number = call.parts.aggregates, _number(aggregate_id)
    match body.add_host, body.remove_host, body.set_metadata:
        case Member(host=host), None, None:
            call.require("compute:aggregates:add_host")
            return _answer(table.add_host(number, host))
        case None, Member(host=host), None:
            call.require("compute:aggregates:remove_host")
            return _answer(table.remove_host(number, host))
        case None, None, Metadata(metadata=metadata):
            call.require("compute:aggregates:set_metadata")
            return _answer(table.set_metadata(number, metadata))
        case _:
            raise BadRequestError("cannot act on an aggregate: it takes one of add_host, remove_host and set_metadata")


def _number(text: str) -> int:
    """NotFoundError for what no aggregate has as its id."""
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise NotFoundError(f"cannot find aggregate {text}")
    return int(text)


def _answer(aggregate: Aggregate) -> JSONResponse:
    return JSONResponse({"aggregate": _view(aggregate)})


def _view(aggregate: Aggregate) -> dict[str, Any]:
    is_changed = aggregate.updated_at > aggregate.created_at
    return {
        "id": aggregate.id,
        "name": aggregate.name,
        "availability_zone": aggregate.availability_zone,
        "hosts": list(aggregate.hosts),
        "metadata": dict(aggregate.metadata),
        "created_at": moment(aggregate.created_at),
        "updated_at": moment(aggregate.updated_at) if is_changed else None,
        "deleted": False,
        "deleted_at": None,
    }
