"""os-hypervisors: compute hosts as their hypervisors see them."""

from typing import Any

import pytest

from cloud.db.claims import ClaimTable
from cloud.domain.flavor import Resources
from cloud.domain.instance import TaskState
from tests.api.conftest import ADMIN, HOST, Site

BRIEF = {"id": 1, "hypervisor_hostname": "HostB.example.org", "state": "up", "status": "enabled"}
AMOUNTS = {
    "vcpus": 8,
    "vcpus_used": 0,
    "memory_mb": 8192,
    "memory_mb_used": 0,
    "free_ram_mb": 8192,
    "local_gb": 100,
    "local_gb_used": 0,
    "free_disk_gb": 100,
    "disk_available_least": 90,
    "running_vms": 0,
    "current_workload": 0,
}
FULL = {
    **BRIEF,
    **AMOUNTS,
    "hypervisor_type": "simulated",
    "hypervisor_version": 1000000,
    "host_ip": "10.0.1.2",
    "cpu_info": '{"arch": "x86_64"}',
    "service": {"id": 1, "host": "HostB", "disabled_reason": None},
}


def claim(site: Site, uuid: str) -> None:
    ClaimTable(site.database, site.clock).claim(uuid, HOST, Resources(512, 1, 1), Resources(8192, 8, 100))


@pytest.mark.parametrize("version", [None, "2.1", "2.27"])
def test_hypervisor_is_listed_in_brief_and_in_detail_and_shown(site: Site, version: str | None) -> None:
    assert site.get("/os-hypervisors", version, token=ADMIN) == {"hypervisors": [BRIEF]}
    assert site.get("/os-hypervisors/detail", version, token=ADMIN) == {"hypervisors": [FULL]}
    assert site.get("/os-hypervisors/1", version, token=ADMIN) == {"hypervisor": FULL}


def test_cpu_info_is_an_object_since_2_28(site: Site) -> None:
    expected = {**FULL, "cpu_info": {"arch": "x86_64"}}
    assert site.get("/os-hypervisors/detail", "2.28", token=ADMIN) == {"hypervisors": [expected]}
    assert site.get("/os-hypervisors/1", "2.28", token=ADMIN) == {"hypervisor": expected}


def test_what_is_claimed_is_used_and_what_is_being_done_is_workload(site: Site) -> None:
    busy = site.running("vm1", task_state=TaskState.REBOOTING)
    claim(site, busy.uuid)
    claim(site, site.running("vm2").uuid)
    site.boot("vm3")  # which has no host yet
    expected = {
        **AMOUNTS,
        "vcpus_used": 2,
        "memory_mb_used": 1024,
        "free_ram_mb": 7168,
        "local_gb_used": 2,
        "free_disk_gb": 98,
        "current_workload": 1,
    }
    assert site.get("/os-hypervisors/1", token=ADMIN)["hypervisor"] == {**FULL, **expected}
    assert site.get("/os-hypervisors/statistics", token=ADMIN) == {"hypervisor_statistics": {"count": 1, **expected}}


def test_statistics_are_sums(site: Site) -> None:
    site.report("HostC")
    doubled = {name: 2 * amount for name, amount in AMOUNTS.items()}
    assert site.get("/os-hypervisors/statistics", "2.1", token=ADMIN) == {
        "hypervisor_statistics": {"count": 2, **doubled}
    }


def test_hypervisor_says_whether_it_is_up_and_enabled_and_why_not(site: Site) -> None:
    site.parts.services.disable(HOST, "nova-compute", "disk swap")
    site.clock.advance(61)
    shown = site.get("/os-hypervisors/1", token=ADMIN)["hypervisor"]
    assert (shown["state"], shown["status"], shown["service"]["disabled_reason"]) == ("down", "disabled", "disk swap")


def test_hypervisor_whose_service_was_deleted_is_still_shown(site: Site) -> None:
    site.parts.services.delete(1)
    shown = site.get("/os-hypervisors/detail", token=ADMIN)["hypervisors"][0]
    assert (shown["state"], shown["status"]) == ("down", "disabled")
    assert shown["service"] == {"id": None, "host": "HostB", "disabled_reason": None}


def test_uptime_is_what_the_host_says(site: Site) -> None:
    site.compute.answers["host_uptime"] = " 12:00 up 3 days"
    assert site.get("/os-hypervisors/1/uptime", token=ADMIN) == {"hypervisor": {**BRIEF, "uptime": " 12:00 up 3 days"}}
    assert site.compute.calls == [("host_uptime", HOST)]


def test_host_that_is_down_is_not_asked_for_its_uptime(site: Site) -> None:
    site.clock.advance(61)
    answer = site.get("/os-hypervisors/1/uptime", token=ADMIN, status=400)
    assert answer["badRequest"]["message"] == "cannot ask host HostB for its uptime: its nova-compute is down"
    assert site.compute.calls == []


def test_search_finds_by_a_part_of_the_name(site: Site) -> None:
    site.report("HostC")
    for pattern, expected in (("HostB", ["HostB"]), ("hostb", ["HostB"]), ("example", ["HostB", "HostC"])):
        found = site.get(f"/os-hypervisors/{pattern}/search", token=ADMIN)["hypervisors"]
        assert [one["hypervisor_hostname"].split(".")[0] for one in found] == expected
        assert set(found[0]) == set(BRIEF)
    site.get("/os-hypervisors/HostD/search", token=ADMIN, status=404)


def test_servers_of_a_hypervisor_are_listed_with_their_names_there(site: Site) -> None:
    first, second = site.running("vm1"), site.running("vm2")
    site.report("HostC")
    found: list[Any] = site.get("/os-hypervisors/Host/servers", "2.1", token=ADMIN)["hypervisors"]
    assert found == [
        {
            **BRIEF,
            "servers": [
                {"name": "instance-00000002", "uuid": second.uuid},
                {"name": "instance-00000001", "uuid": first.uuid},
            ],
        },
        {**BRIEF, "id": 2, "hypervisor_hostname": "HostC.example.org"},
    ]
    site.get("/os-hypervisors/HostD/servers", token=ADMIN, status=404)


@pytest.mark.parametrize("hypervisor_id", ["2", "0", "-1", "01", "HostB", "9" * 40, "1.0"])
def test_unknown_id_is_404(site: Site, hypervisor_id: str) -> None:
    for path in ("", "/uptime"):
        assert set(site.get(f"/os-hypervisors/{hypervisor_id}{path}", token=ADMIN, status=404)) == {"itemNotFound"}


def test_members_see_nothing(site: Site) -> None:
    for path in ("", "/detail", "/statistics", "/1", "/1/uptime", "/Host/search", "/Host/servers"):
        assert set(site.get(f"/os-hypervisors{path}", status=403)) == {"forbidden"}
