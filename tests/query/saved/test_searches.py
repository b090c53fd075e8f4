"""Saved searches over HTTP: who sees, changes and deletes which, and what is refused."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from loguru import logger

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.query.access.keys import KeyFile, Wanted
from cloud.logs.query.access.principal import Principal
from cloud.logs.query.access.roles import Role
from cloud.logs.query.saved import searches as saved
from cloud.logs.query.saved.errors import SearchFileError, TooManySearchesError
from cloud.logs.query.saved.search import SearchContent
from cloud.logs.query.saved.searches import SEARCHES, Searches
from tests.query.serving import Served
from tests.waiting import wait_until

PEOPLE: Mapping[str, tuple[Role, str | None]] = {
    "ann": (Role.READER, None),
    "bob": (Role.OPERATOR, None),
    "root": (Role.ADMIN, None),
    "red": (Role.MEMBER, "red"),
    "red2": (Role.MEMBER, "red"),
    "blue": (Role.MEMBER, "blue"),
}
ERRORS: Mapping[str, Any] = {"name": "errors", "query": "severity:>=err host:compute-01", "since": "2h"}
As = Callable[[str], httpx.Client]
Audit = Callable[[int], list[Mapping[str, Any]]]


@pytest.fixture(scope="module")
def as_(tmp_path_factory: pytest.TempPathFactory) -> Iterator[As]:
    """The API as one of PEOPLE asks it."""
    store = DuckDbStore(tmp_path_factory.mktemp("saved"))
    keys = {
        name: KeyFile(store.files.path).create(Wanted(name, role, project)) for name, (role, project) in PEOPLE.items()
    }
    with Served(store) as served:
        clients = {
            name: httpx.Client(
                base_url=f"{served.url}/api/v1", headers={"Authorization": f"Bearer {key}"}, trust_env=False
            )
            for name, key in keys.items()
        }
        yield clients.__getitem__
        for client in clients.values():
            client.close()
    store.close()


@pytest.fixture(autouse=True)
def nothing_saved(as_: As) -> None:
    root = as_("root")
    for each in root.get("searches", params={"every": "true"}).json()["searches"]:
        assert root.delete(at(each), headers={"If-Match": "*"}).status_code == 204


@pytest.fixture
def audit(as_: As, nothing_saved: None) -> Iterator[Audit]:
    """The fields of audit lines, as soon as there are so many: an answer does not wait for its line."""
    lines: list[Mapping[str, Any]] = []
    number = logger.add(lambda said: lines.append(said.record["extra"]) if said.record["message"] == "audit" else None)

    def told(count: int) -> list[Mapping[str, Any]]:
        wait_until(lambda: len(lines) >= count, what=f"{count} audit lines")
        return lines

    as_("bob").get("searches", params={"every": "true"})
    wait_until(lambda: any(line["status"] == 403 for line in lines), what="all lines of what was deleted before")
    lines.clear()
    yield told
    logger.remove(number)


def at(search: Mapping[str, Any]) -> str:
    return f"searches/{search['id']}"


def save(http: httpx.Client, **content: Any) -> dict[str, Any]:
    answer = http.post("searches", json={**ERRORS, **content})
    assert answer.status_code == 201, answer.text
    assert answer.headers["ETag"] == '"1"'
    found: dict[str, Any] = answer.json()
    assert answer.headers["Location"] == f"/api/v1/searches/{found['id']}"
    return found


def names(http: httpx.Client, **parameters: str) -> list[str]:
    return [each["name"] for each in http.get("searches", params=parameters).json()["searches"]]


def test_a_search_is_kept_as_it_was_saved(as_: As) -> None:
    made = save(as_("ann"), columns=["time", "host", "fields.status"], description="after moves", until="now")
    assert as_("ann").get(at(made)).json() == made
    assert {key: made[key] for key in ("name", "query", "since", "until", "clock", "columns", "description")} == {
        **ERRORS, "until": "now", "clock": "observed", "columns": ["time", "host", "fields.status"], "description": "after moves",
    }  # fmt: skip
    assert (made["owner"], made["projects"], made["version"], made["is_own"]) == ("key ann", None, 1, True)


def test_a_moment_that_is_not_relative_is_kept_in_full(as_: As) -> None:
    made = save(as_("ann"), since="2027-01-31", until="2027-01-31T14:05:00+01:00")
    assert (made["since"], made["until"]) == ("2027-01-31T00:00:00Z", "2027-01-31T13:05:00Z")


@pytest.mark.parametrize(
    ("content", "code", "column"),
    [
        ({"query": "host:"}, "query", 5),
        ({"query": "host:a severity:>=loud"}, "query", 19),
        ({"query": "a | count by message_id_x, time"}, "query", None),
        ({"since": "yesterday"}, "time", None),
        ({"since": "now", "until": "1h"}, "time", None),
        ({"name": " errors"}, "request", None),
        ({"name": "a\nb"}, "request", None),
        ({"name": ""}, "request", None),
        ({"columns": ["no such-column"]}, "request", None),
        ({"description": "x" * 2001}, "request", None),
        ({"owner": "key root"}, "request", None),
        ({"query": "x" * 16_385}, "request", None),
    ],
)
def test_what_could_not_be_asked_is_not_kept(as_: As, content: Any, code: str, column: int | None) -> None:
    answer = as_("ann").post("searches", json={**ERRORS, **content})
    said = answer.json()
    assert (answer.status_code, said["code"]) == (422, code)
    if column is not None:
        assert said["column"] == column
    assert names(as_("ann")) == []


def test_a_search_is_its_owners_alone_until_it_is_shared(as_: As) -> None:
    for owner, others in (("ann", ("bob", "red")), ("red", ("red2", "blue", "bob"))):
        made = save(as_(owner))
        for other in others:
            assert names(as_(other)) == []
            assert as_(other).get(at(made)).status_code == 404
            assert as_(other).put(at(made), json=ERRORS, headers={"If-Match": "*"}).status_code == 404
            assert as_(other).delete(at(made), headers={"If-Match": "*"}).status_code == 404


def test_members_share_within_their_project_and_the_others_among_those_who_see_all(as_: As) -> None:
    save(as_("red"), name="of red", is_shared=True)
    save(as_("ann"), name="of ann", is_shared=True)
    seen = {name: names(as_(name)) for name in PEOPLE}
    assert seen == {
        "ann": ["of ann"], "bob": ["of ann"], "root": ["of ann"], "red": ["of red"], "red2": ["of red"], "blue": [],
    }  # fmt: skip
    [found] = as_("red2").get("searches").json()["searches"]
    assert (found["is_own"], found["owner"], found["projects"]) == (False, "key red", ["red"])


def test_only_its_owner_and_an_administrator_change_what_is_shared(as_: As, audit: Audit) -> None:
    made = save(as_("ann"), is_shared=True)
    for change in ("PUT", "DELETE"):
        answer = as_("bob").request(change, at(made), json=ERRORS, headers={"If-Match": '"1"'})
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert answer.json()["detail"] == "cannot change saved search errors: it belongs to key ann"
    assert as_("root").put(at(made), json={**ERRORS, "name": "worse"}, headers={"If-Match": '"1"'}).status_code == 200
    found = as_("ann").get(at(made)).json()
    assert (found["name"], found["owner"], found["updated_by"], found["version"]) == ("worse", "key ann", "key root", 2)
    assert as_("root").delete(at(made), headers={"If-Match": '"2"'}).status_code == 204
    assert names(as_("ann")) == []
    assert [(each["who"], each["action"], each["method"], each["status"], each["owner"]) for each in audit(5)] == [
        ("key ann", "searches:share", "POST", 201, "key ann"),
        ("key bob", "searches:administer", "PUT", 403, "key ann"),
        ("key bob", "searches:administer", "DELETE", 403, "key ann"),
        ("key root", "searches:administer", "PUT", 200, "key ann"),
        ("key root", "searches:administer", "DELETE", 204, "key ann"),
    ]


def test_an_administrator_alone_may_list_what_others_keep_for_themselves(as_: As, audit: Audit) -> None:
    save(as_("red"), name="of red")
    save(as_("ann"), name="of ann")
    assert names(as_("root"), every="true") == ["of ann", "of red"]
    assert as_("bob").get("searches", params={"every": "true"}).status_code == 403
    assert [(each["who"], each["action"], each["status"]) for each in audit(2)] == [
        ("key root", "searches:administer", 200),
        ("key bob", "searches:administer", 403),
    ]


def test_two_editors_do_not_overwrite_each_other(as_: As) -> None:
    made = save(as_("ann"))
    ann = as_("ann")
    first = ann.put(at(made), json={**ERRORS, "query": "first"}, headers={"If-Match": '"1"'})
    assert (first.status_code, first.headers["ETag"]) == (200, '"2"')
    second = ann.put(at(made), json={**ERRORS, "query": "second"}, headers={"If-Match": '"1"'})
    assert (second.status_code, second.json()) == (
        412, {"detail": "cannot change saved search errors: key ann has made it version 2", "code": "changed"},
    )  # fmt: skip
    assert ann.get(at(made)).json()["query"] == "first"
    assert ann.delete(at(made), headers={"If-Match": 'W/"2"'}).status_code == 412
    for change in ("PUT", "DELETE"):
        assert ann.request(change, at(made), json=ERRORS).json()["code"] == "version_required"
    assert ann.delete(at(made), headers={"If-Match": '"7", "2"'}).status_code == 204
    assert ann.get(at(made)).status_code == 404


def test_a_name_is_one_owners_once(as_: As) -> None:
    save(as_("ann"))
    assert as_("ann").post("searches", json=ERRORS).json()["code"] == "name_taken"
    save(as_("bob"))
    save(as_("red"))
    other = save(as_("ann"), name="other")
    answer = as_("ann").put(at(other), json=ERRORS, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.json()["code"]) == (409, "name_taken")
    assert names(as_("ann"), name="errors") == ["errors"]


ANN = Principal("ann", Role.READER)
RED = Principal("red", Role.MEMBER, ("red",))


def test_searches_outlive_the_collector_and_are_its_owners_alone(tmp_path: Path) -> None:
    made = Searches(tmp_path).create(ANN, SearchContent(name="errors", query="é"))
    file = tmp_path / SEARCHES
    assert file.stat().st_mode & 0o777 == 0o600
    assert Searches(tmp_path).find(ANN, made.id) == made
    assert [path.name for path in tmp_path.iterdir()] == [SEARCHES]


def test_a_file_that_cannot_be_read_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / SEARCHES).write_text('{"searches": [{"id": "x"}]}')
    searches = Searches(tmp_path)
    for attempt in (lambda: searches.visible_to(ANN), lambda: searches.create(ANN, SearchContent(name="a"))):
        with pytest.raises(SearchFileError, match=r"cannot read saved searches .*searches\.json: searches\.0"):
            attempt()
    assert json.loads((tmp_path / SEARCHES).read_text()) == {"searches": [{"id": "x"}]}


def test_so_many_are_kept_of_one_and_members_leave_room_for_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saved, "MAX_OWN", 3)
    monkeypatch.setattr(saved, "MAX_SEARCHES", 6)
    monkeypatch.setattr(saved, "MAX_OWN_BYTES", 2500)
    searches = Searches(tmp_path)

    def make(who: Principal, number: int, **content: Any) -> None:
        searches.create(who, SearchContent(name=str(number), **content))

    for number in range(3):
        make(RED, number)
    with pytest.raises(TooManySearchesError, match="red may have 3"):
        make(RED, 3)
    with pytest.raises(TooManySearchesError, match="no more are kept here"):  # all members together have half
        make(Principal("blue", Role.MEMBER, ("blue",)), 0)
    with pytest.raises(TooManySearchesError, match="ann may have 3 of 2500 bytes in all"):
        make(ANN, 0, query="x" * 600, description="x" * 2000)
    for number in range(3):
        make(ANN, number)
    with pytest.raises(TooManySearchesError, match="no more are kept here"):
        make(Principal("bob", Role.READER), 0)
    assert len(searches.visible_to(Principal("root", Role.ADMIN), every=True)) == 6
