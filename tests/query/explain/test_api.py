"""`GET /api/v1/explain` of a real server, and `cloud log explain` in front of it with its exit codes."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from cloud.cli.main import cli
from cloud.logs.collector.duckdb_store import DuckDbStore
from tests.query.explain.test_blind import ALIVE, FAILED, UUID, WHOLE, event
from tests.query.explain.wire import NOON_US, table
from tests.query.serving import Served

OTHER = [event("migration.pre.failed", 50, migration=8, error="Storage pool not found: x", cause="ComputeError")]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory: Path = tmp_path_factory.mktemp("explain")
    store = DuckDbStore(directory)
    store.append(table([*WHOLE, *FAILED, *ALIVE, *OTHER], observed_us=NOON_US + 60_000_000))
    with Served(store) as server:
        yield server
    store.close()


def ask(served: Served, **parameters: str) -> httpx.Response:
    return httpx.get(f"{served.url}/api/v1/explain", params=parameters)


def test_an_explanation_is_json_under_the_names_of_its_parts(served: Served) -> None:
    answer = ask(served, subject="8")
    assert answer.status_code == 200
    found = answer.json()
    assert (found["kind"], found["migration"], found["instance"], found["verdict"]) == ("migration", "8", UUID, "known")
    assert [cause["id"] for cause in found["causes"]] == ["storage-pool-missing"]
    assert found["failure"]["first"]["time"] == "2027-01-15T12:00:50Z"


@pytest.mark.parametrize(
    ("parameters", "status", "code"),
    [
        ({"subject": "web-9"}, 404, "not_found"),
        ({"subject": "\x07"}, 422, "subject"),
        ({"subject": "7", "since": "yesteryear"}, 422, "time"),
        ({"subject": "7", "since": "2027-01-15T13:00:00Z"}, 404, "not_found"),
    ],
)
def test_what_cannot_be_explained_is_refused_with_a_code(
    served: Served, parameters: dict[str, str], status: int, code: str
) -> None:
    answer = ask(served, **parameters)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    ("arguments", "exit_code", "told"),
    [
        (["8"], 0, "libvirt has no storage pool at the destination"),
        (["7"], 4, "The cause is unknown"),
        (["8", "--format", "markdown"], 0, "## Why"),
        (["web-9"], 1, "cannot explain web-9"),
        (["8", "--since", "yesteryear"], 2, "cannot read time"),
        (["8", "--format", "html"], 2, "html"),
    ],
)
def test_the_command_says_it_and_its_exit_code_tells_how_far_it_came(
    served: Served, arguments: list[str], exit_code: int, told: str
) -> None:
    result = CliRunner().invoke(cli, ["log", "explain", *arguments, "--url", served.url])
    assert (result.exit_code, told in result.output) == (exit_code, True), result.output


def test_json_is_what_the_api_has_answered(served: Served) -> None:
    result = CliRunner().invoke(cli, ["log", "explain", "8", "--format", "json", "--url", served.url])
    found, answered = json.loads(result.stdout), ask(served, subject="8").json()
    assert {**found, "not_seen": []} == {**answered, "not_seen": []}
