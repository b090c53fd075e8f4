"""Whatever stands in a body or a header: no route breaks on it, for one who may ask them all."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from tests.query.serving import Served

BODIES: Mapping[str, Mapping[str, Any]] = {
    "POST /api/v1/searches": {"name": "n", "query": "host:a", "columns": ["host"], "since": "1h", "is_shared": True},
    "PUT /api/v1/searches/{search_id}": {"name": "n", "query": "host:a"},
    "POST /api/v1/sql": {"statement": "SELECT 1", "max_rows": 1, "deadline_s": 1.0},
    "POST /api/v1/runs/close": {"host": "h", "start": "s", "last": 1},
    "POST /api/v1/runs/waive": {"host": "h", "start": "s", "gaps": [[1, 2]]},
    "POST /api/v1/store/expire": {"retention": "debug 3d", "is_dry_run": True},
    "POST /api/v1/store/export": {"since": "2027-01-15T00:00:00Z", "until": "2027-01-16T00:00:00Z", "host": "h"},
}
"""What each route would take."""
HOSTILE: tuple[Any, ...] = (
    *(None, True, -1, 0, 1e308, 10**30, -(2**63), 2**64, "", "\0", "\ud800", "A" * 20_000, "\U0001f389", "1e30"),
    *("9999-12-31T23:59:59.999999+23:59", "0001-01-01T00:00:00-23:59", "99999999999d", "' OR 1=1 --"),
    *([], [None], [[1]], [[2, 1]], [[1, 2**63 - 1]], [[-1, 10**30]], {}, {"a": {"b": [1]}}),
)
NO_BODIES = (b"", b"{", b"null", b"[]", b'"x"', b"\xff\xfe", b"\0", b"1e400", b"NaN", b"[" * 100_000, b'{"a":' * 10_000)
HEADERS = (
    "Authorization",
    "X-Auth-Token",
    "X-Store-Key",
    "Cookie",
    "Accept",
    "Origin",
    "Sec-Fetch-Site",
    "Content-Type",
)
HOSTILE_HEADERS = (b"", b"-1", b"1" * 400, b"1e30", b"\xff\x80", b"A" * 8000, b'"1", "2', b"Bearer \xf0\x9f\x8e\x89")
NAMED = {"row_id": "1", "request_id": "req-1", "instance": "x", "name": "x", "search_id": "0" * 16}


@pytest.fixture(scope="module")
def http(store: DuckDbStore, keys: Mapping[str, str]) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {keys['admin']}"}
    with Served(store) as served, httpx.Client(base_url=served.url, headers=headers, trust_env=False) as http:
        yield http


def calls_of(http: httpx.Client) -> dict[str, Mapping[str, Any]]:
    paths = http.get("/openapi.json").json()["paths"]
    return {f"{method.upper()} {path}": call for path, methods in paths.items() for method, call in methods.items()}


def status_of(http: httpx.Client, route: str, **more: Any) -> int:
    """The answer's; the answer itself may have no end."""
    method, path = route.split()
    with http.stream(method, path.format_map(NAMED), **more) as answer:
        return answer.status_code


def bodies_of(good: Mapping[str, Any]) -> Iterator[bytes]:
    yield from NO_BODIES
    for name in good:
        for value in HOSTILE:
            yield json.dumps({**good, name: value}).encode()
        yield json.dumps({key: value for key, value in good.items() if key != name}).encode()
        yield json.dumps({**good, name: 0}).replace(": 0", ": 1e400").encode()
    yield json.dumps({**good, "\ud800": 1}).encode()


def test_no_route_breaks_on_a_body(http: httpx.Client) -> None:
    assert {route for route, call in calls_of(http).items() if "requestBody" in call} == set(BODIES)
    broken = [
        f"{route} answers {status} to {body[:200]!r}"
        for route, good in BODIES.items()
        for body in bodies_of(good)
        if (status := status_of(http, route, content=body, headers={"Content-Type": "application/json"})) >= 500
    ]
    assert broken == []


def test_no_route_breaks_on_a_header(http: httpx.Client) -> None:
    of_all = [("GET /api/v1/search", name) for name in HEADERS]
    own = [
        (route, parameter["name"])
        for route, call in calls_of(http).items()
        for parameter in call.get("parameters", ())
        if parameter["in"] == "header"
    ]
    assert own
    broken = [
        f"{route} answers {status} to {name}: {value[:200]!r}"
        for route, name in (*of_all, *own)
        for value in HOSTILE_HEADERS
        if (status := status_of(http, route, headers={name: value})) >= 500
    ]
    assert broken == []
