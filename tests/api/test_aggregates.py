"""os-aggregates: hosts that admins put together."""

from typing import Any

import pytest

from tests.api.conftest import ADMIN, HOST, Site

ACTIONS: tuple[object, ...] = (
    {"add_host": {"host": HOST}},
    {"remove_host": {"host": HOST}},
    {"set_metadata": {"metadata": {}}},
)
NEW = {"aggregate": {"name": "racks", "availability_zone": "west"}}
BAD_NAMES: tuple[object, ...] = ("", " ", "x" * 256, "a\nb", None, 5, {}, [])
SHOWN = {
    "id": 1,
    "name": "racks",
    "availability_zone": "west",
    "hosts": [],
    "metadata": {"availability_zone": "west"},
    "created_at": "2014-10-16T12:00:00.000000",
    "updated_at": None,
    "deleted": False,
    "deleted_at": None,
}


def create(site: Site, name: str = "racks", zone: str | None = "west") -> Any:
    body = {"aggregate": {"name": name, "availability_zone": zone}}
    return site.post("/os-aggregates", body, "2.1", token=ADMIN, status=200)["aggregate"]


def act(site: Site, status: int = 200, **action: Any) -> Any:
    return site.post("/os-aggregates/1/action", action, "2.1", token=ADMIN, status=status)


def test_aggregate_is_made_shown_and_listed(site: Site) -> None:
    made = create(site)
    assert made == {key: value for key, value in SHOWN.items() if key not in ("hosts", "metadata")}
    for version in (None, "2.1"):
        assert site.get("/os-aggregates/1", version, token=ADMIN) == {"aggregate": SHOWN}
        assert site.get("/os-aggregates", version, token=ADMIN) == {"aggregates": [SHOWN]}


@pytest.mark.parametrize(
    "body", [{"aggregate": {"name": "x"}}, {"aggregate": {"name": "x", "availability_zone": None}}]
)
def test_aggregate_needs_no_zone(site: Site, body: Any) -> None:
    made = site.post("/os-aggregates", body, "2.1", token=ADMIN, status=200)["aggregate"]
    assert made["availability_zone"] is None
    assert site.get("/os-aggregates/1", token=ADMIN)["aggregate"]["metadata"] == {}


@pytest.mark.parametrize(
    "body",
    [
        *({}, [], "x", {"aggregate": {}}, {"aggregate": None}, {"aggregate": {"availability_zone": "west"}}),
        *({"aggregate": {"name": name}} for name in BAD_NAMES),
        *({"aggregate": {"name": "x", "availability_zone": zone}} for zone in BAD_NAMES if zone is not None),
    ],
    ids=repr,
)
def test_aggregate_that_cannot_be_is_400(site: Site, body: object) -> None:
    for version in (None, "2.1"):
        site.post("/os-aggregates", body, version, token=ADMIN, status=400)
    assert site.get("/os-aggregates", token=ADMIN) == {"aggregates": []}


def test_unknown_key_is_400_since_2_1_and_passed_over_before(site: Site) -> None:
    body = {"aggregate": {"name": "x", "colour": "red"}}
    site.post("/os-aggregates", body, "2.1", token=ADMIN, status=400)
    site.post("/os-aggregates", body, token=ADMIN, status=200)


def test_name_that_is_taken_is_409(site: Site) -> None:
    create(site)
    assert set(site.post("/os-aggregates", NEW, token=ADMIN, status=409)) == {"conflictingRequest"}
    create(site, "other")
    site.put("/os-aggregates/2", {"aggregate": {"name": "racks"}}, token=ADMIN, status=409)


def test_aggregate_is_renamed_and_put_into_and_out_of_zones(site: Site) -> None:
    create(site)
    site.clock.advance(60)
    renamed = site.put("/os-aggregates/1", {"aggregate": {"name": "shelves"}}, "2.1", token=ADMIN)["aggregate"]
    assert renamed == {**SHOWN, "name": "shelves", "updated_at": "2014-10-16T12:01:00.000000"}
    moved = site.put("/os-aggregates/1", {"aggregate": {"availability_zone": "east"}}, token=ADMIN)["aggregate"]
    assert (moved["name"], moved["availability_zone"]) == ("shelves", "east")
    assert moved["metadata"] == {"availability_zone": "east"}
    none = site.put("/os-aggregates/1", {"aggregate": {"availability_zone": None}}, token=ADMIN)["aggregate"]
    assert (none["availability_zone"], none["metadata"]) == (None, {})


@pytest.mark.parametrize(
    "body", [{}, {"aggregate": {}}, {"aggregate": {"name": None}}, {"aggregate": {"name": ""}}, []]
)
def test_update_that_is_none_is_400(site: Site, body: object) -> None:
    create(site)
    site.put("/os-aggregates/1", body, "2.1", token=ADMIN, status=400)


def test_hosts_are_added_and_removed(site: Site) -> None:
    create(site)
    assert act(site, add_host={"host": HOST})["aggregate"]["hosts"] == [HOST]
    assert [state.availability_zone for state in site.parts.hosts.states()] == ["west"]
    assert set(act(site, 409, add_host={"host": HOST})) == {"conflictingRequest"}
    assert act(site, remove_host={"host": HOST})["aggregate"]["hosts"] == []
    act(site, 404, remove_host={"host": HOST})
    act(site, 404, add_host={"host": "HostD"})


def test_host_is_not_put_into_two_zones(site: Site) -> None:
    create(site)
    create(site, "others", "east")
    act(site, add_host={"host": HOST})
    answer = site.post("/os-aggregates/2/action", {"add_host": {"host": HOST}}, token=ADMIN, status=409)
    message = "cannot put host HostB into zone east: it is in zone west"
    assert answer["conflictingRequest"]["message"] == message


def test_metadata_is_set_and_removed_key_by_key(site: Site) -> None:
    create(site)
    act(site, set_metadata={"metadata": {"ssd": "true", "rack": "7"}})
    changed = act(site, set_metadata={"metadata": {"rack": None, "cpu": "new"}})["aggregate"]
    assert changed["metadata"] == {"availability_zone": "west", "cpu": "new", "ssd": "true"}
    zoned = act(site, set_metadata={"metadata": {"availability_zone": "east"}})["aggregate"]
    assert zoned["availability_zone"] == "east"


@pytest.mark.parametrize(
    "action",
    [
        *({}, {"explode": {}}, {"add_host": {}}, {"add_host": None}, {"add_host": {"host": ""}}),
        *({"add_host": {"host": 5}}, {"add_host": {"host": "a b"}}, {"add_host": {"host": HOST, "colour": "red"}}),
        *({"remove_host": {"host": "x" * 256}}, {"add_host": {"host": HOST}, "remove_host": {"host": HOST}}),
        *({"set_metadata": {}}, {"set_metadata": {"metadata": None}}, {"set_metadata": {"metadata": {"a": 5}}}),
        *({"set_metadata": {"metadata": {"": "x"}}}, {"set_metadata": {"metadata": {"a": "x" * 256}}}),
        {"set_metadata": {"metadata": {"x" * 256: "x"}}},
    ],
    ids=lambda action: repr(action)[:60],
)
def test_action_that_is_none_is_400(site: Site, action: Any) -> None:
    create(site)
    act(site, 400, **action)
    assert site.get("/os-aggregates/1", token=ADMIN) == {"aggregate": SHOWN}


def test_aggregate_is_deleted_when_it_is_empty(site: Site) -> None:
    create(site)
    act(site, add_host={"host": HOST})
    site.delete("/os-aggregates/1", "2.1", token=ADMIN, status=409)
    act(site, remove_host={"host": HOST})
    site.delete("/os-aggregates/1", "2.1", token=ADMIN, status=200)
    site.get("/os-aggregates/1", token=ADMIN, status=404)


@pytest.mark.parametrize("aggregate_id", ["2", "0", "-1", "racks", "9" * 40, "2147483648"])
def test_unknown_aggregate_is_404(site: Site, aggregate_id: str) -> None:
    create(site)
    path = f"/os-aggregates/{aggregate_id}"
    site.get(path, token=ADMIN, status=404)
    site.put(path, {"aggregate": {"name": "x"}}, token=ADMIN, status=404)
    site.delete(path, token=ADMIN, status=404)
    for action in ACTIONS:
        site.post(f"{path}/action", action, token=ADMIN, status=404)


def test_members_see_and_change_nothing(site: Site) -> None:
    create(site)
    site.get("/os-aggregates", status=403)
    site.get("/os-aggregates/1", status=403)
    site.post("/os-aggregates", NEW, status=403)
    site.put("/os-aggregates/1", {"aggregate": {"name": "x"}}, status=403)
    site.delete("/os-aggregates/1", status=403)
    for action in ACTIONS:
        site.post("/os-aggregates/1/action", action, status=403)
    assert site.get("/os-aggregates/1", token=ADMIN) == {"aggregate": SHOWN}
