"""Every route by every role, over HTTP and HTTPS: who is let in, and which lines a member is shown."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import RouteContext, iter_route_contexts

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.http_tls import https_context
from cloud.logs.query.access.gate import PUBLIC
from cloud.logs.query.access.keys import KeyFile, Wanted
from cloud.logs.query.access.principal import Allowed, own_lines, restrict
from cloud.logs.query.access.roles import ACTIONS, Role
from tests.collector.receiving import Authority
from tests.query.access.conftest import BLUE_INSTANCE, ROLES
from tests.query.serving import Served

LEAST: Mapping[str, str] = {
    "GET /openapi.json": "member",
    "GET /metrics": "reader",
    "GET /api/v1/rows": "member",
    "GET /api/v1/count": "member",
    "GET /api/v1/tail": "member",
    "GET /api/v1/search": "member",
    "GET /api/v1/histogram": "member",
    "GET /api/v1/facets": "member",
    "GET /api/v1/context/{row_id}": "member",
    "GET /api/v1/trace/{request_id}": "member",
    "GET /api/v1/timeline/{instance}": "member",
    "GET /api/v1/export": "member",
    "GET /api/v1/searches": "member",
    "POST /api/v1/searches": "member",
    "GET /api/v1/searches/{search_id}": "member",
    "PUT /api/v1/searches/{search_id}": "member",
    "DELETE /api/v1/searches/{search_id}": "member",
    "GET /api/v1/migrations": "reader",
    "GET /api/v1/hosts": "reader",
    "GET /api/v1/explain": "reader",
    "GET /api/v1/gaps": "reader",
    "POST /api/v1/backfill": "operator",
    "POST /api/v1/runs/close": "operator",
    "POST /api/v1/runs/waive": "operator",
    "POST /api/v1/sql": "operator",
    "GET /api/v1/store/stats": "admin",
    "POST /api/v1/store/check": "admin",
    "POST /api/v1/store/expire": "admin",
    "POST /api/v1/store/snapshots": "admin",
    "DELETE /api/v1/store/snapshots/{name}": "admin",
    "POST /api/v1/store/export": "admin",
}
"""Each route of the collector and the least role that it answers: a new one has to be entered here, too."""
ASKED: Mapping[str, Mapping[str, str]] = {
    "GET /api/v1/search": {"since": "2020-01-01"},
    "GET /api/v1/histogram": {"since": "2020-01-01"},
    "GET /api/v1/facets": {"since": "2020-01-01"},
    "GET /api/v1/export": {"since": "2020-01-01"},
    "GET /api/v1/trace/{request_id}": {"since": "2020-01-01"},
    "GET /api/v1/timeline/{instance}": {"since": "2020-01-01", "every": "true"},
}
"""What a route is asked with: so that it would show the lines of project blue."""
MEMBERS = [
    route for route, least in LEAST.items() if least == "member" and "/api/" in route and "/searches" not in route
]
"""Those that show or count lines."""
WITHOUT_LINES = {"api:describe", "searches:read", "searches:save"}
"""Actions of members whose answers hold nobody's lines. Whose searches they hold is shown by the tests of those."""
SHOWING = ("rows", "tail", "search", "context/{row_id}", "trace/{request_id}", "timeline/{instance}", "export")
"""Those of the routes for members that answer with lines; the others count."""
NAMED = {"name": "tmp", "row_id": "1", "request_id": "req-2", "instance": BLUE_INSTANCE, "search_id": "0" * 16}
"""What stands in paths: a line of project red for context, and what is of project blue for the others."""


@pytest.fixture(scope="module", params=["http", "https"])
def served(
    request: pytest.FixtureRequest, store: DuckDbStore, keys: Mapping[str, str], authority: Authority
) -> Iterator[Served]:
    assert keys  # a running one would know them a second later
    tls = https_context(authority.server(None)) if request.param == "https" else None
    with Served(store, tls=tls) as served:
        yield served


@contextmanager
def client(served: Served, authority: Authority, headers: Mapping[str, str], host: int = 1) -> Iterator[httpx.Client]:
    """One with an address of its own, since wrong keys are counted by address."""
    trust = ssl.create_default_context(cafile=authority.certificate)
    transport = httpx.HTTPTransport(verify=trust, local_address=f"127.0.1.{host}")
    with httpx.Client(base_url=served.url, headers=headers, transport=transport, timeout=20) as opened:
        yield opened


def status_of(http: httpx.Client, route: str) -> int:
    """The answer's status; the answer itself is not waited for, as it may have no end."""
    method, path = route.split()
    body: dict[str, str] | None = {} if method == "POST" else None
    with http.stream(method, path.format_map(NAMED), params=ASKED.get(route), json=body) as answer:
        return answer.status_code


def text_of(http: httpx.Client, route: str) -> str:
    """What a route answers, up to where a tail begins to wait."""
    method, path = route.split()
    with http.stream(method, path.format_map(NAMED), params=ASKED.get(route)) as answer:
        text = ""
        for piece in answer.iter_text():
            text += piece
            if "event: live" in text:
                break
    return text


def contexts_of(app: FastAPI) -> dict[str, RouteContext]:
    return {
        f"{method} {context.path_format}": context
        for context in iter_route_contexts(app.routes)
        for method in (context.methods or {"(mounted)"}) - {"HEAD"}
    }


def dependencies_of(context: RouteContext) -> list[Any]:
    found, waiting = [], [context.dependant]
    while waiting:
        dependant = waiting.pop()
        found.append(dependant.call)
        waiting += dependant.dependencies
    return found


def test_each_route_has_one_action_and_one_that_members_may_ask_is_narrowed_to_their_lines(served: Served) -> None:
    contexts = contexts_of(served.app)
    for route, context in contexts.items():
        if context.path in PUBLIC:
            continue
        calls = dependencies_of(context)
        actions = [call.action for call in calls if isinstance(call, Allowed)]
        assert len(actions) == 1, f"{route} has the actions {actions}"
        assert ACTIONS[actions[0]].least.word == LEAST.get(route), f"{route} takes another role than the table says"
        if ACTIONS[actions[0]].least is Role.MEMBER and actions[0] not in WITHOUT_LINES:
            assert own_lines in calls or restrict in calls, f"{route} shows members the lines of others"
    assert set(contexts) == {*LEAST, *(f"GET {path}" for path in PUBLIC)}


@pytest.mark.parametrize("role", ROLES)
def test_each_role_is_let_into_the_routes_that_are_for_it_and_into_no_other(
    served: Served, authority: Authority, keys: Mapping[str, str], role: str
) -> None:
    with client(served, authority, {"Authorization": f"Bearer {keys[role]}"}) as http:
        for route, least in LEAST.items():
            status = status_of(http, route)
            if ROLES.index(role) < ROLES.index(least):
                assert status == 403, f"{route} answers {role} {status}"
            else:
                assert status not in (401, 403, 429, 500), f"{route} answers {role} {status}"


BAD = (
    "none",
    "expired",
    "revoked",
    "of another secret",
    "cut",
    "with more",
    "in capitals",
    "without a prefix",
    "empty",
)


@pytest.fixture(scope="module")
def bad_keys(store: DuckDbStore, keys: Mapping[str, str]) -> Mapping[str, Mapping[str, str]]:
    """Headers by what is wrong with them."""
    data, good = KeyFile(store.files.path), keys["admin"]
    gone = data.create(Wanted("gone", Role.ADMIN))
    data.revoke("gone")
    past = datetime.now(UTC) - timedelta(seconds=1)
    texts = {
        "expired": data.create(Wanted("expired", Role.ADMIN, expires_at=past)),
        "revoked": gone,
        "of another secret": good[:-43] + gone[-43:],
        "cut": good[:-1],
        "with more": f"{good}x",
        "in capitals": good.upper(),
        "without a prefix": good.removeprefix("cloudlog_"),
        "empty": "",
    }
    return {"none": {}, **{name: {"Authorization": f"Bearer {text}".strip()} for name, text in texts.items()}}


@pytest.mark.parametrize("what", BAD)
def test_without_a_good_key_no_route_answers_but_the_one_for_readiness(
    served: Served, authority: Authority, bad_keys: Mapping[str, Mapping[str, str]], what: str
) -> None:
    for number, route in enumerate([*LEAST, "GET /api/v1/nothing", "GET /docs"]):
        with client(served, authority, bad_keys[what], 2 + number) as http:
            assert status_of(http, route) == 401, route
            assert status_of(http, "GET /readyz") == 200


@pytest.mark.parametrize("header", ["Authorization", "X-Auth-Token"])
def test_a_key_may_come_in_either_header(
    served: Served, authority: Authority, keys: Mapping[str, str], header: str
) -> None:
    text = keys["reader"] if header == "X-Auth-Token" else f"bearer {keys['reader']}"
    with client(served, authority, {header: text}) as http:
        assert status_of(http, "GET /metrics") == 200


def test_a_member_sees_the_lines_of_its_project_and_no_others(
    served: Served, authority: Authority, keys: Mapping[str, str]
) -> None:
    with client(served, authority, {"Authorization": f"Bearer {keys['member']}"}) as http:
        rows = http.get("/api/v1/rows").json()
        assert [row["message"] for row in rows] == ["red one", "red two"]
        assert http.get("/api/v1/rows", params={"request_id": "req-2"}).json() == []
        assert http.get("/api/v1/count").json() == [{"count": 2}]
        assert http.get("/api/v1/count", params={"by": "host"}).json() == [
            {"host": "compute-01", "count": 1},
            {"host": "controller-01", "count": 1},
        ]
        for route in MEMBERS:
            text = text_of(http, route)
            assert "blue one" not in text, route
            assert "nobody's" not in text, route


def test_who_sees_all_lines_is_shown_what_members_are_not(
    served: Served, authority: Authority, keys: Mapping[str, str]
) -> None:
    with client(served, authority, {"Authorization": f"Bearer {keys['reader']}"}) as http:
        shown = {route for route in MEMBERS if "blue one" in text_of(http, route)}
    assert shown == {f"GET /api/v1/{name}" for name in SHOWING}
