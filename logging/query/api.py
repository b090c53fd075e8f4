"""`/api/v1`: what the command line asks the collector. JSON rows under the names of the row's columns."""

import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from cloud.logs.collector.store import QueryInterruptedError
from cloud.logs.emit.levels import severity_number
from cloud.logs.query.access.principal import OwnLines, ThePrincipal, allowed
from cloud.logs.query.commits import Commits
from cloud.logs.query.language.compiler import compile_where
from cloud.logs.query.language.parser import parse
from cloud.logs.query.language.query import QueryError
from cloud.logs.query.limit import Limit
from cloud.logs.query.losses import Losses
from cloud.logs.query.reader import GROUPS, MAX_ROWS, Filter, Page, Reader
from cloud.logs.query.routes.question import TheReaders
from cloud.logs.query.routes.readers import BusyError, Readers
from cloud.logs.query.search import SearchError

PAGE_ROWS = 1000
IDLE_S = 10.0  # a comment goes out this often, so that both ends notice a dead connection
DEADLINE_S = 30.0
"""For an answer, and for each page of a tail."""

Found = TypeVar("Found")

router = APIRouter(prefix="/api/v1", dependencies=[Depends(allowed("lines:read"))])


@dataclass(frozen=True, slots=True)
class Asking:
    """The reader as one request may use it: in its turn, until the deadline, and no longer than its client is there."""

    reader: Reader
    readers: Readers
    request: Request

    async def read(self, read: Callable[[Reader], Found]) -> Found:
        """What `read` finds with the reader that it is given; `BusyError`, and `SearchError` at the deadline."""

        def within_limit(gone: threading.Event) -> Found:
            try:
                return read(self.reader.within(Limit.after(DEADLINE_S, gone).guard))
            except QueryInterruptedError as exc:
                raise SearchError(f"cannot answer within {DEADLINE_S:g} s: ask for less") from exc

        return await self.readers.run(self.request, within_limit)


async def _asking(request: Request, readers: TheReaders) -> Asking:
    return Asking(request.app.state.reader, readers, request)


async def _commits(request: Request) -> Commits:
    commits: Commits = request.app.state.commits
    return commits


async def _losses(request: Request) -> Losses:
    return Losses(request.app.state.inbox, request.app.state.hosts)


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
TheAsking = Annotated[Asking, Depends(_asking)]


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


@router.get("/tail", response_class=EventSourceResponse)
async def tail(
    asking: TheAsking,
    who: ThePrincipal,
    commits: Annotated[Commits, Depends(_commits)],
    wanted: WantedFilter,
    losses: Annotated[Losses, Depends(_losses)],
    n: Annotated[int, Query(ge=0, le=MAX_ROWS)] = 50,
    after: Annotated[int | None, Query(ge=0, description="Go on behind this row_id; `n` then has no say.")] = None,
) -> AsyncIterator[ServerSentEvent]:
    """History, then what arrives: events `row` in order of arrival, and `live` where the history ends.

    An event `status` tells when lines are stored late (`lag_s`), and when hosts are over their budgets (`dropped` lines
    since the tail began); members, who do not see all hosts, get none. An event `end` says why it ends. Each id is a
    row_id to resume from. A slow client gets its rows late, never not: they wait in the store.
    """
    position = asking.reader.committed_row_id
    try:
        if after is None:
            end = position
            for row in await asking.read(lambda reader: reader.newest(wanted, n, end)):
                yield _event(row)
        else:
            position = min(after, position)  # a store that was replaced counts anew
        yield ServerSentEvent(event="live", id=str(position), data={"row_id": position})
        while not commits.is_closed:
            if who.project_ids is None and (status := losses.news()):
                yield ServerSentEvent(event="status", data=status)
            if not await commits.beyond(position, IDLE_S):
                yield ServerSentEvent(comment="idle")
                continue
            page = await asking.read(partial(_behind, wanted, position))
            for row in page.rows:
                yield _event(row)
            position = page.position
    except (BusyError, SearchError) as exc:  # the status is sent; clients come again by themselves
        yield ServerSentEvent(event="end", data={"detail": str(exc)})


def _behind(wanted: Filter, position: int, reader: Reader) -> Page:
    return reader.after(wanted, PAGE_ROWS, position, reader.committed_row_id)


def _event(row: dict[str, Any]) -> ServerSentEvent:
    return ServerSentEvent(event="row", id=str(row["row_id"]), data=row)
