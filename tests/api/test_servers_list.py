"""Lists of servers: whose, which, in which order, and how many at a time."""

from datetime import timedelta

import pytest

from cloud.domain.instance import TaskState, VmState
from tests.api.conftest import ADMIN, CIRROS, OTHER, OTHER_PROJECT, PROJECT, Site


def names(answer: dict[str, list[dict[str, str]]]) -> list[str]:
    return [server["name"] for server in answer["servers"]]


def test_a_list_in_brief_has_id_name_and_links_newest_first(site: Site) -> None:
    first, second = site.boot("vm1"), site.boot("vm2")
    servers = site.get("/servers")["servers"]
    assert [(server["id"], server["name"]) for server in servers] == [(second.uuid, "vm2"), (first.uuid, "vm1")]
    assert {key for server in servers for key in server} == {"id", "name", "links"}


def test_an_empty_list(site: Site) -> None:
    assert site.get("/servers") == {"servers": []}
    assert site.get("/servers/detail", "2.30") == {"servers": []}


def test_all_tenants_is_for_admins(site: Site) -> None:
    site.boot("vm1")
    site.boot("vm2", token=OTHER)
    for word in ("all_tenants=1", "all_tenants", "all_tenants=True"):
        assert names(site.get(f"/servers?{word}", token=ADMIN)) == ["vm2", "vm1"]
        site.get(f"/servers?{word}", status=403)
    assert names(site.get("/servers", token=ADMIN)) == ["vm1"]
    assert names(site.get("/servers?all_tenants=0")) == ["vm1"]
    site.get("/servers?all_tenants=perhaps", token=ADMIN, status=400)
    assert names(site.get(f"/servers?all_tenants=1&tenant_id={OTHER_PROJECT}", token=ADMIN)) == ["vm2"]
    assert names(site.get(f"/servers?tenant_id={OTHER_PROJECT}")) == ["vm1"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("name=vm1", ["vm1"]),
        ("name=^vm", ["vm3", "vm2", "vm1"]),
        ("name=nothing", []),
        ("status=ACTIVE", ["vm2", "vm1"]),
        ("status=active", ["vm2", "vm1"]),
        ("status=BUILD", ["vm3"]),
        ("status=HARD_REBOOT", ["vm2"]),
        ("status=SHUTOFF&status=BUILD", ["vm3"]),
        ("status=WHATEVER", []),
        ("ip=10.0.0.2", ["vm1"]),
        ("ip=10.0.0", ["vm2", "vm1"]),
        ("flavor=2", ["vm3"]),
        ("flavor=99", []),
        (f"image={CIRROS}", ["vm3", "vm2", "vm1"]),
        ("image=other", []),
        ("reservation_id=r-nothing", []),
        ("limit=2", ["vm3", "vm2"]),
        ("limit=0", ["vm3", "vm2", "vm1"]),
        ("limit=5000", ["vm3", "vm2", "vm1"]),
        ("sort_key=display_name&sort_dir=asc", ["vm1", "vm2", "vm3"]),
        ("sort_key=created_at&sort_dir=asc", ["vm1", "vm2", "vm3"]),
        ("host=HostB", ["vm3", "vm2", "vm1"]),
        ("node=x&whatever=1", ["vm3", "vm2", "vm1"]),
    ],
)
@pytest.mark.parametrize("path", ["/servers", "/servers/detail"])
def test_members_filter_their_servers(site: Site, path: str, query: str, found: list[str]) -> None:
    site.running("vm1")
    site.running("vm2", task_state=TaskState.REBOOTING_HARD)
    site.boot("vm3", flavorRef="2")
    assert names(site.get(f"{path}?{query}")) == found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("host=HostB", ["vm1"]),
        ("host=HostZ", []),
        ("user_id=joecool", ["vm2", "vm1"]),
        ("vm_state=building", ["vm2"]),
        ("task_state=scheduling", ["vm2"]),
        ("uuid=x", []),
        ("whatever=1", ["vm2", "vm1"]),
        ("deleted=True", ["vm0"]),
        ("status=DELETED", ["vm0"]),
        ("deleted=False", ["vm2", "vm1"]),
    ],
)
def test_admins_filter_by_more(site: Site, query: str, found: list[str]) -> None:
    site.parts.instances.delete(site.boot("vm0").uuid)
    site.running("vm1")
    site.boot("vm2")
    assert names(site.get(f"/servers?all_tenants=1&{query}", token=ADMIN)) == found


@pytest.mark.parametrize(
    "query",
    [
        "limit=-1",
        "limit=x",
        "limit=1.5",
        "limit=",
        "marker=nothing",
        f"marker={'x' * 300}",
        "sort_key=secret",
        "sort_key=created_at&sort_dir=up",
        "changes-since=yesterday",
        "changes-since=0001-01-01T00:00:00%2B23:59",
        "name=(a*)*b",
        f"name={'x' * 300}",
    ],
)
def test_a_query_that_makes_no_sense_is_400(site: Site, query: str) -> None:
    assert site.get(f"/servers?{query}", status=400)["badRequest"]["code"] == 400


@pytest.mark.parametrize("query", ["node=x", "power_state=1", "vm_state=happy", "task_state=thinking"])
def test_what_admins_cannot_filter_by_is_refused_rather_than_passed_over(site: Site, query: str) -> None:
    site.get(f"/servers?{query}", token=ADMIN, status=400)


def test_deleted_servers_are_not_listed_to_members(site: Site) -> None:
    site.parts.instances.delete(site.boot("vm0").uuid)
    assert names(site.get("/servers?deleted=True")) == []
    site.get("/servers?status=DELETED", status=403)


def test_changes_since_shows_what_was_deleted_too(site: Site) -> None:
    site.boot("vm1")
    gone = site.boot("vm2")
    since = (site.clock() + timedelta(seconds=10)).strftime("%Y-%m-%dT%H:%M:%SZ")
    site.clock.advance(60)
    site.boot("vm3")
    site.parts.instances.delete(gone.uuid)
    found = site.get(f"/servers/detail?changes-since={since}")["servers"]
    assert [(server["name"], server["status"]) for server in found] == [("vm3", "BUILD"), ("vm2", "DELETED")]
    assert found[1]["OS-SRV-USG:terminated_at"] == "2014-10-16T12:01:03.000000"


@pytest.mark.parametrize("path", ["/servers", "/servers/detail"])
def test_next_links_lead_through_all_servers_once(site: Site, path: str) -> None:
    for number in range(5):
        site.boot(f"vm{number}")
    seen: list[str] = []
    address = f"{path}?limit=2&name=vm"
    for _ in range(5):
        page = site.get(address)
        seen += names(page)
        if "servers_links" not in page:
            break
        ((link),) = page["servers_links"]
        assert link["rel"] == "next"
        address = link["href"].removeprefix(f"http://api:8774/v2/{PROJECT}")
        assert address.startswith(f"{path}?limit=2&name=vm&marker=")
    assert seen == ["vm4", "vm3", "vm2", "vm1", "vm0"]


def test_osapi_max_limit_is_the_most_that_is_answered(site: Site) -> None:
    site.conf.set_override("osapi_max_limit", 2)
    for number in range(3):
        site.boot(f"vm{number}")
    for query in ("", "?limit=3"):
        page = site.get(f"/servers{query}")
        assert names(page) == ["vm2", "vm1"]
        assert page["servers_links"][0]["rel"] == "next"


def test_another_projects_server_is_no_marker(site: Site) -> None:
    site.boot("vm1")
    others = site.boot("vm2", token=OTHER)
    site.get(f"/servers?marker={others.uuid}", status=400)
    assert names(site.get(f"/servers?all_tenants=1&marker={others.uuid}", token=ADMIN)) == ["vm1"]


def test_a_server_in_a_list_has_what_it_has_alone(site: Site) -> None:
    instance = site.running(vm_state=VmState.ACTIVE)
    assert site.get("/servers/detail", "2.30", token=ADMIN)["servers"] == [
        site.get(f"/servers/{instance.uuid}", "2.30", token=ADMIN)["server"]
    ]
