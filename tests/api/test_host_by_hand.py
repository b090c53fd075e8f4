"""An admin changes rows of `instances` by hand, as the guide tells after a host has broken down: it holds at once."""

from typing import Any

import pytest
from sqlalchemy import text

from cloud.domain.instance import Instance
from tests.api.conftest import ADMIN, CIRROS, Site

ELSEWHERE = "np-rcc46"


def update(site: Site, instance: Instance, assignments: str) -> None:
    with site.parts.instances._database.transaction() as session:
        session.execute(text(f"UPDATE instances SET {assignments} WHERE uuid = '{instance.uuid}'"))  # noqa: S608


@pytest.mark.parametrize(
    ("body", "method"),
    [
        ({"reboot": {"type": "HARD"}}, "reboot_instance"),
        ({"os-stop": None}, "stop_instance"),
        ({"rebuild": {"imageRef": CIRROS}}, "rebuild_instance"),
        ({"createImage": {"name": "snap1"}}, "snapshot_instance"),
        ({"os-getConsoleOutput": {"length": 5}}, "get_console_output"),
    ],
)
def test_what_is_asked_of_it_is_asked_of_its_new_host(site: Site, body: dict[str, Any], method: str) -> None:
    instance = site.running()
    update(site, instance, f"host = '{ELSEWHERE}'")
    site.compute.answers["get_console_output"] = "login:"
    status = 200 if method == "get_console_output" else 202
    site.post(f"/servers/{instance.uuid}/action", body, token=ADMIN, status=status)
    assert site.compute.calls[0][:3] == (method, ELSEWHERE, instance.uuid)


def test_it_is_shown_and_listed_where_it_is(site: Site) -> None:
    instance = site.running()
    update(site, instance, f"host = '{ELSEWHERE}', vm_state = 'error', power_state = 0")
    shown = site.get(f"/servers/{instance.uuid}", token=ADMIN)["server"]
    assert shown["OS-EXT-SRV-ATTR:host"] == ELSEWHERE
    assert (shown["status"], shown["OS-EXT-STS:vm_state"]) == ("ERROR", "error")
    listed = site.get(f"/servers/detail?all_tenants=1&host={ELSEWHERE}", token=ADMIN)["servers"]
    assert [server["id"] for server in listed] == [instance.uuid]


def test_states_that_nova_does_not_have_hide_no_server(site: Site) -> None:
    instance, other = site.running(), site.running()
    update(site, instance, "vm_state = 'shutoff', power_state = 5")
    servers = site.get("/servers/detail", token=ADMIN)["servers"]
    assert {server["id"]: server["status"] for server in servers} == {instance.uuid: "ERROR", other.uuid: "ACTIVE"}
    site.post(f"/servers/{instance.uuid}/action", {"reboot": {"type": "HARD"}}, token=ADMIN, status=202)
