"""The description of the HTTP API: each call says what it is, shows an example, and names its refusals."""

from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from tests.query.serving import Served

QUESTIONS = {"search", "stories", "hosts", "saved searches"}
"""What the routes are tagged with whose answers people and the web look at."""
Call = tuple[str, Mapping[str, Any]]


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Any]]:
    store = DuckDbStore(tmp_path_factory.mktemp("described"))
    with Served(store) as served:
        yield httpx.get(f"{served.url}/openapi.json", trust_env=False).json()
    store.close()


def calls_of(document: Mapping[str, Any]) -> list[Call]:
    return [
        (f"{method.upper()} {path}", call)
        for path, methods in document["paths"].items()
        for method, call in methods.items()
        if path.startswith("/api/v1/")
    ]


def schema_of(document: Mapping[str, Any], media: Mapping[str, Any]) -> Mapping[str, Any]:
    schema: Mapping[str, Any] = media.get("schema", {})
    reference = schema.get("$ref", "").rpartition("/")[2]
    found: Mapping[str, Any] = document["components"]["schemas"][reference] if reference else schema
    return found


def has_example(document: Mapping[str, Any], media: Mapping[str, Any]) -> bool:
    among = (media, schema_of(document, media))
    return any(name in each for each in among for name in ("example", "examples"))


def test_each_call_says_what_it_is_and_what_it_refuses_with(document: Mapping[str, Any]) -> None:
    calls = calls_of(document)
    assert len(calls) > 25
    for name, call in calls:
        assert call.get("summary"), name
        assert call.get("description"), name
        assert {"401", "403", "422", "429", "503"} <= set(call["responses"]), f"{name}: {sorted(call['responses'])}"
        for status, answer in call["responses"].items():
            assert answer["description"], f"{name} {status}"
            if int(status) >= 400:
                assert has_example(document, answer["content"]["application/json"]), f"{name} {status}"


def test_each_question_and_each_saved_search_has_an_example(document: Mapping[str, Any]) -> None:
    calls = [(name, call) for name, call in calls_of(document) if set(call.get("tags", ())) & QUESTIONS]
    assert len(calls) >= 13
    for name, call in calls:
        for media in call.get("requestBody", {}).get("content", {}).values():
            assert has_example(document, media), f"{name}: its body"
        good = [answer for status, answer in call["responses"].items() if status.startswith("2")]
        assert good, name
        for answer in good:
            for kind, media in answer.get("content", {}).items():
                assert has_example(document, media), f"{name}: {kind}"
