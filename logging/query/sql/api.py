"""`POST /api/v1/sql`: one SELECT on all that is stored, by who may see all of it."""

import asyncio
import hashlib
from collections.abc import Coroutine
from contextlib import ExitStack
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import Gauge
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.upkeep import Upkeep
from cloud.logs.query.access.principal import allowed
from cloud.logs.query.sql.order import MAX_DEADLINE_S, MAX_ROWS, Order
from cloud.logs.query.sql.runner import Answer, Runner, SqlError, SqlGoneError
from cloud.logs.query.sql.standing import Standing
from cloud.logs.query.sql.statement import MAX_STATEMENT
from cloud.logs.query.sql.unsealed import given

AUDITED_CHARACTERS = 200
_EXAMPLE: JsonValue = {
    "statement": "SELECT hostname, count(*) AS lines FROM logs WHERE severity <= 3 GROUP BY hostname ORDER BY 2 DESC"
}


class Asked(BaseModel):
    """A statement reads `logs`, whose columns are those of a row, and nothing else."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    statement: str = Field(min_length=1, max_length=MAX_STATEMENT, description="One SELECT.")
    max_rows: Annotated[int, Field(ge=1, le=MAX_ROWS, description="Rows beyond it are cut off.")] = 1000
    deadline_s: Annotated[float, Field(gt=0, le=MAX_DEADLINE_S, description="How long it may take.")] = 10.0


def sql_routes(store: DuckDbStore, upkeep: Upkeep, walls: Gauge) -> APIRouter:
    """For the running event loop. Members never: a statement cannot be narrowed to a project's lines."""
    router = APIRouter(prefix="/api/v1")
    runner = Runner(Standing(walls).note)

    @router.post("/sql", dependencies=[Depends(allowed("sql:run"))])
    async def sql(request: Request, asked: Asked) -> Response:
        """Columns and rows; the header X-Left-Out says how many rows, not sealed yet, it could not see."""
        request.state.audit = {
            "statement": asked.statement[:AUDITED_CHARACTERS].encode(errors="replace").decode(),
            "sha256": hashlib.sha256(asked.statement.encode(errors="replace")).hexdigest(),
        }
        try:
            await runner.acquire()
        except SqlError as exc:
            return _refusal(exc)
        try:
            with ExitStack() as stack:
                read = await to_thread.run_sync(stack.enter_context, given(store, upkeep))
                unsealed = None if read.unsealed is None else str(read.unsealed)
                order = Order(asked.statement, read.sealed, unsealed, asked.max_rows, asked.deadline_s)
                answer = await _unless_gone(request, runner.run(order))
        except SqlError as exc:
            return _refusal(exc)
        finally:
            runner.release()
        headers = {"X-Rows": str(answer.rows), "X-Left-Out": str(read.left_out)}
        return Response(answer.body, media_type="application/json", headers=headers)

    return router


async def _unless_gone(request: Request, run: Coroutine[Any, Any, Answer]) -> Answer:
    """What `run` gives; `SqlGoneError`, and it has ended, when the client goes before that."""
    running = asyncio.create_task(run)
    watching = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({running, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            raise SqlGoneError("nobody waits for the answer any more", "gone")
        return running.result()
    finally:
        running.cancel()
        watching.cancel()
        await asyncio.wait({running, watching})


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _refusal(exc: SqlError) -> JSONResponse:
    headers = {"Retry-After": "10"} if exc.status == 503 else None
    return JSONResponse({"detail": str(exc), "code": exc.code}, exc.status, headers)
