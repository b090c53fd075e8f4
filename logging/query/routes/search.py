"""`/api/v1/search`: rows, page by page, or what a pipe makes of them."""

import threading
from collections.abc import Mapping
from time import monotonic
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from cloud.logs.query.access.principal import allowed
from cloud.logs.query.counting import Asked, Counting
from cloud.logs.query.language.query import QueryError, Stage
from cloud.logs.query.limit import Limit
from cloud.logs.query.routes.cursor import read_cursor, write_cursor
from cloud.logs.query.routes.question import (
    DeadlineS,
    Question,
    TheQuestion,
    TheReaders,
    TheSearch,
    TheStore,
    answer,
    moment,
    times,
)
from cloud.logs.query.search import DEADLINE_S, MAX_ROWS

DEFAULT_ROWS = 100
MAX_CURSOR_CHARS = 200
ROW: Any = {
    "row_id": 4711,
    "observed_timestamp": "2027-01-15T12:00:00.250000Z",
    "timestamp": "2027-01-15T12:00:00.248113Z",
    "hostname": "compute-01",
    "peer": "192.0.2.7",
    "facility": "local1",
    "severity": "err",
    "app_name": "nova-compute",
    "message": "cannot migrate: destination compute-02 has no room",
    "request_id": "req-6c1a",
    "event": "migration.dest_check.failed",
    "batch": 12,
}
"""An example for the descriptions of routes."""
ROWS_EXAMPLE: Mapping[str, Any] = {
    "rows": [ROW],
    "next": "1800014400250000.4711.9000.1800013500000000..o",
    "up_to_row_id": 9000,
    "is_partial": False,
    "reached": "2027-01-15T12:00:00.250000Z",
    "since": "2027-01-15T11:45:00Z",
    "until": None,
    "clock": "observed",
    "took_s": 0.012,
}
TABLE_EXAMPLE: Mapping[str, Any] = {
    "table": {"columns": ["host", "count"], "rows": [["compute-01", 17], ["compute-02", 3]]},
    "counted": 20,
    "others": 0,
    "is_partial": False,
    "reached": "2027-01-15T11:45:00Z",
    "since": "2027-01-15T11:45:00Z",
    "until": None,
    "clock": "observed",
    "took_s": 0.031,
}

router = APIRouter(prefix="/api/v1", dependencies=[Depends(allowed("lines:read"))], tags=["search"])


class CountedTable(BaseModel):
    """What `count by` and `top` give; a value is null where rows have none."""

    columns: list[str]
    rows: list[list[Any]]


class SearchAnswer(BaseModel):
    """With `rows`, or where the query has a pipe with `table`, `counted` and `others`."""

    rows: list[dict[str, Any]] | None = Field(None, description="The newest first.")
    next: str | None = Field(None, description="The `cursor` of the next page; null when there are no more rows.")
    up_to_row_id: int | None = Field(None, description="To tail from: later rows are on none of the pages.")
    table: CountedTable | None = None
    counted: int | None = Field(None, description="All rows that were counted.")
    others: int | None = Field(None, description="Of these the rows of less frequent values, not in the table.")
    is_partial: bool = Field(
        description="Whether the deadline came first, or a file was damaged: only rows that arrived since `reached`."
    )
    reached: str | None
    since: str | None
    until: str | None
    clock: Literal["observed", "emitted"]
    took_s: float


@router.get(
    "/search",
    response_model=SearchAnswer,
    responses={
        200: {
            "content": {
                "application/json": {
                    "examples": {
                        "rows": {"value": ROWS_EXAMPLE},
                        "a count": {"value": TABLE_EXAMPLE},
                    }
                }
            }
        }
    },
)
async def search(
    question: TheQuestion,
    searching: TheSearch,
    store: TheStore,
    readers: TheReaders,
    request: Request,
    limit: Annotated[int, Query(ge=1, le=MAX_ROWS, description="Rows of a page.")] = DEFAULT_ROWS,
    cursor: Annotated[
        str | None,
        Query(max_length=MAX_CURSOR_CHARS, description="`next` of the last page, with the same query; has its times."),
    ] = None,
    deadline_s: DeadlineS = DEADLINE_S,
) -> Response:
    """The newest rows first. What is there when the deadline comes is the answer, with the cursor to go on from."""
    if question.stage is not None:
        if cursor is not None:
            raise QueryError("a count has no pages", question.text.rfind("|") + 1)
        stage = question.stage
        return await readers.run(request, lambda gone: _table(store, question, stage, Limit.after(deadline_s, gone)))
    before, time = (None, question.time) if cursor is None else read_cursor(cursor)

    def read(gone: threading.Event) -> Response:
        begun_s = monotonic()
        page = searching.page(question.where, time, limit, before=before, deadline_s=deadline_s, cancelled=gone)
        content = {
            "rows": page.rows,
            "next": None if page.next is None else write_cursor(page.next, time),
            "up_to_row_id": page.up_to_row_id,
            "is_partial": page.is_partial,
            "reached": moment(page.reached),
            **times(time),
            "took_s": round(monotonic() - begun_s, 6),
        }
        return answer(content, len(page.rows))

    return await readers.run(request, read)


def _table(store: TheStore, question: Question, stage: Stage, limit: Limit) -> Response:
    begun_s = monotonic()
    table = Counting(store).stage(Asked(question.where, question.time, limit), stage)
    counts = table.counts
    content = {
        "table": {"columns": table.columns, "rows": table.rows},
        "counted": counts.total,
        "others": table.others,
        "is_partial": counts.is_partial,
        "reached": moment(counts.reached),
        **times(question.time),
        "took_s": round(monotonic() - begun_s, 6),
    }
    return answer(content, len(table.rows))
