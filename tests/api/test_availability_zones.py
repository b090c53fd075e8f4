"""os-availability-zone: which zones there are, and for admins what is in them."""

from typing import Any

from cloud.domain.service import ServiceReport
from tests.api.conftest import ADMIN, HOST, Site

UPDATED_AT = "2014-10-16T12:00:00.000000"


def zone(name: str, hosts: Any = None, *, is_available: bool = True) -> dict[str, Any]:
    return {"zoneName": name, "zoneState": {"available": is_available}, "hosts": hosts}


def said(*, is_up: bool = True) -> dict[str, Any]:
    return {"available": is_up, "active": True, "updated_at": UPDATED_AT}


def with_controller(site: Site) -> None:
    site.parts.services.report(ServiceReport("controller", "nova-scheduler", "scheduler", "internal"))
    site.parts.services.report(ServiceReport("controller", "nova-conductor", "conductor", "internal"))


def test_members_see_the_zones_where_servers_may_be(site: Site) -> None:
    with_controller(site)
    for version in (None, "2.1"):
        assert site.get("/os-availability-zone", version) == {"availabilityZoneInfo": [zone("nova")]}


def test_admins_see_hosts_and_services_and_the_zone_of_the_controllers(site: Site) -> None:
    with_controller(site)
    assert site.get("/os-availability-zone/detail", token=ADMIN) == {
        "availabilityZoneInfo": [
            zone("internal", {"controller": {"nova-conductor": said(), "nova-scheduler": said()}}),
            zone("nova", {"HostB": {"nova-compute": said()}}),
        ]
    }


def test_aggregate_with_a_zone_is_one(site: Site) -> None:
    site.report("HostC")
    aggregate = site.parts.aggregates.create("racks", "west")
    site.parts.aggregates.add_host(aggregate.id, "HostC")
    assert site.get("/os-availability-zone") == {"availabilityZoneInfo": [zone("nova"), zone("west")]}
    assert site.get("/os-availability-zone/detail", token=ADMIN)["availabilityZoneInfo"] == [
        zone("nova", {"HostB": {"nova-compute": said()}}),
        zone("west", {"HostC": {"nova-compute": said()}}),
    ]


def test_zone_whose_services_are_all_disabled_is_not_available(site: Site) -> None:
    site.parts.services.disable(HOST, "nova-compute", None)
    gone = zone("nova", is_available=False)
    assert site.get("/os-availability-zone") == {"availabilityZoneInfo": [gone]}
    assert site.get("/os-availability-zone/detail", token=ADMIN) == {"availabilityZoneInfo": [gone]}
    site.report("HostC")
    assert site.get("/os-availability-zone") == {"availabilityZoneInfo": [zone("nova")]}


def test_service_that_is_silent_is_there_and_not_available(site: Site) -> None:
    site.clock.advance(61)
    shown = site.get("/os-availability-zone/detail", token=ADMIN)["availabilityZoneInfo"]
    assert shown == [zone("nova", {"HostB": {"nova-compute": said(is_up=False)}})]


def test_the_rest_of_the_cloud_is_in_no_zone_of_it(site: Site) -> None:
    site.parts.services.report(ServiceReport("controller", "image", "image", "somewhere"))
    assert site.get("/os-availability-zone") == {"availabilityZoneInfo": [zone("nova")]}


def test_members_see_no_hosts(site: Site) -> None:
    assert set(site.get("/os-availability-zone/detail", status=403)) == {"forbidden"}
