"""`/api/v1/histogram` and `/facets`: what a search has found, at a glance."""

import threading
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from cloud.logs.query.access.principal import allowed
from cloud.logs.query.counting import Asked, Counting
from cloud.logs.query.facets import facets as find_facets
from cloud.logs.query.histogram import BUCKETS, interval_for
from cloud.logs.query.histogram import histogram as draw
from cloud.logs.query.limit import Limit
from cloud.logs.query.routes.question import (
    DeadlineS,
    TheLines,
    TheReaders,
    TheStore,
    answer,
    bounded,
    moment,
    times,
)
from cloud.logs.query.search import DEADLINE_S
from cloud.logs.query.time_range import rfc3339

MAX_TOP = 1000

router = APIRouter(prefix="/api/v1", dependencies=[Depends(allowed("lines:read"))], tags=["search"])


class BucketAnswer(BaseModel):
    time: str = Field(description="Where the interval begins.")
    count: int
    severities: dict[str, int] = Field(description="Those that came.")


class HistogramAnswer(BaseModel):
    """All intervals in order, the empty ones too."""

    interval_s: float
    buckets: list[BucketAnswer]
    counted: int
    is_partial: bool = Field(
        description="Whether the deadline came first, or a file was damaged: only rows that arrived since `reached`."
    )
    reached: str | None
    since: str
    until: str
    clock: str

    model_config = {
        "json_schema_extra": {
            "example": {
                "interval_s": 15.0,
                "buckets": [{"time": "2027-01-15T11:45:00Z", "count": 3, "severities": {"err": 1, "info": 2}}],
                "counted": 3,
                "is_partial": False,
                "reached": "2027-01-15T11:45:00Z",
                "since": "2027-01-15T11:45:00Z",
                "until": "2027-01-15T12:00:00Z",
                "clock": "observed",
            }
        }
    }


class FacetsAnswer(BaseModel):
    """The most frequent values of each name; null for the rows that have none."""

    facets: dict[str, list[dict[str, Any]]]
    others: dict[str, int] = Field(description="Of each name the rows of values beyond the 10,000 most frequent ones.")
    is_partial: bool = Field(
        description="Whether the deadline came first, or a file was damaged: only rows that arrived since `reached`."
    )
    reached: str | None
    since: str | None
    until: str | None
    clock: str

    model_config = {
        "json_schema_extra": {
            "example": {
                "facets": {"host": [{"value": "compute-01", "count": 17}], "severity": [{"value": "err", "count": 2}]},
                "others": {"host": 0, "severity": 0},
                "is_partial": False,
                "reached": "2027-01-15T11:45:00Z",
                "since": "2027-01-15T11:45:00Z",
                "until": None,
                "clock": "observed",
            }
        }
    }


@router.get("/histogram", response_model=HistogramAnswer)
async def histogram(
    question: TheLines,
    store: TheStore,
    readers: TheReaders,
    request: Request,
    buckets: Annotated[int, Query(ge=1, le=500, description="About so many intervals, in round numbers.")] = BUCKETS,
    deadline_s: DeadlineS = DEADLINE_S,
) -> Response:
    """How many rows there are over time, by severity."""
    time = bounded(question.time)

    def read(gone: threading.Event) -> Response:
        asked = Asked(question.where, time, Limit.after(deadline_s, gone))
        drawn = draw(Counting(store), asked, interval_for(time, buckets))
        content = {
            "interval_s": drawn.interval_s,
            "buckets": [
                {"time": rfc3339(each.begin), "count": each.count, "severities": each.by_severity}
                for each in drawn.buckets
            ],
            "counted": drawn.counts.total,
            "is_partial": drawn.counts.is_partial,
            "reached": moment(drawn.counts.reached),
            **times(time),
        }
        return answer(content, len(drawn.buckets))

    return await readers.run(request, read)


@router.get("/facets", response_model=FacetsAnswer)
async def facets(
    question: TheLines,
    store: TheStore,
    readers: TheReaders,
    request: Request,
    top: Annotated[int, Query(ge=1, le=MAX_TOP, description="Values of each name.")] = 10,
    deadline_s: DeadlineS = DEADLINE_S,
) -> Response:
    """The most frequent hosts, services, facilities, severities and events among the rows."""

    def read(gone: threading.Event) -> Response:
        found = find_facets(store, Asked(question.where, question.time, Limit.after(deadline_s, gone)), top)
        values = {
            name: [{"value": each.value, "count": each.count} for each in values]
            for name, values in found.values_of.items()
        }
        content = {
            "facets": values,
            "others": found.others,
            "is_partial": found.is_partial,
            "reached": moment(found.reached),
            **times(question.time),
        }
        return answer(content, sum(map(len, values.values())))

    return await readers.run(request, read)
