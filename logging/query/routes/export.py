"""`/api/v1/export`: all rows of a question as a stream."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse

from cloud.logs.collector.store import StoreError
from cloud.logs.query.access.principal import ThePrincipal, allowed
from cloud.logs.query.export import Export, ExportCutError
from cloud.logs.query.export_end import Format, end_of
from cloud.logs.query.routes.question import TheLines, TheReaders, TheSearch
from cloud.logs.query.routes.readers import BusyError
from cloud.logs.query.routes.search import ROW
from cloud.logs.query.routes.seats import Seats

DEFAULT_ROWS = 1_000_000
MAX_ROWS = 100_000_000
MAX_EXPORTS = 16
"""At once: of each, a page of rows may wait for its reader."""
STANDING_S = 600.0
"""So long a reader may take nothing: somebody may be looking at a pager."""
CHUNK_CHARS = 64 << 10
BUSY_S = 40.0
"""So long a begun export waits for a turn, piece by piece; with a piece's deadline, less than a client waits."""
AGAIN_S = 1.0
MEDIA_TYPES: dict[Format, str] = {"ndjson": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}

router = APIRouter(prefix="/api/v1", dependencies=[Depends(allowed("lines:export"))], tags=["search"])


async def _seat(request: Request, who: ThePrincipal) -> AsyncIterator[None]:
    seats: Seats = request.app.state.export_seats
    with seats.seated(is_member=who.project_ids is not None):
        request.state.standing_s = STANDING_S  # for the connection, which elsewhere is ended sooner
        yield


@router.get(
    "/export",
    response_class=StreamingResponse,
    dependencies=[Depends(_seat)],
    responses={
        200: {
            "description": "A row a line, the oldest first. The last line has the number of rows, and an `error` where"
            " they are not all: an answer without such a line was cut off on its way.",
            "content": {
                "application/x-ndjson": {"example": f"{json.dumps(ROW)}\n{end_of('ndjson', 1, None)}"},
                "text/csv": {"example": f"row_id,...\r\n4711,...\r\n{end_of('csv', 1, None)}"},
            },
        }
    },
)
async def export(
    question: TheLines,
    search: TheSearch,
    readers: TheReaders,
    request: Request,
    form: Annotated[Format, Query(alias="format")] = "ndjson",
    limit: Annotated[
        int, Query(ge=1, le=MAX_ROWS, description="With more rows than that, it ends in an error.")
    ] = DEFAULT_ROWS,
) -> StreamingResponse:
    """The rows that are there when it begins; those that come meanwhile are not in it."""
    exporting = Export(search, question.where, question.time, form, limit)
    request.state.audit = {"rows": 0}

    def piece(gone: threading.Event) -> str | None:
        return exporting.piece(gone)

    async def next_piece() -> str | None:
        until_s = time.monotonic() + BUSY_S
        while True:
            try:
                return await readers.run(request, piece)
            except BusyError:
                if time.monotonic() >= until_s:
                    raise
            await asyncio.sleep(AGAIN_S)

    async def body() -> AsyncIterator[str]:
        error = None
        yield exporting.head
        try:
            while (text := await next_piece()) is not None:
                request.state.audit = {"rows": exporting.rows}  # now: the reader may go at any time
                for chunk in _chunks(text):
                    yield chunk
        except (ExportCutError, StoreError, BusyError) as exc:  # the status is sent, so the last line must tell
            error = str(exc)
        yield end_of(form, exporting.rows, error)

    name = f"attachment; filename=lines.{form}"
    return StreamingResponse(body(), media_type=MEDIA_TYPES[form], headers={"Content-Disposition": name})


def _chunks(text: str) -> Iterator[str]:
    """In pieces, so that nothing on the way to a slow reader holds it all once more."""
    return (text[start : start + CHUNK_CHARS] for start in range(0, len(text), CHUNK_CHARS))
