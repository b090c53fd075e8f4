"""In front of all routes: who asks, how much a request may bring, and afterwards the line about who did what."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import unquote

from fastapi import HTTPException
from loguru import logger
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud.logs.collector.receivers.complaints import Complaints
from cloud.logs.collector.store_api import KEY_HEADER
from cloud.logs.query.access.access import GUESSES, Access, Shown
from cloud.logs.query.access.browser import guarded, is_of_another_site
from cloud.logs.query.access.errors import (
    AccessError,
    ForbiddenError,
    LongHeadError,
    OtherSiteError,
    TooManyFailuresError,
)
from cloud.logs.query.access.principal import Principal
from cloud.logs.query.access.roles import ACTIONS
from cloud.logs.query.access.route_actions import RouteActions

PUBLIC = frozenset({"/readyz"})
"""What says nothing of any line: answered to anybody."""
MAX_HEADERS_BYTES = 16 << 10
MAX_BODY_BYTES = 256 << 10
LONG_BODIES: Mapping[str, int] = {"/api/v1/backfill": 16 << 20, "/api/v1/runs/waive": 1 << 20}
"""Where more than MAX_BODY_BYTES is taken."""
BODY_S = 30.0
"""So long a client is waited for, in all, until its body is complete."""
RECHECK_S = 5.0
"""So long an answer that is still being sent goes on after what it was asked with is no longer good."""
MAX_LOGGED = 500


class Gate:
    """ASGI middleware. Routes find the principal as `request.state.principal`, and say what they did in `audit`."""

    def __init__(self, app: ASGIApp, access: Access, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._access = access
        self._clock_s = clock_s
        self._complaints = Complaints()
        self._actions: RouteActions | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        send = guarded(send)
        if scope["type"] == "lifespan" or (scope["type"] == "http" and scope["path"] in PUBLIC):
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        peer = scope["client"][0] if scope.get("client") else "-"
        headers = Headers(scope=scope)
        try:
            _check_head(headers)
        except AccessError as exc:
            await refusal(exc)(scope, receive, send)
            return
        shown = _shown(headers)
        try:
            principal = await self._access.identify(shown, peer)
        except AccessError as exc:
            self._note_refusal(scope, shown, peer, exc)
            await refusal(exc)(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["principal"] = principal
        state["peer"] = peer
        max_bytes = LONG_BODIES.get(scope["path"], MAX_BODY_BYTES)
        body = _Body(receive, max_bytes)
        exchange = _Exchange(lambda: self._access.look_up(shown), principal, send, self._clock_s)
        try:
            if await self._may(scope, principal, receive, exchange):
                await self._app(scope, body.receive, exchange.send)
        except Exception:
            if not exchange.is_cut:
                raise
            await exchange.end()
        finally:
            _note_action(scope, exchange)

    async def _may(self, scope: Scope, principal: Principal, receive: Receive, exchange: "_Exchange") -> bool:
        """Whether the principal's role suffices; otherwise it is told so, and nothing of its body is read."""
        if self._actions is None:
            self._actions = RouteActions(scope["app"].routes)
        action = self._actions.of(scope["method"], scope["path"])
        try:
            if action is not None:
                principal.check(action)
        except ForbiddenError as exc:
            scope["state"]["action"] = action
            await refusal(exc)(scope, receive, exchange.send)
            return False
        return True

    def _note_refusal(self, scope: Scope, shown: Shown, peer: str, exc: AccessError) -> None:
        """One line for each wrong key, of which an address has only so many; none for what comes after them."""
        if not shown.is_something or isinstance(exc, TooManyFailuresError):
            return
        if not isinstance(exc, GUESSES):  # nobody's fault, or a user's without a project: as often as it likes
            self._complaints.warn("nobody could be let in", peer=peer, cause=str(exc))
            return
        is_last = self._access.throttle.is_exhausted(peer)
        logger.bind(peer=peer, method=scope["method"], path=scope["path"][:MAX_LOGGED], cause=str(exc)).warning(
            "sign-in refused, and those to come for a while" if is_last else "sign-in refused"
        )


class _Body:
    """What a request brings: its bytes and the time that they take are bounded."""

    def __init__(self, receive: Receive, max_bytes: int) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._received = 0
        self._left_s = BODY_S
        self._is_complete = False

    async def receive(self) -> Message:
        if self._is_complete:  # what comes now is the client's end
            return await self._receive()
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        try:
            async with asyncio.timeout(self._left_s):
                message = await self._receive()
        except TimeoutError as exc:
            raise HTTPException(408, f"cannot wait longer than {BODY_S:g} s for the rest of the request") from exc
        self._left_s -= loop.time() - started_s  # the time that a route takes for a piece is not the client's
        self._is_complete = not message.get("more_body", False)
        self._received += len(message.get("body", b""))
        if self._received > self._max_bytes:
            raise HTTPException(413, f"cannot take more than {self._max_bytes} bytes at once: send it in pieces")
        return message


class _Exchange:
    """The answer to one request: it ends when the key or token does that it was asked with."""

    def __init__(
        self,
        look_up: Callable[[], Awaitable[Principal]],
        principal: Principal,
        send: Send,
        clock_s: Callable[[], float],
    ) -> None:
        self._look_up = look_up
        self._principal = principal
        self._send = send
        self._clock_s = clock_s
        self._recheck_s = clock_s() + RECHECK_S
        self._is_stream_of_events = False
        self.is_cut = False
        self.status: int | None = None
        self.rows: str | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = Headers(raw=message["headers"])
            self.rows = headers.get("x-rows")
            self._is_stream_of_events = headers.get("content-type", "").startswith("text/event-stream")
        elif message.get("more_body") and self._clock_s() >= self._recheck_s:
            try:
                is_good = await self._look_up() == self._principal  # and may what it could before
            except AccessError:
                is_good = False
            if not is_good:
                self.is_cut = True
                raise _CutError("what the answer was asked with is no longer good")
            self._recheck_s = self._clock_s() + RECHECK_S
        await self._send(message)

    async def end(self) -> None:
        """Close an answer that was cut: events are whole each for itself, and all else must not look whole."""
        if self._is_stream_of_events:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})


class _CutError(OSError):
    """What the answer was asked with is no longer good. An OSError, as for a client that has gone: the route ends."""


def refusal(exc: AccessError) -> JSONResponse:
    """The answer that says so."""
    return JSONResponse({"detail": str(exc), "code": exc.code}, exc.status, dict(exc.headers))


def _check_head(headers: Headers) -> None:
    """`AccessError` for what is refused whoever asks."""
    if sum(len(name) + len(value) for name, value in headers.raw) > MAX_HEADERS_BYTES:
        raise LongHeadError(f"cannot take more than {MAX_HEADERS_BYTES} bytes of headers")
    if is_of_another_site(headers):
        raise OtherSiteError("a page of another site may not ask here")


def _shown(headers: Headers) -> Shown:
    scheme, _, credential = headers.get("authorization", "").partition(" ")
    bearer = credential.strip() if scheme.lower() == "bearer" else ""
    return Shown(bearer or headers.get("x-auth-token") or None, headers.get(KEY_HEADER))


def _note_action(scope: Scope, exchange: _Exchange) -> None:
    state = scope["state"]
    action = state.get("action")
    if action is None or not (ACTIONS[action].is_audited or exchange.status == 403):
        return
    who = state["principal"]
    details = {"rows": exchange.rows, **state.get("audit", {})}
    query = unquote(scope["query_string"].decode("latin-1"), errors="replace")[:MAX_LOGGED]
    logger.bind(
        who=who.name,
        role=who.role.word,
        action=action,
        peer=state["peer"],
        method=scope["method"],
        path=scope["path"][:MAX_LOGGED],
        query=query or None,
        status=exchange.status,
        **details,
    ).info("audit")
