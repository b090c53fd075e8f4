"""The collector's HTTP server: readiness, metrics and the query API, behind the gate that asks who calls."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from loguru import logger
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.middleware.trustedhost import TrustedHostMiddleware

from cloud.dashboards.pages import Pages
from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.inbox import Inbox
from cloud.logs.collector.lag import MAX_OLDEST_S, oldest_s
from cloud.logs.collector.lines import LineAccounts
from cloud.logs.collector.metrics import Metrics
from cloud.logs.collector.store import StoreError
from cloud.logs.collector.store_api import new_store_key, store_routes
from cloud.logs.collector.upkeep import Upkeep
from cloud.logs.query import api, gaps_api
from cloud.logs.query.access.access import Access, Ways
from cloud.logs.query.access.errors import AccessError
from cloud.logs.query.access.gate import Gate, refusal
from cloud.logs.query.access.identity import Identity
from cloud.logs.query.access.principal import allowed
from cloud.logs.query.access.session import Sessions
from cloud.logs.query.access.session_seal import Seal
from cloud.logs.query.commits import Commits
from cloud.logs.query.reader import Reader
from cloud.logs.query.routes.application import add_questions
from cloud.logs.query.routes.described import described
from cloud.logs.query.saved.api import saved_routes
from cloud.logs.query.sql.api import sql_routes
from cloud.logs.query.tail.api import add_tail

MAX_ERRORS = 10
"""Of what is wrong with a request, so many things are said."""
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]", "::1")


@dataclass(frozen=True, slots=True)
class Parts:
    """What of a collector HTTP gives access to."""

    store: DuckDbStore
    upkeep: Upkeep
    accounts: LineAccounts
    inbox: Inbox
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class Door:
    """Where HTTP listens, and for whom."""

    names: Sequence[str] = ()
    """The names and addresses, beside those of loopback, by which clients call it."""
    is_loopback_only: bool = True
    identity: Identity | None = None


LOOPBACK_DOOR = Door()


def make_app(parts: Parts, door: Door = LOOPBACK_DOOR) -> FastAPI:
    """The application, for the running event loop.

    It answers to its own names only, so that no web page can reach it through a browser's DNS.
    """
    app = FastAPI(title="cloud log collector", version="1", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.reader = Reader(parts.store)
    app.state.commits = Commits(parts.store)
    app.state.accounts = parts.accounts
    app.state.mark_store = parts.store
    app.state.inbox = parts.inbox
    data = parts.store.files.path
    access = Access(Ways(data, new_store_key(data), door.identity, is_loopback_only=door.is_loopback_only))
    if access.is_open:
        logger.info("anybody on this machine may ask: there is no key in {}, and no identity service is set", data)
    app.add_middleware(Gate, access=access)
    app.add_middleware(Sessions, access=access, seal=Seal(data, time.time))
    app.add_middleware(Pages)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK_NAMES, *door.names])  # the last comes first
    app.include_router(api.router)
    app.include_router(gaps_api.router)
    add_questions(app, parts.store, parts.metrics.hosts)
    add_tail(app, parts.store, app.state.commits)
    app.include_router(saved_routes(data))
    app.include_router(sql_routes(parts.store, parts.upkeep, parts.metrics.sql_walls))
    app.include_router(store_routes(parts.store, parts.upkeep), dependencies=[Depends(allowed("store:administer"))])

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        """Lines are taken (the listeners are bound before HTTP) and stored; 503 with the reason when storing stalls."""
        behind_s = oldest_s(parts.inbox, time.time_ns() // 1000)
        if behind_s > MAX_OLDEST_S:
            return JSONResponse(
                {"status": "not ready", "reason": f"the oldest line has waited {behind_s:.0f} s to be stored"}, 503
            )
        return JSONResponse({"status": "ready", "row_id": parts.store.committed_row_id})

    @app.get("/openapi.json", include_in_schema=False, dependencies=[Depends(allowed("api:describe"))])
    async def openapi() -> JSONResponse:
        """What can be asked here."""
        return JSONResponse(described(app.openapi()))

    @app.get("/metrics", dependencies=[Depends(allowed("metrics:read"))])
    def metrics_text() -> Response:  # in a thread: it asks the accounts of all lines
        """The metrics as Prometheus reads them."""
        return Response(generate_latest(parts.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @app.exception_handler(AccessError)
    async def access_error(_request: Request, exc: AccessError) -> JSONResponse:
        return refusal(exc)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, exc: RequestValidationError) -> Response:
        """What does not fit, without what was sent: that may be a secret, or no text that can be sent back."""
        errors = [{"type": each["type"], "loc": each["loc"], "msg": each["msg"]} for each in exc.errors()[:MAX_ERRORS]]
        content = json.dumps(
            {"detail": errors, "code": "request"}
        )  # ASCII alone: names of keys may hold half characters
        return Response(content, 422, media_type="application/json")

    @app.exception_handler(StoreError)
    async def store_error(_request: Request, exc: StoreError) -> JSONResponse:
        return JSONResponse({"detail": str(exc), "code": "store"}, status_code=503)

    return app
