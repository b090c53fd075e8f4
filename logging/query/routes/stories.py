"""`/api/v1/trace`, `/timeline` and `/migrations`: what lines of several hosts tell of one thing."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request, Response
from pydantic import BaseModel, Field

from cloud.logs.query.access.principal import OwnLines, allowed
from cloud.logs.query.explain.identity import NotFoundError
from cloud.logs.query.explain.subject import SubjectError
from cloud.logs.query.limit import Limit
from cloud.logs.query.migrations import OF_MIGRATIONS
from cloud.logs.query.migrations import migrations as read_migrations
from cloud.logs.query.routes.question import AbsentError, DeadlineS, Since, TheReaders, TheSearch, Until, answer, times
from cloud.logs.query.routes.search import ROW
from cloud.logs.query.search import DEADLINE_S, MAX_ROWS, FoundRows, Search
from cloud.logs.query.time_range import TimeRange, read_time, rfc3339
from cloud.logs.query.timeline import timeline as find_timeline
from cloud.logs.query.trace import Part, of_request
from cloud.logs.query.trace import trace as make_trace
from cloud.logs.query.where import Where

MAX_ID_CHARS = 255

router = APIRouter(prefix="/api/v1", tags=["stories"])
Rows = Annotated[int, Query(ge=1, le=MAX_ROWS - 1, description="Lines at most, of which the newest are taken.")]


class PartAnswer(BaseModel):
    host: str | None
    service: str | None
    began: str
    ended: str
    duration_s: float
    lines: int
    errors: int


class TraceAnswer(BaseModel):
    """By the emitters' clocks, which need not agree."""

    request_id: str
    duration_s: float
    parts: list[PartAnswer] = Field(description="What each service on each host did, by when it began.")
    rows: list[dict[str, Any]]
    is_cut: bool = Field(description="Whether there are older lines beyond the limit.")

    model_config = {
        "json_schema_extra": {
            "example": {
                "request_id": "req-6c1a",
                "duration_s": 1.25,
                "parts": [
                    {
                        "host": "compute-01",
                        "service": "nova-compute",
                        "began": "2027-01-15T12:00:00Z",
                        "ended": "2027-01-15T12:00:01.25Z",
                        "duration_s": 1.25,
                        "lines": 7,
                        "errors": 1,
                    }
                ],
                "rows": [ROW],
                "is_cut": False,
            }
        }
    }


class TimelineAnswer(BaseModel):
    """Events, warnings and errors in the order of the emitters' clocks."""

    names: dict[str, Any] = Field(description="What the instance is called, as far as lines say.")
    rows: list[dict[str, Any]]
    is_cut: bool = Field(description="Whether there are older lines beyond the limit.")

    model_config = {
        "json_schema_extra": {
            "example": {
                "names": {"uuid": "8c1c5a6e-6c0f-4a55-9a36-0d5cbd8a2c11", "domain": "instance-000015b9"},
                "rows": [ROW],
                "is_cut": False,
            }
        }
    }


class MigrationsAnswer(BaseModel):
    """Those that failed first, then those under way, then the others; the newest first."""

    migrations: list[dict[str, Any]]
    is_cut: bool = Field(description="Whether there are more lines than are read: older migrations may be missing.")

    model_config = {
        "json_schema_extra": {
            "example": {
                "migrations": [
                    {
                        "id": "42",
                        "state": "failed",
                        "type": "live-migration",
                        "instance": "8c1c5a6e-6c0f-4a55-9a36-0d5cbd8a2c11",
                        "source": "compute-01",
                        "dest": "compute-02",
                        "request_id": "req-6c1a",
                        "began": "2027-01-15T12:00:00Z",
                        "last": "2027-01-15T12:00:04Z",
                        "duration_s": 4.0,
                        "step": "dest_check",
                        "error": "compute-02 has no room",
                    }
                ],
                "is_cut": False,
            }
        }
    }


@dataclass(frozen=True, slots=True)
class OwnSearch:
    """Finds what its caller may see, until its limit."""

    search: Search
    own: Where
    limit: Limit

    def find(self, where: Where, time: TimeRange, limit: int) -> list[dict[str, Any]]:
        return self.search.find(
            where.and_(self.own), time, limit, deadline_s=self.limit.left_s, cancelled=self.limit.cancelled
        )

    def newest(self, where: Where, time: TimeRange, limit: int) -> FoundRows:
        return self.search.newest(
            where.and_(self.own), time, limit, deadline_s=self.limit.left_s, cancelled=self.limit.cancelled
        )


async def the_time(since: Since = "7d", until: Until = None) -> TimeRange:
    now = datetime.now(UTC)
    return TimeRange(read_time(since, now), read_time(until, now) if until else None)


TheTime = Annotated[TimeRange, Depends(the_time)]


@router.get(
    "/trace/{request_id:path}",
    response_model=TraceAnswer,
    responses={404: {"description": "There is no line of this request in that time."}},
    dependencies=[Depends(allowed("lines:read"))],
)
async def trace(
    own: OwnLines,
    time: TheTime,
    search: TheSearch,
    readers: TheReaders,
    request: Request,
    request_id: Annotated[str, Path(min_length=1, max_length=MAX_ID_CHARS)],
    limit: Rows = 5000,
    deadline_s: DeadlineS = DEADLINE_S,
) -> Response:
    """The lines of a request on all hosts, and how long each service took; 404 where there are none."""

    def read(gone: threading.Event) -> Response:
        lines = OwnSearch(search, own, Limit.after(deadline_s, gone))
        newest = lines.newest(of_request(request_id), time, limit + 1)
        rows = newest.rows
        if not rows:
            raise AbsentError(f"cannot find a line of request {request_id} since {times(time)['since']}")
        found = make_trace(rows[-limit:])
        content = {
            "request_id": request_id,
            "duration_s": found.duration_s,
            "parts": [_part(each) for each in found.parts],
            "rows": found.rows,
            "is_cut": newest.is_full or len(rows) > limit,
        }
        return answer(content, len(found.rows))

    return await readers.run(request, read)


@router.get(
    "/timeline/{instance:path}",
    response_model=TimelineAnswer,
    responses={404: {"description": "No line of that time knows this instance."}},
    dependencies=[Depends(allowed("lines:read"))],
)
async def timeline(
    own: OwnLines,
    time: TheTime,
    search: TheSearch,
    readers: TheReaders,
    request: Request,
    instance: Annotated[str, Path(min_length=1, max_length=MAX_ID_CHARS)],
    *,
    every: Annotated[bool, Query(description="All lines, rather than events, warnings and errors.")] = False,
    limit: Rows = 1000,
    deadline_s: DeadlineS = DEADLINE_S,
) -> Response:
    """What happened to an instance, by uuid, `i-000015b9`, number, `instance-000015b9` or name."""

    def read(gone: threading.Event) -> Response:
        lines = OwnSearch(search, own, Limit.after(deadline_s, gone))
        try:
            found = find_timeline(instance, lines, time, limit, is_every=every)
        except SubjectError as exc:
            raise HTTPException(422, str(exc)) from exc
        except NotFoundError as exc:
            why = str(exc).partition(": ")[2]
            raise AbsentError(f"cannot show the timeline of {instance}: {why}") from exc
        names = {name: value for name, value in asdict(found.names).items() if value is not None}
        return answer({"names": names, "rows": found.rows, "is_cut": found.is_cut}, len(found.rows))

    return await readers.run(request, read)


@router.get("/migrations", response_model=MigrationsAnswer, dependencies=[Depends(allowed("migrations:read"))])
async def migrations(
    own: OwnLines,
    time: TheTime,
    search: TheSearch,
    readers: TheReaders,
    request: Request,
    deadline_s: DeadlineS = DEADLINE_S,
) -> Response:
    """Live and cold migrations, resizes and evacuations, with what became of them."""

    def read(gone: threading.Event) -> Response:
        lines = OwnSearch(search, own, Limit.after(deadline_s, gone))
        newest = lines.newest(OF_MIGRATIONS, time, MAX_ROWS)
        rows = newest.rows
        found = [_timed(asdict(each), each.duration_s, "began", "last") for each in read_migrations(rows)]
        return answer({"migrations": found, "is_cut": newest.is_full or len(rows) == MAX_ROWS}, len(found))

    return await readers.run(request, read)


def _part(part: Part) -> dict[str, Any]:
    return _timed(asdict(part), part.duration_s, "began", "ended")


def _timed(content: Mapping[str, Any], duration_s: float, *moments: str) -> dict[str, Any]:
    shown: dict[str, Callable[[datetime], str]] = dict.fromkeys(moments, rfc3339)
    written = {name: shown[name](value) if name in shown else value for name, value in content.items()}
    return {**written, "duration_s": duration_s}
