"""The collector's HTTP server: readiness, metrics and the query API, on loopback."""

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.middleware.trustedhost import TrustedHostMiddleware

from cloud.logs.collector.metrics import Metrics
from cloud.logs.collector.store import Store, StoreError
from cloud.logs.query.api import router
from cloud.logs.query.commits import Commits
from cloud.logs.query.reader import Reader

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]", "::1")


def make_app(store: Store, metrics: Metrics) -> FastAPI:
    """The application, for the running event loop.

    It answers to loopback names only, so that no web page can reach it through a browser's DNS.
    """
    app = FastAPI(title="cloud log collector", version="1", docs_url=None, redoc_url=None)
    app.state.reader = Reader(store)
    app.state.commits = Commits(store)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(LOOPBACK_NAMES))
    app.include_router(router)

    @app.get("/readyz")
    async def readyz() -> dict[str, object]:
        """The server takes part: the store is open, the listeners are bound (they come before HTTP)."""
        return {"status": "ready", "row_id": store.committed_row_id}

    @app.get("/metrics")
    async def metrics_text() -> Response:
        """The metrics as Prometheus reads them."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @app.exception_handler(StoreError)
    async def store_error(_request: Request, exc: StoreError) -> JSONResponse:
        return JSONResponse({"detail": str(exc), "code": "store"}, status_code=503)

    return app
