"""What the routes' errors are as responses: one place for statuses and the codes that programs go by."""

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from cloud.logs.query.language.query import QueryError
from cloud.logs.query.memory import TooManyValuesError
from cloud.logs.query.routes.cursor import CursorError
from cloud.logs.query.routes.question import AbsentError
from cloud.logs.query.routes.readers import BusyError
from cloud.logs.query.saved.errors import SavedSearchError
from cloud.logs.query.search import SearchError
from cloud.logs.query.time_range import TimeError

RETRY_S = 5


def add_refusals(app: FastAPI) -> None:
    """Let `app` answer the errors of questions, each with `detail` and `code`."""

    @app.exception_handler(QueryError)
    async def query_error(_request: Request, exc: QueryError) -> JSONResponse:
        """With the column, from 1, and what was expected there."""
        return JSONResponse(
            {"detail": str(exc), "code": "query", "column": exc.column, "expected": list(exc.expected)}, 422
        )

    @app.exception_handler(TimeError)
    async def time_error(_request: Request, exc: TimeError) -> JSONResponse:
        return JSONResponse({"detail": str(exc), "code": "time"}, 422)

    @app.exception_handler(CursorError)
    async def cursor_error(_request: Request, exc: CursorError) -> JSONResponse:
        return JSONResponse({"detail": str(exc), "code": "cursor"}, 422)

    @app.exception_handler(AbsentError)
    async def absent_error(_request: Request, exc: AbsentError) -> JSONResponse:
        return JSONResponse({"detail": str(exc), "code": "not_found"}, 404)

    @app.exception_handler(SavedSearchError)
    async def saved_search_error(_request: Request, exc: SavedSearchError) -> JSONResponse:
        return JSONResponse({"detail": str(exc), "code": exc.code}, exc.status)

    @app.exception_handler(SearchError)
    async def search_error(_request: Request, exc: SearchError) -> JSONResponse:
        return JSONResponse({"detail": str(exc), "code": "deadline"}, 503)

    @app.exception_handler(TooManyValuesError)
    async def too_many_values(_request: Request, exc: TooManyValuesError) -> JSONResponse:
        return JSONResponse({"detail": f"{exc}: narrow the query or the time range", "code": "too_many_values"}, 422)

    @app.exception_handler(BusyError)
    async def busy_error(_request: Request, exc: BusyError) -> JSONResponse:
        return JSONResponse({"detail": str(exc), "code": "busy"}, 503, {"Retry-After": str(RETRY_S)})
