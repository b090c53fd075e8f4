"""The web UI's files over HTTP: how they are kept, what browsers are told to refuse, and what is not theirs."""

import asyncio
import gzip
import re
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from cloud.dashboards.pages import DIST, Pages

MAX_FIRST_LOAD_BYTES = 450_000
HTML = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a build leaves, small."""
    folder = tmp_path_factory.mktemp("dist")
    (folder / "assets").mkdir()
    (folder / "index.html").write_text('<meta property="csp-nonce" nonce="CSP_NONCE"><div id="app"></div>')
    (folder / "assets" / "index-1a2b.js").write_text("go();" * 200)
    (folder / "icon.svg").write_text("<svg/>")
    return folder


@pytest.fixture(scope="module")
def app(dist: Path) -> Starlette:
    return _app(dist)


def _app(dist: Path) -> Starlette:
    metrics = Route("/metrics", lambda _request: PlainTextResponse("of the application"))
    return Starlette(routes=[metrics], middleware=[Middleware(Pages, dist=dist)])


async def _get(app: Starlette, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        return await client.request(method, path, headers=headers)


def ask(app: Starlette, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> httpx.Response:
    return asyncio.run(_get(app, path, headers, method))


@pytest.mark.parametrize("path", ["/", "/explore", "/lines/4711", "/hosts/compute-01.example.org"])
def test_what_a_browser_navigates_to_is_the_page_that_shows_every_view(app: Starlette, path: str) -> None:
    answer = ask(app, path, HTML)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert '<div id="app">' in answer.text


@pytest.mark.parametrize(
    ("path", "headers", "method"),
    [
        ("/nothing", {"Accept": "*/*"}, "GET"),
        ("/assets/nothing.js", {"Accept": "*/*"}, "GET"),
        ("/api/v1/nothing", HTML, "GET"),
        ("/explore", HTML, "POST"),
        ("/../pages.py", {"Accept": "*/*"}, "GET"),
        ("/assets/../../pages.py", {"Accept": "*/*"}, "GET"),
    ],
)
def test_what_is_none_of_it_is_the_applications(
    app: Starlette, path: str, headers: dict[str, str], method: str
) -> None:
    assert ask(app, path, headers, method).status_code == 404


def test_routes_of_the_application_come_first(app: Starlette) -> None:
    assert ask(app, "/metrics", HTML).text == "of the application"


def test_assets_are_kept_for_good_and_compressed(app: Starlette) -> None:
    answer = ask(app, "/assets/index-1a2b.js", {"Accept-Encoding": "gzip"})
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.text == "go();" * 200
    assert "content-encoding" not in ask(app, "/assets/index-1a2b.js", {"Accept-Encoding": "identity"}).headers
    assert ask(app, "/icon.svg").headers["cache-control"] == "no-cache"


def test_browsers_are_told_to_refuse_what_is_not_ours(app: Starlette) -> None:
    first, second = ask(app, "/", HTML), ask(app, "/", HTML)
    nonces = [re.search(r'nonce="([\w-]{20,})"', each.text) for each in (first, second)]
    assert nonces[0]
    assert nonces[1]
    assert nonces[0][1] != nonces[1][1]
    policy = first.headers["content-security-policy"]
    assert f"style-src 'self' 'nonce-{nonces[0][1]}';" in policy
    for directive in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert directive in policy.split("; "), directive
    assert "unsafe" not in policy
    assert first.headers["x-content-type-options"] == "nosniff"
    assert first.headers["referrer-policy"] == "no-referrer"
    assert ask(app, "/assets/index-1a2b.js").headers["x-content-type-options"] == "nosniff"


def test_a_checkout_that_is_not_built_says_what_to_run(tmp_path: Path) -> None:
    answer = ask(_app(tmp_path), "/explore", HTML)
    assert answer.status_code == 503
    assert "make ui" in answer.text


def test_the_first_load_is_small_and_asks_nobody_else() -> None:
    files = [path for path in DIST.rglob("*") if path.is_file()]
    assert DIST / "index.html" in files, "the web UI is not built: run make ui"
    assert sum(len(gzip.compress(path.read_bytes())) for path in files) < MAX_FIRST_LOAD_BYTES
    index = (DIST / "index.html").read_text()
    assert re.findall(r'(?:src|href)="(?!/)[^"]*"', index) == []
    assert "<script>" not in index
