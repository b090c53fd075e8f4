"""One server as each kind of caller sees it."""

import pytest

from cloud.domain.instance import TaskState, VmState
from cloud.domain.system_metadata import description_of, tags_of, with_tags
from tests.api.conftest import ADMIN, CIRROS, HOST, OTHER, PROJECT, Site


def test_a_new_server_reads_as_the_clients_of_2014_expect(site: Site) -> None:
    instance = site.boot(metadata={"role": "web"}, config_drive=True, accessIPv4="192.0.2.7")
    base = "http://api:8774"
    assert site.get(f"/servers/{instance.uuid}")["server"] == {
        "id": instance.uuid,
        "name": "vm1",
        "status": "BUILD",
        "progress": 0,
        "tenant_id": PROJECT,
        "user_id": "joecool",
        "metadata": {"role": "web"},
        "hostId": "",
        "image": {"id": CIRROS, "links": [{"rel": "bookmark", "href": f"{base}/{PROJECT}/images/{CIRROS}"}]},
        "flavor": {"id": "1", "links": [{"rel": "bookmark", "href": f"{base}/{PROJECT}/flavors/1"}]},
        "created": "2014-10-16T12:00:00Z",
        "updated": "2014-10-16T12:00:00Z",
        "addresses": {},
        "accessIPv4": "192.0.2.7",
        "accessIPv6": "",
        "links": [
            {"href": f"{base}/v2/{PROJECT}/servers/{instance.uuid}", "rel": "self"},
            {"href": f"{base}/{PROJECT}/servers/{instance.uuid}", "rel": "bookmark"},
        ],
        "key_name": None,
        "config_drive": "True",
        "security_groups": [{"name": "default"}],
        "OS-DCF:diskConfig": "MANUAL",
        "OS-EXT-AZ:availability_zone": "",
        "OS-EXT-STS:task_state": "scheduling",
        "OS-EXT-STS:vm_state": "building",
        "OS-EXT-STS:power_state": 0,
        "OS-SRV-USG:launched_at": None,
        "OS-SRV-USG:terminated_at": None,
        "os-extended-volumes:volumes_attached": [],
    }


def test_a_running_server_has_its_address_its_zone_and_a_host_id(site: Site) -> None:
    instance = site.running()
    (fixed_ip,) = site.parts.fixed_ips.of([instance.uuid])[instance.uuid]
    server = site.get(f"/servers/{instance.uuid}")["server"]
    assert server["status"] == "ACTIVE"
    assert server["addresses"] == {
        "private": [
            {"version": 4, "addr": "10.0.0.2", "OS-EXT-IPS:type": "fixed", "OS-EXT-IPS-MAC:mac_addr": fixed_ip.mac}
        ]
    }
    assert server["OS-EXT-AZ:availability_zone"] == "nova"
    assert server["OS-SRV-USG:launched_at"] == "2014-10-16T12:00:01.000000"
    assert server["hostId"] == "47235c58a297f88409574b5cac096832c35f5524f00302df226c4b08"  # sha224 of project and host


def test_a_zone_is_that_of_the_hosts_aggregate(site: Site) -> None:
    aggregate = site.parts.aggregates.create("rack", "north")
    site.parts.aggregates.add_host(aggregate.id, HOST)
    instance = site.running()
    assert site.get(f"/servers/{instance.uuid}")["server"]["OS-EXT-AZ:availability_zone"] == "north"


def test_only_admins_see_where_a_server_runs(site: Site) -> None:
    instance = site.running()
    for path in (f"/servers/{instance.uuid}", "/servers/detail"):
        of_member, of_admin = site.get(path), site.get(path, token=ADMIN)
        seen = of_admin["server"] if "server" in of_admin else of_admin["servers"][0]
        assert seen["OS-EXT-SRV-ATTR:host"] == "HostB"
        assert seen["OS-EXT-SRV-ATTR:hypervisor_hostname"] == "HostB.example.org"
        assert seen["OS-EXT-SRV-ATTR:instance_name"] == "instance-00000001"
        assert HOST not in str(of_member)


def test_a_server_in_error_says_why_and_details_are_for_admins(site: Site) -> None:
    instance = site.running(vm_state=VmState.ERROR)
    site.parts.instances.add_fault(instance.uuid, 500, "No valid host was found", "a traceback", "HostB")
    fault = {"code": 500, "created": "2014-10-16T12:00:01Z", "message": "No valid host was found"}
    server = site.get(f"/servers/{instance.uuid}")["server"]
    assert server["fault"] == fault
    assert "progress" not in server
    assert site.get(f"/servers/{instance.uuid}", token=ADMIN)["server"]["fault"] == {**fault, "details": "a traceback"}
    assert site.get("/servers/detail")["servers"][0]["fault"] == fault


def test_a_server_that_is_well_shows_no_old_fault(site: Site) -> None:
    instance = site.running()
    site.parts.instances.add_fault(instance.uuid, 500, "past", None, None)
    assert "fault" not in site.get(f"/servers/{instance.uuid}")["server"]


@pytest.mark.parametrize("version", [None, "2.1", "2.30"])
def test_another_projects_server_is_not_there(site: Site, version: str | None) -> None:
    instance = site.running()
    path = f"/servers/{instance.uuid}"
    site.get(path, version, token=OTHER, status=404)
    site.put(path, {"server": {"name": "mine"}}, version, token=OTHER, status=404)
    site.delete(path, version, token=OTHER, status=404)
    site.post(f"{path}/action", {"reboot": {"type": "HARD"}}, version, token=OTHER, status=404)
    site.post(f"{path}/action", {"os-resetState": {"state": "error"}}, version, token=OTHER, status=404)
    site.get(f"{path}/metadata", version, token=OTHER, status=404)
    site.put(f"{path}/metadata", {"metadata": {"a": "b"}}, version, token=OTHER, status=404)
    site.get(f"{path}/ips", version, token=OTHER, status=404)
    assert site.parts.instances.get(instance.uuid) == instance
    assert site.compute.calls == []


def test_an_admin_sees_every_projects_server(site: Site) -> None:
    instance = site.boot(token=OTHER)
    assert site.get(f"/servers/{instance.uuid}", token=ADMIN)["server"]["user_id"] == "jane"


def test_a_deleted_server_is_gone(site: Site) -> None:
    instance = site.boot()
    site.delete(f"/servers/{instance.uuid}")
    site.get(f"/servers/{instance.uuid}", status=404)


def test_addresses_are_listed_by_network(site: Site) -> None:
    instance = site.running()
    addresses = [{"version": 4, "addr": "10.0.0.2"}]
    assert site.get(f"/servers/{instance.uuid}/ips") == {"addresses": {"private": addresses}}
    assert site.get(f"/servers/{instance.uuid}/ips/private") == {"private": addresses}
    site.get(f"/servers/{instance.uuid}/ips/public", status=404)


def test_what_is_sent_is_changed_and_nothing_else(site: Site) -> None:
    instance = site.running(task_state=TaskState.REBOOTING)
    path = f"/servers/{instance.uuid}"
    server = site.put(path, {"server": {"name": "vm2"}})["server"]
    assert (server["name"], server["status"], server["accessIPv4"]) == ("vm2", "REBOOT", "")
    server = site.put(path, {"server": {"accessIPv4": "192.0.2.9", "accessIPv6": "2001:DB8::1"}})["server"]
    assert (server["name"], server["accessIPv4"], server["accessIPv6"]) == ("vm2", "192.0.2.9", "2001:db8::1")
    server = site.put(path, {"server": {"accessIPv4": "", "OS-DCF:diskConfig": "AUTO"}})["server"]
    assert (server["accessIPv4"], server["accessIPv6"], server["OS-DCF:diskConfig"]) == ("", "2001:db8::1", "AUTO")


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": " "},
        {"name": "x" * 256},
        {"name": 7},
        {"name": "a\tb"},
        {"accessIPv4": "192.0.2"},
        {"accessIPv6": "192.0.2.1"},
        {"OS-DCF:diskConfig": "SOMETIMES"},
    ],
)
@pytest.mark.parametrize("version", [None, "2.1"])
def test_a_change_that_is_none_is_400(site: Site, version: str | None, change: dict[str, object]) -> None:
    instance = site.boot()
    site.put(f"/servers/{instance.uuid}", {"server": change}, version, status=400)
    assert site.parts.instances.get(instance.uuid) == instance


def test_an_unknown_key_is_refused_since_2_1_and_passed_over_before(site: Site) -> None:
    instance = site.boot()
    body = {"server": {"name": "vm2", "colour": "red"}}
    site.put(f"/servers/{instance.uuid}", body, "2.1", status=400)
    site.put(f"/servers/{instance.uuid}", {**body, "more": 1}, None)
    assert site.parts.instances.get(instance.uuid).display_name == "vm2"


def test_white_space_around_a_name_is_stripped_in_2014s_api_and_refused_since_2_1(site: Site) -> None:
    instance = site.boot()
    assert site.put(f"/servers/{instance.uuid}", {"server": {"name": " vm2 "}})["server"]["name"] == "vm2"
    site.put(f"/servers/{instance.uuid}", {"server": {"name": " vm3 "}}, "2.1", status=400)


def test_a_change_keeps_the_tags_that_others_set_at_the_same_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    instance = site.running()
    site.meanwhile(monkeypatch, lambda now: {"system_metadata": with_tags(now.system_metadata, ["theirs"])})
    site.put(f"/servers/{instance.uuid}", {"server": {"description": "web"}}, "2.19")
    now = site.parts.instances.get(instance.uuid)
    assert (description_of(now), tags_of(now)) == ("web", ("theirs",))
