"""What the HTTP services share: each request has an id, a bound and one log line, each error one shape."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from cloud.domain.caller import Caller
from cloud.errors import BadRequestError, CloudError, RequestTimeoutError, TooLargeError
from cloud.logs.emit import logger, request_context
from cloud.web.server import App

MAX_BODY_BYTES = 1 << 20
BODY_TIMEOUT_S = 30.0
Render = Callable[[int, str], dict[str, Any]]
"""A status and a message as the body of an error."""
Authenticate = Callable[[Scope], Awaitable[Caller | None]]
"""Who asks; None for a path that needs nobody. UnauthorizedError, or IdentityUnavailableError."""
OnStop = Callable[[], Awaitable[None]]
_UNSAID = "the server could not do what was asked of it; its log says why"
_AWAY = "something that is needed for this does not answer; try again later"


@dataclass(frozen=True, slots=True)
class Shape:
    """How one service answers."""

    render: Render
    request_id_headers: Sequence[str] = ("x-openstack-request-id",)
    unauthorized_header: str | None = None
    """The value of WWW-Authenticate beside a 401."""
    max_body_bytes: int | None = MAX_BODY_BYTES
    """None where the service itself counts what it reads."""


def make_app(title: str, shape: Shape) -> FastAPI:
    """An application without routes, whose errors have `shape`. Serve it within `gated`."""
    app = FastAPI(title=title, docs_url=None, redoc_url=None, redirect_slashes=False)

    @app.exception_handler(CloudError)
    async def cloud_error(request: Request, exc: CloudError) -> Response:
        return refusal(shape, request.scope, exc)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, exc: RequestValidationError) -> Response:  # noqa: ARG001 - FastAPI's signature
        return JSONResponse(shape.render(400, validation_message(exc)), 400)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, exc: HTTPException) -> Response:  # noqa: ARG001 - Starlette's signature
        return JSONResponse(shape.render(exc.status_code, str(exc.detail)), exc.status_code, exc.headers)

    @app.exception_handler(Exception)
    async def defect(request: Request, exc: Exception) -> Response:  # noqa: ARG001 - raised again, and logged by `gated`
        return JSONResponse(shape.render(500, _UNSAID), 500)

    return app


def refusal(shape: Shape, scope: Scope, exc: CloudError) -> Response:
    """`exc` as an answer. What is ours to mend is told to the log, and not to the client: it may name a database."""
    if exc.status >= 500:
        logger.bind(method=scope["method"], path=scope["path"], error=str(exc)).error("request failed")
        message = _UNSAID if exc.status == 500 else _AWAY
    else:
        message = str(exc)
    headers = {}
    if exc.status == 401 and shape.unauthorized_header is not None:
        headers["WWW-Authenticate"] = shape.unauthorized_header
    return JSONResponse(shape.render(exc.status, message), exc.status, headers)


def validation_message(exc: RequestValidationError) -> str:
    """Which part of a request does not fit, and why; nothing of what was sent, which may be a password."""
    first = exc.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part != "body")
    return f"invalid input for {place or 'the body'}: {first['msg']}"


def gated(app: App, shape: Shape, authenticate: Authenticate, on_stop: OnStop | None = None) -> App:
    """`app` behind what comes before every route: the request's id, its bound, who asks, and afterwards its log line.

    Routes find who asks as `request.state.caller`. `on_stop` is awaited after the last request, in their event loop.
    """

    async def serve(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send, on_stop)
        if scope["type"] != "http":
            return
        request_id = f"req-{uuid.uuid4()}"
        exchange = _Exchange(receive, send, shape, request_id)
        started_s = time.monotonic()
        with request_context(request_id=request_id):
            user: dict[str, str | None] = {}
            try:
                caller = await authenticate(scope)
                scope.setdefault("state", {})["caller"] = caller
                if caller is not None:
                    user = {"user": caller.user_id, "project": caller.project_id}
                with request_context(**user):
                    await exchange.read_body()
                    await app(scope, exchange.receive, exchange.send)
            except CloudError as exc:  # before any route was reached, or while its body was read
                if exchange.status is None:
                    await refusal(shape, scope, exc)(scope, receive, exchange.send)
            except Exception as exc:  # noqa: BLE001 - a defect of ours is no reason to leave a client without an answer
                logger.opt(exception=exc).bind(method=scope["method"], path=scope["path"]).error("request failed")
                if exchange.status is None:
                    await JSONResponse(shape.render(500, _UNSAID), 500)(scope, receive, exchange.send)
            elapsed_s = round(time.monotonic() - started_s, 6)
            logger.bind(
                method=scope["method"], path=scope["path"], status=exchange.status, elapsed_s=elapsed_s, **user
            ).info("request answered")

    return serve


async def _live(receive: Receive, send: Send, on_stop: OnStop | None) -> None:
    """ASGI's lifespan: the server says when it begins and when it has ended."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    if on_stop is not None:
        await on_stop()
    await send({"type": "lifespan.shutdown.complete"})


class _Exchange:
    """One request and its answer, as they pass."""

    def __init__(self, receive: Receive, send: Send, shape: Shape, request_id: str) -> None:
        self._receive = receive
        self._send = send
        self._shape = shape
        self._request_id = request_id
        self._body: bytes | None = None
        self.status: int | None = None

    async def read_body(self) -> None:
        """Read all of it, where it has a bound, before any route begins: TooLargeError, RequestTimeoutError."""
        limit = self._shape.max_body_bytes
        if limit is None:
            return
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                while True:
                    message = await self._receive()
                    if message["type"] != "http.request":
                        raise BadRequestError("cannot read request: the client has gone")
                    body += message.get("body", b"")
                    if len(body) > limit:
                        raise TooLargeError(f"cannot read request: more than {limit} bytes")
                    if not message.get("more_body", False):
                        break
        except TimeoutError as exc:
            raise RequestTimeoutError(f"cannot read request: it did not come within {BODY_TIMEOUT_S:g} s") from exc
        self._body = bytes(body)

    async def receive(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            name_value = [(name.encode(), self._request_id.encode()) for name in self._shape.request_id_headers]
            message = {**message, "headers": [*message.get("headers", ()), *name_value]}
        await self._send(message)
