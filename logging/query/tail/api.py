"""`/api/v1/tail`: what has arrived, and what arrives, as Server-Sent Events."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from cloud.logs.collector.hosts import Hosts
from cloud.logs.collector.inbox import Inbox
from cloud.logs.collector.store import Store
from cloud.logs.query.access.principal import ThePrincipal, allowed
from cloud.logs.query.api import WantedFilter
from cloud.logs.query.commits import Commits
from cloud.logs.query.losses import Losses
from cloud.logs.query.reader import MAX_ROWS
from cloud.logs.query.routes.asking import TheAsking
from cloud.logs.query.routes.seats import Seats
from cloud.logs.query.tail.feed import Feed
from cloud.logs.query.tail.stream import Beginning, Stream

MAX_TAILS = 128
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
"""Nothing on the way is to keep events back."""

router = APIRouter(prefix="/api/v1", dependencies=[Depends(allowed("lines:read"))])


def add_tail(app: FastAPI, store: Store, commits: Commits) -> None:
    """Let `app`, for the running event loop, show what arrives in `store`."""
    app.state.feed = Feed(store, commits)
    app.state.tail_seats = Seats("tail", MAX_TAILS)
    app.include_router(router)


class TailResponse(StreamingResponse):
    """Events as bytes; what makes them has ended when the answer has, however that came."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes, None], status_code: int = 200) -> None:
        super().__init__(events, status_code, HEADERS)  # FastAPI takes the status from the parameter's default
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._events.aclose()


async def _feed(request: Request) -> Feed:
    feed: Feed = request.app.state.feed
    return feed


async def _losses(request: Request, who: ThePrincipal) -> Losses | None:
    """None for members: what is said there is about all hosts."""
    inbox: Inbox = request.app.state.inbox
    hosts: Hosts = request.app.state.hosts
    return Losses(inbox, hosts) if who.project_ids is None else None


async def _seat(request: Request, who: ThePrincipal) -> AsyncIterator[None]:
    seats: Seats = request.app.state.tail_seats
    with seats.seated(is_member=who.project_ids is not None):
        yield


@router.get(
    "/tail",
    response_class=TailResponse,
    dependencies=[Depends(_seat)],
    responses={503: {"description": "As many tail as may."}},
)
async def tail(
    asking: TheAsking,
    feed: Annotated[Feed, Depends(_feed)],
    wanted: WantedFilter,
    losses: Annotated[Losses | None, Depends(_losses)],
    n: Annotated[int, Query(ge=0, le=MAX_ROWS)] = 50,
    after: Annotated[int | None, Query(ge=0, description="Go on behind this row_id; `n` then has no say.")] = None,
    last_event_id: Annotated[int | None, Header(ge=0, description="As `after`, before which it goes.")] = None,
) -> TailResponse:
    """History, then what arrives: events `row` in order of arrival, and `live` where the history ends.

    An event `status` tells when lines are stored late (`lag_s`) or shown late (`behind_s`), and when hosts are over
    their budgets (`dropped` lines since the tail began); members, who do not see all hosts, get none. A client that is
    too slow, or comes back too late, skips to the present: an event `skipped` says how many `lines` it misses (null
    where they could not be counted in time) and the `query` that finds them, in a search whose `since` is not behind
    the row before. An event `end` says why it ends. Each id is a row_id to resume from.
    """
    row_id = after if last_event_id is None else last_event_id
    return TailResponse(Stream(feed, asking, wanted, losses).events(Beginning(row_id, n)))
