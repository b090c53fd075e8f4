"""`/api/v1/context`: the lines around one."""

import threading
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, Field

from cloud.logs.query.access.principal import OwnLines, allowed
from cloud.logs.query.context import Around
from cloud.logs.query.context import context as find_context
from cloud.logs.query.limit import Limit
from cloud.logs.query.routes.question import AbsentError, DeadlineS, TheReaders, TheSearch, answer
from cloud.logs.query.routes.search import ROW
from cloud.logs.query.search import DEADLINE_S

MAX_AROUND = 1000
MAX_ROW_ID = 2**63 - 1

router = APIRouter(prefix="/api/v1", dependencies=[Depends(allowed("lines:read"))], tags=["search"])


class ContextAnswer(BaseModel):
    """Rows in order of arrival."""

    before: list[dict[str, Any]]
    row: dict[str, Any]
    after: list[dict[str, Any]]
    is_partial: bool = Field(description="Whether the deadline came before all of them were found.")

    model_config = {"json_schema_extra": {"example": {"before": [], "row": ROW, "after": [], "is_partial": False}}}


@router.get(
    "/context/{row_id}", response_model=ContextAnswer, responses={404: {"description": "There is no such row."}}
)
async def context(
    own: OwnLines,
    search: TheSearch,
    readers: TheReaders,
    request: Request,
    row_id: Annotated[int, Path(ge=1, le=MAX_ROW_ID)],
    around: Annotated[Around, Query(description="Of the same host, of the same service on it, or all.")] = Around.HOST,
    before: Annotated[int, Query(ge=0, le=MAX_AROUND)] = 10,
    after: Annotated[int, Query(ge=0, le=MAX_AROUND)] = 10,
    deadline_s: DeadlineS = DEADLINE_S,
) -> Response:
    """The lines that arrived before and after one."""

    def read(gone: threading.Event) -> Response:
        found = find_context(search, own, row_id, around, before, after, Limit.after(deadline_s, gone))
        if found is None:
            raise AbsentError(f"cannot find row {row_id}")
        content = {"before": found.before, "row": found.row, "after": found.after, "is_partial": found.is_partial}
        return answer(content, len(found.before) + 1 + len(found.after))

    return await readers.run(request, read)
