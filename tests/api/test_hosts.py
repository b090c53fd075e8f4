"""os-hosts: what hosts serve, and how much of a compute host is used and by whom."""

from typing import Any

import pytest

from cloud.domain.flavor import Resources
from cloud.domain.service import ServiceReport
from cloud.services.api.hosts import host_rows
from tests.api.conftest import ADMIN, HOST, OTHER, OTHER_PROJECT, PROJECT, Site


def row(project: str, cpu: int, memory_mb: int, disk_gb: int, host: str = HOST) -> dict[str, Any]:
    resource = {"host": host, "project": project, "cpu": cpu, "memory_mb": memory_mb, "disk_gb": disk_gb}
    return {"resource": resource}


def test_hosts_are_listed_with_what_they_serve_and_their_zone(site: Site) -> None:
    site.parts.services.report(ServiceReport("controller", "nova-scheduler", "scheduler", "internal"))
    site.parts.services.report(ServiceReport("controller", "identity", "identity", "internal"))
    compute = {"host_name": "HostB", "service": "compute", "zone": "nova"}
    scheduler = {"host_name": "controller", "service": "scheduler", "zone": "internal"}
    assert site.get("/os-hosts", token=ADMIN) == {"hosts": [compute, scheduler]}
    assert site.get("/os-hosts?zone=nova", "2.1", token=ADMIN) == {"hosts": [compute]}
    assert site.get("/os-hosts?zone=mars", "2.1", token=ADMIN) == {"hosts": []}


def test_host_of_an_aggregate_with_a_zone_is_in_that(site: Site) -> None:
    aggregate = site.parts.aggregates.create("racks", "west")
    site.parts.aggregates.add_host(aggregate.id, HOST)
    assert [host["zone"] for host in site.get("/os-hosts", token=ADMIN)["hosts"]] == ["west"]


def test_service_that_is_disabled_is_not_listed(site: Site) -> None:
    site.parts.services.disable(HOST, "nova-compute", None)
    assert site.get("/os-hosts", token=ADMIN) == {"hosts": []}


def test_host_is_described_by_total_used_now_used_max_and_a_row_for_each_project(site: Site) -> None:
    site.run(site.boot("vm1", flavorRef="2"))
    site.run(site.boot("vm2"))
    site.run(site.boot("vm3", token=OTHER))
    for version in (None, "2.1"):
        assert site.get(f"/os-hosts/{HOST}", version, token=ADMIN) == {
            "host": [
                row("(total)", 8, 8192, 100),
                row("(used_now)", 0, 0, 0),  # nothing is claimed here: no conductor built these
                row("(used_max)", 3, 3072, 22),
                row(OTHER_PROJECT, 1, 512, 1),
                row(PROJECT, 2, 2560, 21),
            ]
        }


def test_rows_have_the_order_that_operators_know() -> None:
    used = {"p2": Resources(512, 1, 10), "p1": Resources(4096, 2, 50)}
    assert host_rows("HostC", Resources(4003, 2, 157), Resources(512, 1, 0), used) == [
        row("(total)", 2, 4003, 157, "HostC"),
        row("(used_now)", 1, 512, 0, "HostC"),
        row("(used_max)", 3, 4608, 60, "HostC"),
        row("p1", 2, 4096, 50, "HostC"),
        row("p2", 1, 512, 10, "HostC"),
    ]


def test_host_without_instances_has_three_rows(site: Site) -> None:
    assert [one["resource"]["project"] for one in site.get(f"/os-hosts/{HOST}", token=ADMIN)["host"]] == [
        "(total)",
        "(used_now)",
        "(used_max)",
    ]


@pytest.mark.parametrize("host", ["HostC", "x" * 300, "%20"])
def test_unknown_host_is_404_whatever_is_asked_of_it(site: Site, host: str) -> None:
    for path in ("", "/startup", "/shutdown", "/reboot"):
        assert set(site.get(f"/os-hosts/{host}{path}", token=ADMIN, status=404)) == {"itemNotFound"}
    for body in ({"status": "disable"}, {"maintenance_mode": "enable"}):
        site.put(f"/os-hosts/{host}", body, "2.1", token=ADMIN, status=404)


@pytest.mark.parametrize("disable", ["disable", "Disable", "DISABLE"])
def test_host_is_disabled_and_enabled(site: Site, disable: str) -> None:
    answer = site.put(f"/os-hosts/{HOST}", {"status": disable}, "2.1", token=ADMIN)
    assert answer == {"host": HOST, "status": "disabled"}
    assert [state.is_enabled for state in site.parts.hosts.states()] == [False]
    answer = site.put(f"/os-hosts/{HOST}", {"status": "enable"}, token=ADMIN)
    assert answer == {"host": HOST, "status": "enabled"}
    assert [state.is_enabled for state in site.parts.hosts.states()] == [True]


@pytest.mark.parametrize(
    "body",
    [
        *({}, [], "x", {"status": "reboot"}, {"status": ""}, {"status": None}, {"status": 5}, {"status": {}}),
        *({"maintenance_mode": "on"}, {"status": "enable", "maintenance_mode": "x"}),
    ],
    ids=repr,
)
def test_update_that_is_none_is_400(site: Site, body: object) -> None:
    for version in (None, "2.1"):
        site.put(f"/os-hosts/{HOST}", body, version, token=ADMIN, status=400)


def test_unknown_key_is_400_since_2_1_and_passed_over_before(site: Site) -> None:
    site.put(f"/os-hosts/{HOST}", {"status": "enable", "colour": "red"}, "2.1", token=ADMIN, status=400)
    site.put(f"/os-hosts/{HOST}", {"status": "enable", "colour": "red"}, token=ADMIN)


def test_what_no_driver_can_is_501_and_changes_nothing(site: Site) -> None:
    for action in ("startup", "shutdown", "reboot"):
        answer = site.get(f"/os-hosts/{HOST}/{action}", token=ADMIN, status=501)
        assert set(answer) == {"notImplemented"}
    both = {"status": "disable", "maintenance_mode": "enable"}
    for body in ({"maintenance_mode": "enable"}, both):
        site.put(f"/os-hosts/{HOST}", body, "2.1", token=ADMIN, status=501)
    assert [state.is_enabled for state in site.parts.hosts.states()] == [True]


def test_members_see_and_change_nothing(site: Site) -> None:
    for path in ("", f"/{HOST}", f"/{HOST}/startup", f"/{HOST}/shutdown", f"/{HOST}/reboot"):
        site.get(f"/os-hosts{path}", status=403)
    site.put(f"/os-hosts/{HOST}", {"status": "disable"}, status=403)
