"""Two projects side by side: neither member learns of the other's lines, not even whether there are any."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import httpx
import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.query.access.roles import Role
from tests.collector.batches import table_of
from tests.query.access.conftest import make_key
from tests.query.access.test_matrix import MEMBERS
from tests.query.serving import Served


@dataclass(frozen=True)
class Project:
    """What its lines say, and no others."""

    name: str
    uuid: str
    twin: str
    number: int

    @property
    def lines(self) -> list[bytes]:
        build = {"event": "build.spawn.completed", "project": self.name, "request_id": f"req-{self.name}"}
        first = {"message": f"{self.name}-text", "instance": self.uuid, "display_name": f"{self.name}-vm", **build}
        second = {"message": f"{self.name}-text", "instance": self.twin, "display_name": "twin", **build}
        return [
            b"<131>1 - host-%s nova-%s - - - @cee: %s"
            % (self.name.encode(), self.name.encode(), json.dumps(each).encode())
            for each in ({**first, "instance_id": self.number}, second)
        ]

    @property
    def marks(self) -> list[str]:
        return [f"{self.name}-", f"-{self.name}", self.uuid, self.twin]


RED = Project("red", "7e1c4f50-0000-4000-8000-00000000000a", "7e1c4f50-0000-4000-8000-00000000000b", 10)
BLUE = Project("blue", "9d2a6b71-0000-4000-8000-00000000000c", "9d2a6b71-0000-4000-8000-00000000000d", 12)
OTHER = {RED: BLUE, BLUE: RED}
OF_NOBODY = b"<131>1 - host-nobody kernel - - - instance-0000000a and instance-0000000c belong to nobody-"
ALL = {"since": "2020-01-01"}
WIDE: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "GET /api/v1/rows": ("rows", {}),
    "GET /api/v1/count": ("count", {"by": "host"}),
    "GET /api/v1/tail": ("tail", {}),
    "GET /api/v1/search": ("search", ALL),
    "GET /api/v1/histogram": ("histogram", ALL),
    "GET /api/v1/facets": ("facets", ALL),
    "GET /api/v1/context/{row_id}": ("context/{own_row}", {"around": "all"}),
    "GET /api/v1/trace/{request_id}": ("trace/req-{own.name}", ALL),
    "GET /api/v1/timeline/{instance}": ("timeline/twin", {**ALL, "every": "true"}),
    "GET /api/v1/export": ("export", ALL),
}
"""Each route that shows members lines or counts, asked for all that it has."""
ABSENT: list[tuple[str, Mapping[str, str], str, str]] = [
    ("rows", {"request_id": "{}"}, "req-{other.name}", "req-gone"),
    ("count", {"instance": "{}"}, "{other.uuid}", "00000000-0000-4000-8000-000000000000"),
    ("count", {"host": "{}", "by": "host"}, "host-{other.name}", "host-gone"),
    ("tail", {"host": "{}"}, "host-{other.name}", "host-gone"),
    ("search", {**ALL, "q": "{}"}, "{other.name}-text", "gone-text"),
    ("search", {**ALL, "q": "service:{} | count by host"}, "nova-{other.name}", "nova-gone"),
    ("search", {**ALL, "q": "* | top 3 message | count by {}"}, "{other.name}", "gone"),
    ("histogram", {**ALL, "q": "project:{}"}, "{other.name}", "gone"),
    ("facets", {**ALL, "q": "host:{}"}, "host-{other.name}", "host-gone"),
    ("context/{}", {}, "{other_row}", "999"),
    ("context/{}", {"around": "all"}, "{nobodys_row}", "999"),
    ("trace/{}", ALL, "req-{other.name}", "req-gone"),
    ("timeline/{}", ALL, "{other.uuid}", "00000000-0000-4000-8000-000000000000"),
    ("timeline/{}", ALL, "{other.name}-vm", "gone-vm"),
    ("timeline/{}", ALL, "{other.number}", "77"),
    ("timeline/{}", ALL, "i-0000000{other.number:x}", "i-0000004d"),
    ("timeline/{}", ALL, "instance-0000000{other.number:x}", "instance-0000004d"),
    ("timeline/{}", ALL, "{other.uuid:.8}", "00000000"),
    ("export", {**ALL, "q": "instance:{}"}, "{other.uuid}", "00000000-0000-4000-8000-000000000000"),
]
"""A route, and what is the other project's beside what is not there: the answers are the same."""


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[Project, httpx.Client]]:
    store = DuckDbStore(tmp_path_factory.mktemp("isolation"))
    store.append(table_of(*RED.lines, *BLUE.lines, OF_NOBODY))
    keys = {each: make_key(store.files.path, each.name, Role.MEMBER, each.name) for each in OTHER}
    with Served(store) as served:
        clients = {
            each: httpx.Client(
                base_url=f"{served.url}/api/v1/",
                headers={"Authorization": f"Bearer {key}"},
                trust_env=False,
                timeout=20,
            )
            for each, key in keys.items()
        }
        yield clients
        for client in clients.values():
            client.close()
    store.close()


def rows_of(own: Project) -> dict[str, int]:
    first = {RED: 1, BLUE: 3}
    return {"own_row": first[own], "other_row": first[OTHER[own]], "nobodys_row": 5}


def answer_of(client: httpx.Client, path: str, params: Mapping[str, str]) -> tuple[int, str]:
    """Status and text, up to where a tail begins to wait, without what differs each time."""
    with client.stream("GET", path, params=params) as answer:
        text = ""
        for piece in answer.iter_text():
            text += piece
            if "event: live" in text:
                break
    return answer.status_code, re.sub(r'"(took_s|since|until)":[^,}]+', "", text)


@pytest.mark.parametrize("own", OTHER, ids=lambda each: each.name)
@pytest.mark.parametrize("route", WIDE)
def test_a_member_sees_nothing_of_another_project(
    members: Mapping[Project, httpx.Client], own: Project, route: str
) -> None:
    path, params = WIDE[route]
    status, text = answer_of(members[own], path.format(own=own, **rows_of(own)), params)
    assert status == 200, text
    assert "histogram" in route or any(mark in text for mark in own.marks), text
    for mark in (*OTHER[own].marks, "nobody"):
        assert mark not in text


def test_each_route_for_members_is_among_them() -> None:
    assert set(WIDE) == set(MEMBERS)


@pytest.mark.parametrize("own", OTHER, ids=lambda each: each.name)
@pytest.mark.parametrize(("path", "params", "foreign", "absent"), ABSENT)
def test_what_is_not_yours_is_not_there(
    members: Mapping[Project, httpx.Client],
    own: Project,
    path: str,
    params: Mapping[str, str],
    foreign: str,
    absent: str,
) -> None:
    told = []
    for value in (foreign.format(other=OTHER[own], **rows_of(own)), absent):
        asked = {name: text.format(value) for name, text in params.items()}
        status, text = answer_of(members[own], path.format(value), asked)
        told.append((status, text.replace(value, "*")))
    assert told[0] == told[1]
    assert not any(mark in told[0][1] for mark in OTHER[own].marks)
