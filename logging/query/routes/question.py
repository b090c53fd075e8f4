"""What most routes are asked: which lines, of which time, and how long it may take."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, Query, Request, Response

from cloud.logs.collector.store import Store
from cloud.logs.query.access.principal import OwnLines
from cloud.logs.query.language.compiler import compile_where
from cloud.logs.query.language.parser import parse
from cloud.logs.query.language.query import QueryError, Stage
from cloud.logs.query.routes.readers import Readers
from cloud.logs.query.search import Search
from cloud.logs.query.time_range import FORMS, Clock, TimeRange, read_time, rfc3339
from cloud.logs.query.where import Where

DEFAULT_SINCE = "15m"
MAX_DEADLINE_S = 60.0
QUERY_EXAMPLES: Any = {
    "host and severity": {"value": "host:compute-01 severity:>=err"},
    "words": {"value": '"live migration" -service:nova-api'},
    "a count": {"value": "severity:>=warning | count by host, service"},
}
_DEADLINE = Query(gt=0, le=MAX_DEADLINE_S, description="Seconds; when they are over, the answer has what was found.")

Clocks = Annotated[
    Clock, Query(description="Whose time the range is of: the collector's at arrival, or the emitter's.")
]
Since = Annotated[str, Query(max_length=100, description=f"From this moment on: {FORMS}. Without a zone it is UTC.")]
Until = Annotated[str | None, Query(max_length=100, description="Before this moment; the same forms.")]
DeadlineS = Annotated[float, _DEADLINE]


class AbsentError(Exception):
    """What was asked about is not there."""


@dataclass(frozen=True, slots=True)
class Question:
    """Which lines, already narrowed to those that the caller may see, and what is made of them."""

    where: Where
    time: TimeRange
    stage: Stage | None = None
    text: str = ""
    """Of the query."""

    def without_stage(self) -> "Question":
        """The same; `QueryError` at its pipe where it has one."""
        if self.stage is not None:
            raise QueryError("a pipe has no meaning here", self.text.rfind("|") + 1)
        return self


async def the_search(request: Request) -> Search:
    search: Search = request.app.state.search
    return search


async def the_store(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


async def the_readers(request: Request) -> Readers:
    readers: Readers = request.app.state.readers
    return readers


async def the_question(
    own: OwnLines,
    q: Annotated[str, Query(description="The query; without one all lines.", openapi_examples=QUERY_EXAMPLES)] = "",
    since: Since = DEFAULT_SINCE,
    until: Until = None,
    clock: Clocks = "observed",
) -> Question:
    """`QueryError` and `TimeError`, which the application answers."""
    query = parse(q)
    now = datetime.now(UTC)
    time = TimeRange(read_time(since, now), read_time(until, now) if until else None, clock)
    return Question(compile_where(query.condition).and_(own), time, query.stages[0] if query.stages else None, q)


async def the_lines(question: Annotated[Question, Depends(the_question)]) -> Question:
    """A question without a stage."""
    return question.without_stage()


TheSearch = Annotated[Search, Depends(the_search)]
TheStore = Annotated[Store, Depends(the_store)]
TheReaders = Annotated[Readers, Depends(the_readers)]
TheQuestion = Annotated[Question, Depends(the_question)]
TheLines = Annotated[Question, Depends(the_lines)]


def bounded(time: TimeRange) -> TimeRange:
    """The same with an end: now, where it has none."""
    now = datetime.now(UTC)
    return time if time.until is not None else TimeRange(time.since, max(now, time.since or now), time.clock)


def times(time: TimeRange) -> dict[str, str | None]:
    """The range as answers show it."""
    return {
        "since": None if time.since is None else rfc3339(time.since),
        "until": None if time.until is None else rfc3339(time.until),
        "clock": time.clock,
    }


def moment(value: datetime | None) -> str | None:
    return None if value is None else rfc3339(value)


def answer(content: Mapping[str, Any], rows: int) -> Response:
    """JSON, made in the thread that calls: an answer may have ten thousand rows. Their number is in X-Rows."""
    return Response(json.dumps(content), media_type="application/json", headers={"X-Rows": str(rows)})
