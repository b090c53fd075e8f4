"""The collector's HTTP server: readiness, metrics and the query API, on loopback."""

import time
from dataclasses import dataclass

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.middleware.trustedhost import TrustedHostMiddleware

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.inbox import Inbox
from cloud.logs.collector.lag import MAX_OLDEST_S, oldest_s
from cloud.logs.collector.lines import LineAccounts
from cloud.logs.collector.metrics import Metrics
from cloud.logs.collector.store import StoreError
from cloud.logs.collector.store_api import store_routes
from cloud.logs.collector.upkeep import Upkeep
from cloud.logs.query import api, gaps_api
from cloud.logs.query.commits import Commits
from cloud.logs.query.reader import Reader

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]", "::1")


@dataclass(frozen=True, slots=True)
class Parts:
    """What of a collector HTTP gives access to."""

    store: DuckDbStore
    upkeep: Upkeep
    accounts: LineAccounts
    inbox: Inbox
    metrics: Metrics


def make_app(parts: Parts) -> FastAPI:
    """The application, for the running event loop.

    It answers to loopback names only, so that no web page can reach it through a browser's DNS.
    """
    app = FastAPI(title="cloud log collector", version="1", docs_url=None, redoc_url=None)
    app.state.reader = Reader(parts.store)
    app.state.commits = Commits(parts.store)
    app.state.accounts = parts.accounts
    app.state.mark_store = parts.store
    app.state.inbox = parts.inbox
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(LOOPBACK_NAMES))
    app.include_router(api.router)
    app.include_router(gaps_api.router)
    app.include_router(store_routes(parts.store, parts.upkeep))

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        """Lines are taken (the listeners are bound before HTTP) and stored; 503 with the reason when storing stalls."""
        behind_s = oldest_s(parts.inbox, time.time_ns() // 1000)
        if behind_s > MAX_OLDEST_S:
            return JSONResponse(
                {"status": "not ready", "reason": f"the oldest line has waited {behind_s:.0f} s to be stored"}, 503
            )
        return JSONResponse({"status": "ready", "row_id": parts.store.committed_row_id})

    @app.get("/metrics")
    def metrics_text() -> Response:  # in a thread: it asks the accounts of all lines
        """The metrics as Prometheus reads them."""
        return Response(generate_latest(parts.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @app.exception_handler(StoreError)
    async def store_error(_request: Request, exc: StoreError) -> JSONResponse:
        return JSONResponse({"detail": str(exc), "code": "store"}, status_code=503)

    return app
