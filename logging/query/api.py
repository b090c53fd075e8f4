"""`/api/v1`: what the command line asks the collector. JSON rows under the names of the row's columns."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query

from cloud.logs.emit.levels import severity_number
from cloud.logs.query.access.principal import OwnLines, allowed
from cloud.logs.query.filter import Filter
from cloud.logs.query.language.compiler import compile_where
from cloud.logs.query.language.parser import parse
from cloud.logs.query.language.query import QueryError
from cloud.logs.query.reader import GROUPS, MAX_ROWS
from cloud.logs.query.routes.asking import TheAsking

router = APIRouter(prefix="/api/v1", dependencies=[Depends(allowed("lines:read"))])


async def _filter(
    own: OwnLines,
    q: Annotated[str, Query(description="A query, without a pipe.")] = "",
    host: str | None = None,
    service: str | None = None,
    severity: Annotated[str | None, Query(description="This severity and worse, e.g. `warning`.")] = None,
    request_id: str | None = None,
    instance: str | None = None,
    field: Annotated[list[str] | None, Query(description="`KEY=VALUE` of the JSON body.")] = None,
    without_event: Annotated[list[str] | None, Query(description="Not this event, e.g. `canary`.")] = None,
) -> Filter:
    try:
        number = None if severity is None else severity_number(severity)
    except ValueError as exc:
        raise HTTPException(422, str(exc)) from exc
    pairs = [pair.partition("=") for pair in field or ()]
    if wrong := ["".join(pair) for pair in pairs if not (pair[0] and pair[1])]:
        raise HTTPException(422, f"cannot use field {wrong[0]!r}: expected KEY=VALUE")
    fields = {key: value for key, _, value in pairs}
    query = parse(q)
    if query.stages:
        raise QueryError("a pipe has no meaning here", q.rfind("|") + 1)
    within = compile_where(query.condition).and_(own)
    return Filter(host, service, number, request_id, instance, fields, tuple(without_event or ()), within)


WantedFilter = Annotated[Filter, Depends(_filter)]


@router.get("/rows")
async def rows(
    asking: TheAsking, wanted: WantedFilter, n: Annotated[int, Query(ge=0, le=MAX_ROWS)] = 50
) -> list[dict[str, Any]]:
    """The newest `n` rows, in order of arrival."""
    return await asking.read(lambda reader: reader.newest(wanted, n, reader.committed_row_id))


@router.get("/count")
async def count(
    asking: TheAsking, wanted: WantedFilter, by: Annotated[list[str] | None, Query()] = None
) -> list[dict[str, Any]]:
    """How many rows there are, for each of the 10,000 most frequent values of the names in `by`."""
    if unknown := sorted(set(by or ()) - set(GROUPS)):
        raise HTTPException(422, f"cannot count by {', '.join(unknown)}: expected some of {', '.join(GROUPS)}")
    return await asking.read(lambda reader: reader.count(wanted, tuple(by or ())))
