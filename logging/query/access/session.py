"""In front of the gate: a browser's cookie becomes the key or token in it, and `/api/v1/session` begins and ends one.

A cookie is good only for what our own pages ask. `SameSite=Strict` keeps other sites' requests without it; of those
from another port of the same host, which is the same site, the headers tell that only browsers write.
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from loguru import logger
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request, cookie_parser
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud.logs.collector.store_api import KEY_HEADER
from cloud.logs.query.access.access import Access, Shown
from cloud.logs.query.access.browser import guarded, is_of_another_site
from cloud.logs.query.access.errors import AccessError, TooManyFailuresError, UnknownCallerError
from cloud.logs.query.access.gate import refusal
from cloud.logs.query.access.principal import Principal
from cloud.logs.query.access.roles import ACTIONS
from cloud.logs.query.access.session_seal import SESSION_S, Seal, SealError

PATH = "/api/v1/session"
MAX_BODY_BYTES = 16 << 10
BODY_S = 10.0
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_PORT = re.compile(r":(\d{1,5})\Z", re.ASCII)
"""Of the Host header."""
_OTHER_WAYS = ("authorization", "x-auth-token", KEY_HEADER.lower())


class SignIn(BaseModel):
    """Either a key, or a user of the identity service."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str | None = Field(None, min_length=1, max_length=4096, repr=False)
    user: str | None = Field(None, min_length=1, max_length=255)
    password: str | None = Field(None, min_length=1, max_length=1024, repr=False)
    project: str = Field("", max_length=255)

    @model_validator(mode="after")
    def _is_one(self) -> "SignIn":
        if (self.key is None) == (self.user is None) or (self.user is None) != (self.password is None):
            raise ValueError("expected a key, or a user and a password")
        return self


class Sessions:
    """ASGI middleware, outside of the gate. No state for a client: all of a session is in its cookie."""

    def __init__(self, app: ASGIApp, access: Access, seal: Seal) -> None:
        self._app = app
        self._access = access
        self._seal = seal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        credential = self._credential(scope, headers)
        if scope["path"] == PATH:
            answer = await self._answer(Request(scope, receive), headers, credential)
            await answer(scope, receive, guarded(send))
        elif credential is None:
            await self._app(scope, receive, send)
        else:
            shown = {**scope, "headers": [*scope["headers"], (b"authorization", f"Bearer {credential}".encode())]}
            await self._app(shown, receive, _Forgetting(send, cookie_of(scope, "", 0)))

    def _credential(self, scope: Scope, headers: Headers) -> str | None:
        """What the cookie holds, where it counts: beside a header that says who asks, it does not."""
        if "cookie" not in headers or any(name in headers for name in _OTHER_WAYS):
            return None
        text = cookie_parser(headers["cookie"]).get(cookie_name(scope))
        return self._seal.open(text) if text and is_own(scope["method"], headers) else None

    async def _answer(self, request: Request, headers: Headers, credential: str | None) -> Response:
        peer = request.client.host if request.client else "-"
        try:
            if request.method == "GET":
                return await self._who(credential, peer)
            if request.method == "DELETE":
                return _plain({"signed_in": None}, {"Set-Cookie": cookie_of(request.scope, "", 0)})
            if request.method == "POST":
                if is_of_another_site(headers):
                    return _plain({"detail": "sign in from the collector's own page", "code": "forbidden"}, status=403)
                return await self._sign_in(request, peer)
        except AccessError as exc:
            return refusal(exc)
        except SealError as exc:
            return _plain({"detail": str(exc), "code": "session"}, status=503)
        return _plain({"detail": "expected GET, POST or DELETE", "code": "method"}, {"Allow": "GET, POST, DELETE"}, 405)

    async def _who(self, credential: str | None, peer: str) -> Response:
        try:
            who = await self._access.identify(Shown(credential), peer)
        except (UnknownCallerError, TooManyFailuresError):  # a good key is let in whatever else came from there
            return _plain({"signed_in": None, **self._ways()})
        return _plain({"signed_in": _shown_as(who), **self._ways()})

    async def _sign_in(self, request: Request, peer: str) -> Response:
        try:
            asked = SignIn.model_validate_json(await _body(request))
        except (ValidationError, TimeoutError, ClientDisconnect, _TooLongError):
            return _plain({"detail": "expected a key, or a user and a password", "code": "request"}, status=422)
        if asked.key is not None:
            credential = asked.key.strip()
        else:
            credential = await self._access.token(asked.user or "", asked.password or "", asked.project, peer)
        who = await self._access.identify(Shown(credential), peer)
        cookie = cookie_of(request.scope, self._seal.close(credential), SESSION_S)
        logger.bind(peer=peer, who=who.name, role=who.role.word).info("signed in")
        return _plain({"signed_in": _shown_as(who), **self._ways()}, {"Set-Cookie": cookie})

    def _ways(self) -> dict[str, bool]:
        return {"is_open": self._access.is_open, "has_identity": self._access.has_identity}


class _Forgetting:
    """Takes the cookie back whose key or token is no longer good."""

    def __init__(self, send: Send, cookie: str) -> None:
        self._send = send
        self._cookie = cookie.encode()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 401:
            message = {**message, "headers": [*message["headers"], (b"set-cookie", self._cookie)]}
        await self._send(message)


def is_own(method: str, headers: Headers) -> bool:
    """Whether a request with our cookie is one of our own pages: what changes something must say that it is."""
    return not is_of_another_site(headers) and (method in SAFE or "origin" in headers)


def cookie_name(scope: Scope) -> str:
    """Cookies are shared by all ports of a host, so the name has the one that the browser asks.

    Through a tunnel that is not ours. `__Host-` is for this host by TLS alone.
    """
    prefix = "__Host-" if scope["scheme"] == "https" else ""
    asked = _PORT.search(Headers(scope=scope).get("host", ""))
    return f"{prefix}cloudlog_{asked[1] if asked else scope['server'][1]}"


def cookie_of(scope: Scope, value: str, age_s: int) -> str:
    """The header that keeps `value`, or with 0 seconds has it forgotten."""
    secure = "; Secure" if scope["scheme"] == "https" else ""
    return f"{cookie_name(scope)}={value}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Strict{secure}"


def _shown_as(who: Principal) -> dict[str, Any]:
    return {"name": who.name, "role": who.role.word, "may": [name for name in ACTIONS if who.may(name)]}


def _plain(content: Mapping[str, Any], headers: Mapping[str, str] | None = None, status: int = 200) -> Response:
    return JSONResponse(content, status, headers)


class _TooLongError(Exception):
    """More than a sign-in takes."""


async def _body(request: Request) -> bytes:
    text = b""
    async with asyncio.timeout(BODY_S):
        async for piece in request.stream():
            text += piece
            if len(text) > MAX_BODY_BYTES:
                raise _TooLongError
    return text
