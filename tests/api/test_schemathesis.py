"""Requests that schemathesis makes of the OpenAPI document: whatever is asked, the answer is nova's and no defect."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, Phase, given, settings
from starlette.responses import JSONResponse

from cloud.services.api.app import ROUTERS, make_api
from tests.api.conftest import Site, authenticate, fill, make_site
from tests.api.generated_requests import Aimed, PlantedSite, aimed_at, complaints, plant
from tests.db.conftest import LIMITS, Clock
from tests.services.said import Line
from tests.standing import StandingSqlite

EXAMPLES = 6
"""Of each call; each is sent in three versions by two callers."""
RESOURCES = sorted({r.path.split("/")[1] for router in ROUTERS for r in router.routes if isinstance(r, APIRoute)})
UNSUPPORTED = frozenset({f"GET /os-hosts/{{host}}/{verb}" for verb in ("startup", "shutdown", "reboot")})
"""What is answered with 501 at best."""


@pytest.fixture(scope="module")
def planted() -> Iterator[PlantedSite]:
    with StandingSqlite(LIMITS, fill) as standing:
        site = make_site(standing.restored(), Clock())
        plant(site)
        yield PlantedSite(site, standing.path)


@pytest.fixture(scope="module")
def document(planted: PlantedSite) -> Mapping[str, Any]:
    found: Mapping[str, Any] = planted.site.get("/openapi.json", "2.1")
    return found


def statuses(planted: PlantedSite, call: Aimed, lines: list[Line], *phases: Phase) -> set[int]:
    """Those of all answers to one call; AssertionError for an answer that is not as it should be."""
    seen: set[int] = set()

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate, *phases),
        suppress_health_check=list(HealthCheck),  # how long a draw takes depends on what else this machine does
    )
    @given(case=call.cases, query=call.queries)
    def every_answer_is_good(case: Any, query: Mapping[str, str]) -> None:
        for answer in planted.answers(case, query, lines):
            seen.add(answer.got.status_code)
            wrong = complaints(answer.got, answer.lines, may_be_501=call.resource == "os-hosts")
            sent = answer.got.request
            assert not wrong, f"{'; '.join(wrong)} by {sent.method} {sent.url} {sent.content!r} as {answer.asking}"

    every_answer_is_good()
    return seen


@pytest.mark.parametrize("resource", RESOURCES)
def test_every_call_is_answered_and_most_get_through(
    planted: PlantedSite, document: Mapping[str, Any], lines: list[Line], resource: str
) -> None:
    calls = list(aimed_at(document, resource))
    assert calls
    refused = {call.label for call in calls if min(statuses(planted, call, lines, Phase.shrink)) >= 300}
    assert len(refused - UNSUPPORTED) <= len(calls) // 2, f"hardly anything gets beyond the checks of {refused}"


def _raises() -> None:
    raise RuntimeError("a defect")


def _answers_in_another_shape() -> JSONResponse:
    return JSONResponse({"detail": "not nova's"}, 404)


@pytest.mark.parametrize(
    ("endpoint", "complaint"), [(_raises, "status 500"), (_answers_in_another_shape, "in nova.s shape")]
)
def test_a_defect_is_noticed(
    planted: PlantedSite, document: Mapping[str, Any], lines: list[Line], endpoint: Any, complaint: str
) -> None:
    router = APIRouter()
    router.add_api_route("/limits", endpoint, response_model=None)
    broken = planted.serving(make_api(planted.site.parts, authenticate, [router]))
    (call,) = aimed_at(document, "limits")
    with pytest.raises(AssertionError, match=complaint):
        statuses(broken, call, lines)


def test_what_is_logged_as_an_error_is_noticed(site: Site) -> None:
    answer = site.ask("GET", "/v2/{T}/limits")
    assert complaints(answer, [("INFO", "request answered", {})]) == []
    assert complaints(answer, [("ERROR", "request failed", {})]) == ["logged: request failed {}"]
