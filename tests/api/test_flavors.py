"""flavors: lists, one by one, and what admins make of them."""

from typing import Any

import pytest

from tests.api.conftest import ADMIN, OTHER, OTHER_PROJECT, PROJECT, Site

NEW = {"name": "m1.x", "ram": 512, "vcpus": 1, "disk": 1}
FULL = {
    "name": "m1.x",
    "id": "42",
    "ram": 768,
    "vcpus": 2,
    "disk": 3,
    "OS-FLV-EXT-DATA:ephemeral": 4,
    "swap": 5,
    "rxtx_factor": 1.5,
    "os-flavor-access:is_public": False,
}


def create(site: Site, **flavor: Any) -> Any:
    return site.post("/flavors", {"flavor": {**NEW, **flavor}}, "2.1", token=ADMIN, status=200)["flavor"]


def ids(answer: Any) -> list[str]:
    return [flavor["id"] for flavor in answer["flavors"]]


@pytest.mark.parametrize(("version", "branch"), [(None, "v2"), ("2.1", "v2.1"), ("2.30", "v2.1")])
def test_flavor_is_shown_with_all_that_extensions_add(site: Site, version: str | None, branch: str) -> None:
    assert site.get("/flavors/1", version) == {
        "flavor": {
            "id": "1",
            "name": "m1.tiny",
            "ram": 512,
            "disk": 1,
            "vcpus": 1,
            "swap": "",
            "rxtx_factor": 1.0,
            "OS-FLV-EXT-DATA:ephemeral": 0,
            "OS-FLV-DISABLED:disabled": False,
            "os-flavor-access:is_public": True,
            "links": [
                {"href": f"http://api:8774/{branch}/{PROJECT}/flavors/1", "rel": "self"},
                {"href": f"http://api:8774/{PROJECT}/flavors/1", "rel": "bookmark"},
            ],
        }
    }


def test_list_has_ids_and_names_and_the_list_in_detail_all(site: Site) -> None:
    brief = site.get("/flavors")["flavors"]
    assert [(flavor["id"], flavor["name"]) for flavor in brief] == [
        ("1", "m1.tiny"),
        ("2", "m1.small"),
        ("3", "m1.medium"),
        ("4", "m1.large"),
        ("5", "m1.xlarge"),
    ]
    assert set(brief[0]) == {"id", "name", "links"}
    assert site.get("/flavors/detail")["flavors"][0] == site.get("/flavors/1")["flavor"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("minRam=4096", ["3", "4", "5"]),
        ("minDisk=80", ["4", "5"]),
        ("minRam=4096&minDisk=160", ["5"]),
        ("limit=2", ["1", "2"]),
        ("limit=2&marker=2", ["3", "4"]),
        ("marker=5", []),
        ("sort_key=memory_mb&sort_dir=desc&limit=1", ["5"]),
        ("sort_key=name", ["4", "3", "2", "1", "5"]),
        ("colour=red", ["1", "2", "3", "4", "5"]),
    ],
)
def test_list_is_narrowed_sorted_and_paged(site: Site, query: str, expected: list[str]) -> None:
    assert ids(site.get(f"/flavors/detail?{query}")) == expected


def test_page_that_is_full_links_to_the_next(site: Site) -> None:
    assert site.get("/flavors?limit=2", "2.1")["flavors_links"] == [
        {"href": f"http://api:8774/v2.1/{PROJECT}/flavors?limit=2&marker=2", "rel": "next"}
    ]
    assert "flavors_links" not in site.get("/flavors")


@pytest.mark.parametrize(
    "query",
    [
        *("limit=-1", "limit=x", "marker=6", "marker=", "minRam=x", "minRam=-1", "minDisk=1.5"),
        *("sort_key=colour", "sort_key=__class__", "sort_dir=up", "minRam=" + "9" * 100),
    ],
)
def test_query_that_makes_no_sense_is_400(site: Site, query: str) -> None:
    if query == "marker=":
        site.get(f"/flavors?{query}")  # as if it were not there
    else:
        site.get(f"/flavors?{query}", status=400)


def test_flavors_that_are_not_public_are_listed_for_admins_who_ask_and_projects_that_may(site: Site) -> None:
    create(site, id="42", **{"os-flavor-access:is_public": False})
    public = ["1", "2", "3", "4", "5"]
    assert ids(site.get("/flavors", token=ADMIN)) == public
    assert ids(site.get("/flavors?is_public=None", token=ADMIN)) == ["1", "2", "3", "4", "42", "5"]
    assert ids(site.get("/flavors?is_public=false", token=ADMIN)) == ["42"]
    assert ids(site.get("/flavors?is_public=None")) == public
    site.get("/flavors/42", status=404)
    site.get("/flavors/42", token=ADMIN)
    site.post("/flavors/42/action", {"addTenantAccess": {"tenant": PROJECT}}, token=ADMIN, status=200)
    assert ids(site.get("/flavors")) == ["1", "2", "3", "4", "42", "5"]
    site.get("/flavors/42")
    site.get("/flavors/42", token=OTHER, status=404)
    site.get("/flavors?is_public=perhaps", token=ADMIN, status=400)


def test_admin_makes_a_flavor_with_all_its_parts(site: Site) -> None:
    made = site.post("/flavors", {"flavor": FULL}, "2.1", token=ADMIN, status=200)["flavor"]
    assert {key: made[key] for key in FULL} == FULL
    assert made == site.get("/flavors/42", "2.1", token=ADMIN)["flavor"]
    assert repr(create(site, name="whole")["rxtx_factor"]) == "1.0"


def test_flavor_without_an_id_gets_one(site: Site) -> None:
    for given in ({}, {"id": None}):
        made = create(site, name=f"x{len(given)}", **given)
        assert len(made["id"]) == 36
        assert site.get(f"/flavors/{made['id']}")["flavor"]["name"] == f"x{len(given)}"


def test_numbers_may_come_as_text_and_an_id_as_a_number(site: Site) -> None:
    made = create(site, id=77, ram="512", vcpus="2", disk="0", swap="0", rxtx_factor="2.5")
    assert (made["id"], made["ram"], made["vcpus"], made["disk"], made["swap"]) == ("77", 512, 2, 0, "")
    assert made["rxtx_factor"] == 2.5


@pytest.mark.parametrize(
    "bad",
    [
        *({"name": ""}, {"name": " "}, {"name": "x" * 256}, {"name": 5}, {"name": None}, {"name": "a\nb"}),
        *({"id": ""}, {"id": " 1"}, {"id": "a/b"}, {"id": "x" * 256}, {"id": True}, {"id": {}}, {"id": "1\n"}),
        *({"ram": 0}, {"ram": -1}, {"ram": "x"}, {"ram": 1.5}, {"ram": 2**31}, {"ram": None}, {"ram": True}),
        *({"vcpus": 0}, {"vcpus": []}, {"vcpus": "9" * 5000}, {"disk": -1}, {"disk": 2**31}, {"disk": ""}),
        *({"swap": -1}, {"swap": None}, {"OS-FLV-EXT-DATA:ephemeral": -1}),
        *({"rxtx_factor": 0}, {"rxtx_factor": -1}, {"rxtx_factor": "x"}, {"rxtx_factor": 1e39}, {"rxtx_factor": "nan"}),
        *({"os-flavor-access:is_public": "maybe"}, {"os-flavor-access:is_public": {}}),
        {"os-flavor-access:is_public": None},
    ],
    ids=repr,
)
def test_flavor_that_cannot_be_is_400_and_is_not_made(site: Site, bad: dict[str, Any]) -> None:
    for version in (None, "2.1"):
        site.post("/flavors", {"flavor": {**NEW, **bad}}, version, token=ADMIN, status=400)
    assert len(site.get("/flavors?is_public=None", token=ADMIN)["flavors"]) == 5


@pytest.mark.parametrize("body", [{}, [], None, "x", {"flavor": None}, {"flavor": []}, {"flavor": {"name": "x"}}])
def test_body_that_is_no_flavor_is_400(site: Site, body: object) -> None:
    answer = site.ask("POST", "/v2.1/{T}/flavors", token=ADMIN, content=b"null" if body is None else None, body=body)
    assert answer.status_code == 400
    assert set(answer.json()) == {"badRequest"}


def test_unknown_key_is_400_since_2_1_and_passed_over_before(site: Site) -> None:
    site.post("/flavors", {"flavor": {**NEW, "colour": "red"}}, "2.1", token=ADMIN, status=400)
    site.post("/flavors", {"flavor": NEW, "colour": "red"}, "2.1", token=ADMIN, status=400)
    site.post("/flavors", {"flavor": {**NEW, "colour": "red"}, "more": 1}, token=ADMIN, status=200)


def test_id_or_name_that_is_taken_is_409(site: Site) -> None:
    create(site, id="42")
    for taken in ({"id": "42", "name": "another"}, {"id": "43"}, {"id": "43", "name": "m1.tiny"}):
        answer = site.post("/flavors", {"flavor": {**NEW, **taken}}, token=ADMIN, status=409)
        assert set(answer) == {"conflictingRequest"}


def test_flavor_that_is_deleted_is_gone_and_its_servers_stay(site: Site) -> None:
    create(site, id="42")
    instance = site.boot(flavorRef="42")
    site.delete("/flavors/42", token=ADMIN, status=202)
    site.get("/flavors/42", token=ADMIN, status=404)
    site.delete("/flavors/42", "2.1", token=ADMIN, status=404)
    assert site.get(f"/servers/{instance.uuid}")["server"]["flavor"]["id"] == "42"


def test_members_make_and_delete_none(site: Site) -> None:
    assert set(site.post("/flavors", {"flavor": NEW}, status=403)) == {"forbidden"}
    site.delete("/flavors/1", status=403)
    assert len(site.get("/flavors")["flavors"]) == 5


@pytest.mark.parametrize("flavorid", ["6", "m1.tiny", "x" * 300, "%2e%2e", "1%0A"])
def test_unknown_flavor_is_404(site: Site, flavorid: str) -> None:
    for version in (None, "2.1"):
        assert set(site.get(f"/flavors/{flavorid}", version, status=404)) == {"itemNotFound"}


def test_access_is_given_listed_and_taken(site: Site) -> None:
    create(site, id="42", **{"os-flavor-access:is_public": False})
    path = "/flavors/42/os-flavor-access"
    assert site.get(path, token=ADMIN) == {"flavor_access": []}
    give = {"addTenantAccess": {"tenant": PROJECT}}
    expected = {"flavor_access": [{"flavor_id": "42", "tenant_id": PROJECT}]}
    assert site.post("/flavors/42/action", give, "2.1", token=ADMIN, status=200) == expected
    assert site.get(path, token=ADMIN) == expected
    assert site.get(path) == expected
    site.get(path, token=OTHER, status=404)
    site.post("/flavors/42/action", give, "2.1", token=ADMIN, status=409)
    site.post("/flavors/42/action", {"removeTenantAccess": {"tenant": OTHER_PROJECT}}, token=ADMIN, status=404)
    taken = site.post("/flavors/42/action", {"removeTenantAccess": {"tenant": PROJECT}}, token=ADMIN, status=200)
    assert taken == {"flavor_access": []}
    site.get("/flavors/42", status=404)


def test_public_flavor_has_no_access_list(site: Site) -> None:
    site.get("/flavors/1/os-flavor-access", token=ADMIN, status=404)


@pytest.mark.parametrize(("version", "status"), [(None, 200), ("2.1", 200), ("2.6", 200), ("2.7", 409), ("2.30", 409)])
def test_access_to_a_public_flavor_is_refused_since_2_7(site: Site, version: str | None, status: int) -> None:
    body = {"addTenantAccess": {"tenant": PROJECT}}
    site.post("/flavors/1/action", body, version, token=ADMIN, status=status)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"addTenantAccess": {}}, 400),
        ({"addTenantAccess": {"tenant": ""}}, 400),
        ({"addTenantAccess": {"tenant": "x" * 256}}, 400),
        ({"addTenantAccess": {"tenant": 5}}, 400),
        ({"addTenantAccess": None}, 400),
        ({"addTenantAccess": {"tenant": "p"}, "removeTenantAccess": {"tenant": "p"}}, 400),
        ({"addTenantAccess": {"tenant": "p", "colour": "red"}}, 400),
        ({"reboot": {}}, 400),
    ],
)
def test_action_that_is_none_is_400(site: Site, body: object, status: int) -> None:
    site.post("/flavors/1/action", body, "2.1", token=ADMIN, status=status)


def test_members_change_no_access(site: Site) -> None:
    for action in ("addTenantAccess", "removeTenantAccess"):
        site.post("/flavors/1/action", {action: {"tenant": PROJECT}}, status=403)


def test_extra_specs_are_set_shown_changed_and_deleted(site: Site) -> None:
    path = "/flavors/1/os-extra_specs"
    body = {"extra_specs": {"hw:cpu_policy": "dedicated", "quota:vif": 10}}
    shown = {"extra_specs": {"hw:cpu_policy": "dedicated", "quota:vif": "10"}}
    assert site.get(path) == {"extra_specs": {}}
    assert site.post(path, body, "2.1", token=ADMIN, status=200) == shown
    assert site.get(path) == shown
    assert site.get(f"{path}/quota:vif") == {"quota:vif": "10"}
    assert site.put(f"{path}/quota:vif", {"quota:vif": "20"}, "2.1", token=ADMIN) == {"quota:vif": "20"}
    assert site.put(f"{path}/new", {"new": "1"}, token=ADMIN) == {"new": "1"}
    site.delete(f"{path}/new", token=ADMIN, status=200)
    assert site.get(path) == {"extra_specs": {"hw:cpu_policy": "dedicated", "quota:vif": "20"}}
    for method in ("GET", "DELETE"):
        assert site.ask(method, f"/v2/{{T}}{path}/new", token=ADMIN).status_code == 404


@pytest.mark.parametrize(
    "specs",
    [{"": "x"}, {"a/b": "x"}, {"x" * 256: "x"}, {"a": "x" * 256}, {"a": None}, {"a": {}}, {"a": True}, [], "x", None],
)
def test_extra_specs_that_cannot_be_are_400(site: Site, specs: object) -> None:
    path = "/flavors/1/os-extra_specs"
    site.post(path, {"extra_specs": specs}, "2.1", token=ADMIN, status=400)
    assert site.get(path) == {"extra_specs": {}}


@pytest.mark.parametrize("body", [{}, {"b": "x"}, {"a": "x", "b": "y"}, {"a": None}, [], "x"])
def test_one_extra_spec_whose_body_is_another_is_400(site: Site, body: object) -> None:
    site.put("/flavors/1/os-extra_specs/a", body, "2.1", token=ADMIN, status=400)


def test_extra_specs_of_others_are_out_of_sight_and_of_reach(site: Site) -> None:
    create(site, id="42", **{"os-flavor-access:is_public": False})
    site.get("/flavors/42/os-extra_specs", status=404)
    site.get("/flavors/42/os-extra_specs/a", status=404)
    site.post("/flavors/1/os-extra_specs", {"extra_specs": {"a": "x"}}, status=403)
    site.put("/flavors/1/os-extra_specs/a", {"a": "x"}, status=403)
    site.delete("/flavors/1/os-extra_specs/a", status=403)
    site.post("/flavors/6/os-extra_specs", {"extra_specs": {"a": "x"}}, token=ADMIN, status=404)
