"""`/api/v1/explain`: why something failed, as JSON."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from cloud.logs.collector.hosts import Hosts
from cloud.logs.collector.lines import LineAccounts, RunReport
from cloud.logs.query.access.principal import allowed
from cloud.logs.query.explain.explain import explain as find_why
from cloud.logs.query.explain.identity import NotFoundError
from cloud.logs.query.explain.subject import MAX_CHARS, SubjectError
from cloud.logs.query.limit import Limit
from cloud.logs.query.routes.question import DeadlineS, TheReaders, TheSearch
from cloud.logs.query.search import DEADLINE_S, FoundRows, Search
from cloud.logs.query.time_range import FORMS, TimeRange, read_time
from cloud.logs.query.where import Where

router = APIRouter(prefix="/api/v1", dependencies=[Depends(allowed("lines:explain"))], tags=["explain"])

_EXAMPLES: Any = {
    "a migration": {"value": "42"},
    "an instance": {"value": "instance-000015b9"},
    "a request": {"value": "req-5d0f3a52-0d5c-4f1e-9a3b-6a0a6c7e1f10"},
}
_SUBJECT = Query(
    min_length=1,
    max_length=MAX_CHARS,
    description=(
        "A migration's id; an instance: its uuid or the beginning of that, i-000015b9, instance-000015b9, id, or name;"
        " or a request's id."
    ),
    openapi_examples=_EXAMPLES,
)


class BoundedLines:
    """The store's lines for one explanation: all of its questions together have so much time."""

    def __init__(self, search: Search, limit: Limit) -> None:
        self._search = search
        self._limit = limit

    def newest(self, where: Where, time: TimeRange, limit: int) -> FoundRows:
        """`SearchError` when the time does not suffice, or whoever asks has gone."""
        return self._search.newest(
            where, time, limit, deadline_s=max(0.0, self._limit.left_s), cancelled=self._limit.cancelled
        )


@dataclass(frozen=True, slots=True)
class CollectorAccounts:
    """What the collector in this process knows beside the lines."""

    lines: LineAccounts
    hosts: Hosts

    def runs(self, host: str) -> Sequence[RunReport]:
        return self.lines.report(host, in_flight=True)

    def dropped(self, host: str) -> int:
        seen = self.hosts.seen().get(host)
        return 0 if seen is None else seen.dropped


@router.get(
    "/explain",
    responses={
        404: {"description": "The lines know of no such thing, or of several, which are in `choices`."},
        422: {"description": "Nothing that could be asked about, or no time."},
    },
)
async def explain(
    search: TheSearch,
    readers: TheReaders,
    request: Request,
    subject: Annotated[str, _SUBJECT],
    since: Annotated[str | None, Query(max_length=100, description=f"Lines from then on: {FORMS}.")] = None,
    until: Annotated[str | None, Query(max_length=100, description="Lines before that; the same forms.")] = None,
    deadline_s: DeadlineS = DEADLINE_S,
) -> Response:
    """The last procedure of the subject that failed: its ladder, the first error, its cause, where the instance is."""
    now = datetime.now(UTC)
    begin = None if since is None else read_time(since, now)
    end = None if until is None else read_time(until, now)

    accounts = CollectorAccounts(request.app.state.accounts, request.app.state.hosts)

    def read(gone: threading.Event) -> Response:
        lines = BoundedLines(search, Limit.after(deadline_s, gone))
        try:
            found = find_why(subject, lines, now=now, since=begin, until=end, accounts=accounts)
            return JSONResponse(found.as_dict())
        except NotFoundError as exc:
            return JSONResponse({"detail": str(exc), "code": "not_found", "choices": list(exc.choices)}, 404)
        except SubjectError as exc:
            return JSONResponse({"detail": str(exc), "code": "subject"}, 422)

    return await readers.run(request, read)
