"""os-services: which daemons there are, and what admins do to them."""

from typing import Any

import pytest

from cloud.domain.service import ServiceReport
from tests.api.conftest import ADMIN, HOST, Site
from tests.services.said import Line

COMPUTE = {"host": HOST, "binary": "nova-compute"}
SHOWN = {
    "id": 1,
    "binary": "nova-compute",
    "host": "HostB",
    "zone": "nova",
    "status": "enabled",
    "state": "up",
    "updated_at": "2014-10-16T12:00:00.000000",
    "disabled_reason": None,
}


def listed(site: Site, query: str = "", version: str | None = None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = site.get(f"/os-services{query}", version, token=ADMIN)["services"]
    return found


def report(site: Site, host: str, binary: str) -> None:
    site.parts.services.report(ServiceReport(host, binary, binary.removeprefix("nova-"), "internal"))


@pytest.mark.parametrize("version", [None, "2.1", "2.10"])
def test_service_is_listed_with_what_is_known_of_it(site: Site, version: str | None) -> None:
    assert listed(site, version=version) == [SHOWN]


def test_list_is_narrowed_by_host_and_binary(site: Site) -> None:
    report(site, "controller", "nova-scheduler")
    report(site, "HostC", "nova-compute")
    every = [("HostB", "nova-compute"), ("HostC", "nova-compute"), ("controller", "nova-scheduler")]
    for query, expected in (
        ("", every),
        ("?host=HostC", every[1:2]),
        ("?binary=nova-compute", every[:2]),
        ("?host=HostB&binary=nova-compute", every[:1]),
        ("?host=HostB&binary=nova-scheduler", []),
        ("?host=&binary=", every),
        ("?host=HostD", []),
    ):
        assert [(service["host"], service["binary"]) for service in listed(site, query)] == expected, query


def test_only_the_compute_services_own_daemons_are_listed_and_changed(site: Site) -> None:
    report(site, "controller", "identity")
    report(site, "controller", "image")
    assert listed(site) == [SHOWN]
    for action in ("enable", "disable"):
        site.put(f"/os-services/{action}", {"host": "controller", "binary": "image"}, token=ADMIN, status=404)
    site.delete("/os-services/2", token=ADMIN, status=404)
    assert [service.is_enabled for service in site.parts.services.all(binary="image")] == [True]


def test_service_that_is_silent_is_down(site: Site) -> None:
    site.clock.advance(61)
    assert listed(site) == [{**SHOWN, "state": "down"}]


def test_service_is_disabled_with_and_without_a_reason_and_enabled(site: Site) -> None:
    answer = site.put("/os-services/disable", COMPUTE, token=ADMIN)
    assert answer == {"service": {**COMPUTE, "status": "disabled"}}
    assert listed(site) == [{**SHOWN, "status": "disabled"}]
    answer = site.put("/os-services/disable-log-reason", {**COMPUTE, "disabled_reason": "disk swap"}, token=ADMIN)
    assert answer == {"service": {**COMPUTE, "status": "disabled", "disabled_reason": "disk swap"}}
    assert listed(site, version="2.1") == [{**SHOWN, "status": "disabled", "disabled_reason": "disk swap"}]
    assert site.put("/os-services/enable", COMPUTE, token=ADMIN) == {"service": {**COMPUTE, "status": "enabled"}}
    assert listed(site) == [SHOWN]


def test_what_is_done_to_a_service_is_an_event_in_the_log(site: Site, lines: list[Line]) -> None:
    site.put("/os-services/disable-log-reason", {**COMPUTE, "disabled_reason": "disk swap"}, token=ADMIN)
    site.put("/os-services/enable", COMPUTE, token=ADMIN)
    named = {"service": "nova-compute", "service_host": "HostB"}
    assert [line for line in lines if line[1].startswith("service")] == [
        ("INFO", "service disabled", {"event": "service.disable", "reason": "disk swap", **named}),
        ("INFO", "service enabled", {"event": "service.enable", **named}),
    ]


@pytest.mark.parametrize("version", [None, "2.1"])
@pytest.mark.parametrize(
    "body",
    [
        *({}, [], "x", {"host": HOST}, {"binary": "nova-compute"}, {**COMPUTE, "host": None}, {**COMPUTE, "host": 5}),
        *(
            {**COMPUTE, "host": ""},
            {**COMPUTE, "host": "a b"},
            {**COMPUTE, "host": "x" * 256},
            {**COMPUTE, "binary": ""},
        ),
        {**COMPUTE, "binary": "x" * 256},
    ],
    ids=repr,
)
def test_body_that_names_no_service_is_400(site: Site, body: object, version: str | None) -> None:
    for action in ("enable", "disable", "disable-log-reason"):
        site.put(f"/os-services/{action}", body, version, token=ADMIN, status=400)
    assert listed(site) == [SHOWN]


@pytest.mark.parametrize("reason", ["", "  ", "x" * 256, "a\nb", None, 5, {}], ids=repr)
def test_reason_that_is_none_is_400(site: Site, reason: object) -> None:
    body = {**COMPUTE, "disabled_reason": reason}
    site.put("/os-services/disable-log-reason", body, "2.1", token=ADMIN, status=400)
    site.put("/os-services/disable-log-reason", COMPUTE, "2.1", token=ADMIN, status=400)
    assert listed(site) == [SHOWN]


def test_unknown_key_is_400_since_2_1_and_passed_over_before(site: Site) -> None:
    site.put("/os-services/disable", {**COMPUTE, "colour": "red"}, "2.1", token=ADMIN, status=400)
    site.put("/os-services/disable", {**COMPUTE, "colour": "red"}, token=ADMIN)


def test_unknown_service_and_unknown_action_are_404(site: Site) -> None:
    for body in ({**COMPUTE, "host": "HostD"}, {**COMPUTE, "binary": "nova-cert"}):
        assert set(site.put("/os-services/disable", body, token=ADMIN, status=404)) == {"itemNotFound"}
    assert site.ask("PUT", "/v2/{T}/os-services/explode", COMPUTE, token=ADMIN).status_code in (404, 405)


def test_service_is_forced_down_since_2_11(site: Site) -> None:
    body = {**COMPUTE, "forced_down": True}
    answer = site.put("/os-services/force-down", body, "2.11", token=ADMIN)
    assert answer == {"service": {**COMPUTE, "forced_down": True}}
    site.report()
    assert listed(site, version="2.11") == [{**SHOWN, "state": "down", "forced_down": True}]
    assert listed(site, version="2.10") == [{**SHOWN, "state": "down"}]
    assert [state.is_up for state in site.parts.hosts.states()] == [False]
    site.put("/os-services/force-down", {**COMPUTE, "forced_down": "false"}, "2.30", token=ADMIN)
    assert listed(site, version="2.11") == [{**SHOWN, "forced_down": False}]


def test_before_2_11_nothing_is_forced_down(site: Site) -> None:
    body = {**COMPUTE, "forced_down": True}
    site.put("/os-services/force-down", body, "2.10", token=ADMIN, status=404)
    site.put("/os-services/force-down", body, token=ADMIN, status=404)
    site.put("/os-services/force-down", COMPUTE, "2.11", token=ADMIN, status=400)
    site.put("/os-services/force-down", {**body, "host": "HostD"}, "2.11", token=ADMIN, status=404)
    assert listed(site) == [SHOWN]


def test_service_is_deleted_and_comes_back_with_its_next_report(site: Site) -> None:
    site.put("/os-services/disable", COMPUTE, token=ADMIN)
    site.delete("/os-services/1", "2.1", token=ADMIN, status=204)
    assert listed(site) == []
    site.delete("/os-services/1", "2.1", token=ADMIN, status=404)
    site.report()
    assert [service["status"] for service in listed(site)] == ["enabled"]


@pytest.mark.parametrize(("service_id", "status"), [("9", 404), ("2147483648", 404), ("x", 400), ("-1", 400)])
def test_id_that_is_none_of_a_service_deletes_nothing(site: Site, service_id: str, status: int) -> None:
    site.delete(f"/os-services/{service_id}", "2.1", token=ADMIN, status=status)
    assert listed(site) == [SHOWN]


def test_members_see_and_change_nothing(site: Site) -> None:
    site.get("/os-services", status=403)
    for action in ("enable", "disable"):
        site.put(f"/os-services/{action}", COMPUTE, status=403)
    site.put("/os-services/disable-log-reason", {**COMPUTE, "disabled_reason": "x"}, status=403)
    site.put("/os-services/force-down", {**COMPUTE, "forced_down": True}, "2.11", status=403)
    site.delete("/os-services/1", status=403)
    assert listed(site) == [SHOWN]
