"""The web UI's files from `dist`, in front of the gate: they are the same for everybody and say nothing of any line."""

import gzip
import mimetypes
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

DIST = Path(__file__).parent / "dist"
INDEX = "/index.html"
NONCE = b"CSP_NONCE"
"""Stands in index.html, which vite.config.ts has it written to, for what makes each answer's styles known as ours."""
ASSETS = "/assets/"
"""Whose names change with their content."""
MIN_GZIP_BYTES = 512
_COMPRESSIBLE = re.compile(r"text/|application/(?:json|manifest)|image/svg")
_UNBUILT = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>cloud logs</title>
<h1>The web UI is not built</h1><p>This is a checkout: run <code>make ui</code>, then start the collector again.
The API is at <code>/api/v1</code> all the same.</p></html>
"""


@dataclass(frozen=True, slots=True)
class _File:
    media_type: str
    body: bytes
    zipped: bytes | None
    """None where that is no shorter."""


class Pages:
    """ASGI middleware, outside of the gate. What a route of the application matches goes on to it.

    A file of `dist` is answered as it is, and what a browser navigates to otherwise is the page that shows every view.
    """

    def __init__(self, app: ASGIApp, dist: Path = DIST) -> None:
        self._app = app
        self._paths = {f"/{path.relative_to(dist).as_posix()}": path for path in dist.rglob("*") if path.is_file()}
        self._files: dict[str, _File] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and not _is_of(scope):
            answer = self._answer(scope["path"], Headers(scope=scope))
            if answer is not None:
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _answer(self, path: str, headers: Headers) -> Response | None:
        if path != INDEX and path in self._paths:
            file = self._file(path)
            lasts = "public, max-age=31536000, immutable" if path.startswith(ASSETS) else "no-cache"
            return _response(file, headers, {"Cache-Control": lasts})
        if path != "/" and not _is_navigation(headers):
            return None
        if INDEX not in self._paths:
            return Response(_UNBUILT, 503, {**_security(""), "Cache-Control": "no-store"}, "text/html")
        return self._index()

    def _index(self) -> Response:
        nonce = secrets.token_urlsafe(16)
        body = self._file(INDEX).body.replace(NONCE, nonce.encode())
        return Response(body, 200, {**_security(nonce), "Cache-Control": "no-store"}, "text/html")

    def _file(self, path: str) -> _File:
        if path not in self._files:
            media_type = mimetypes.guess_type(path)[0] or "application/octet-stream"
            body = self._paths[path].read_bytes()
            is_worth_it = len(body) >= MIN_GZIP_BYTES and _COMPRESSIBLE.match(media_type)
            self._files[path] = _File(media_type, body, gzip.compress(body, mtime=0) if is_worth_it else None)
        return self._files[path]


def _is_of(scope: Scope) -> bool:
    """Whether the path is the application's own."""
    if scope["path"].startswith("/api/"):
        return True
    return any(route.matches(scope)[0] is not Match.NONE for route in scope["app"].routes)


def _is_navigation(headers: Headers) -> bool:
    return "text/html" in headers.get("accept", "")


def _response(file: _File, headers: Headers, more: dict[str, str]) -> Response:
    sent = {**_security(""), **more}
    if file.zipped is None:
        return Response(file.body, 200, sent, file.media_type)
    sent["Vary"] = "Accept-Encoding"
    if "gzip" not in headers.get("accept-encoding", ""):
        return Response(file.body, 200, sent, file.media_type)
    return Response(file.zipped, 200, {**sent, "Content-Encoding": "gzip"}, file.media_type)


def _security(nonce: str) -> dict[str, str]:
    """What the browser is told to refuse: everything that is not ours, and text that would become code or markup."""
    styles = f"'self' 'nonce-{nonce}'" if nonce else "'self'"
    policy = (
        f"default-src 'none'; script-src 'self'; style-src {styles}; img-src 'self' data:; font-src 'self';"
        " connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none';"
        " require-trusted-types-for 'script'; trusted-types svelte-trusted-html"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }
