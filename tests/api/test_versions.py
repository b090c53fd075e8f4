"""Each microversion: that its row in the table says what is true, one below it and at it; and how one is asked for."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from starlette.datastructures import Headers

from cloud.domain.flavor import Flavor
from cloud.errors import BadRequestError, NotAcceptableError
from cloud.services.api.versions import CHANGES, NEWEST, OLDEST, Version, asked_version
from tests.api.conftest import ADMIN, CIRROS, HOST, PROJECT, Site

NEW, OLD = "OpenStack-API-Version", "X-OpenStack-Nova-API-Version"


def _ask(site: Site, version: str, method: str, path: str, body: object = None) -> Any:
    return site.ask(method, f"/v2.1/{{T}}{path}", body, token=ADMIN, headers={OLD: version})


def _shown(site: Site, version: str) -> dict[str, Any]:
    """A running server, which is the same in a list and as a rebuild answers."""
    (server,) = site.get("/servers/detail", version, token=ADMIN)["servers"]
    assert site.get(f"/servers/{server['id']}", version, token=ADMIN)["server"] == server
    shown: dict[str, Any] = server
    return shown


def _key_appears(site: Site, before: str, since: str, *keys: str) -> dict[str, Any]:
    site.running()
    assert not set(keys) & _shown(site, before).keys()
    server = _shown(site, since)
    assert set(keys) <= server.keys()
    return server


def keypair_types(site: Site) -> None:
    old = _ask(site, "2.1", "POST", "/os-keypairs", {"keypair": {"name": "k1"}})
    assert (old.status_code, "type" in old.json()["keypair"]) == (200, False)
    assert _ask(site, "2.1", "POST", "/os-keypairs", {"keypair": {"name": "k2", "type": "x509"}}).status_code == 400
    new = _ask(site, "2.2", "POST", "/os-keypairs", {"keypair": {"name": "k2", "type": "x509"}})
    assert (new.status_code, new.json()["keypair"]["type"]) == (201, "x509")
    assert {"type" in pair["keypair"] for pair in site.get("/os-keypairs", "2.1", token=ADMIN)["keypairs"]} == {False}
    assert {"type" in pair["keypair"] for pair in site.get("/os-keypairs", "2.2", token=ADMIN)["keypairs"]} == {True}
    assert "type" not in site.get("/os-keypairs/k2", "2.1", token=ADMIN)["keypair"]
    assert site.get("/os-keypairs/k2", "2.2", token=ADMIN)["keypair"]["type"] == "x509"
    assert _ask(site, "2.1", "DELETE", "/os-keypairs/k1").status_code == 202
    assert _ask(site, "2.2", "DELETE", "/os-keypairs/k2").status_code == 204


def extended_attributes(site: Site) -> None:
    site.boot("Web 1", user_data="IyEvYmluL3No")
    names = ("reservation_id", "launch_index", "hostname", "root_device_name", "user_data", "kernel_id", "ramdisk_id")
    keys = {f"OS-EXT-SRV-ATTR:{name}" for name in names}
    assert not keys & _shown(site, "2.2").keys()
    server = _shown(site, "2.3")
    assert {key.partition(":")[2]: server[key] for key in keys} == {
        "reservation_id": site.parts.instances.get(server["id"]).reservation_id,
        "launch_index": 0,
        "hostname": "web-1",
        "root_device_name": "/dev/vda",
        "user_data": "IyEvYmluL3No",
        "kernel_id": "",
        "ramdisk_id": "",
    }
    assert not keys & site.get(f"/servers/{server['id']}", "2.3")["server"].keys()


def ip6_for_everybody(site: Site) -> None:
    site.running()
    for path in ("/servers", "/servers/detail"):
        assert len(site.get(f"{path}?ip6=fe80", "2.4")["servers"]) == 1
        assert site.get(f"{path}?ip6=fe80", "2.5")["servers"] == []
        assert site.get(f"{path}?ip6=fe80", "2.1", token=ADMIN)["servers"] == []


def access_to_public_flavors(site: Site) -> None:
    body = {"addTenantAccess": {"tenant": PROJECT}}
    assert _ask(site, "2.6", "POST", "/flavors/1/action", body).status_code == 200
    assert _ask(site, "2.7", "POST", "/flavors/2/action", body).status_code == 409
    site.parts.flavors.create(Flavor(0, "p", "private", 1, 1, 1, is_public=False))
    assert _ask(site, "2.7", "POST", "/flavors/p/action", body).status_code == 200


def locked(site: Site) -> None:
    assert _key_appears(site, "2.8", "2.9", "locked")["locked"] is False
    (instance,) = site.parts.instances.on_host(HOST)
    site.parts.instances.update(instance.uuid, {"locked_by": "owner"})
    assert _shown(site, "2.9")["locked"] is True
    path, rebuild = f"/servers/{instance.uuid}", {"rebuild": {"imageRef": CIRROS}}
    assert "locked" not in site.put(path, {"server": {"name": "a"}}, "2.8")["server"]
    assert site.put(path, {"server": {"name": "a"}}, "2.9")["server"]["locked"] is True
    assert site.post(f"{path}/action", rebuild, "2.9", token=ADMIN)["server"]["locked"] is True


def other_users_keypairs(site: Site) -> None:
    body = {"keypair": {"name": "k1", "user_id": "joecool"}}
    assert _ask(site, "2.9", "POST", "/os-keypairs", body).status_code == 400
    assert _ask(site, "2.10", "POST", "/os-keypairs", body).json()["keypair"]["user_id"] == "joecool"
    assert site.get("/os-keypairs?user_id=joecool", "2.9", token=ADMIN)["keypairs"] == []
    assert len(site.get("/os-keypairs?user_id=joecool", "2.10", token=ADMIN)["keypairs"]) == 1
    site.get("/os-keypairs?user_id=admin", "2.10", status=403)
    site.get("/os-keypairs/k1?user_id=joecool", "2.9", token=ADMIN, status=404)
    site.get("/os-keypairs/k1?user_id=joecool", "2.10", token=ADMIN)
    site.delete("/os-keypairs/k1?user_id=joecool", "2.9", token=ADMIN, status=404)
    site.delete("/os-keypairs/k1?user_id=joecool", "2.10", token=ADMIN)


def forced_down(site: Site) -> None:
    body = {"host": HOST, "binary": "nova-compute", "forced_down": True}
    assert _ask(site, "2.10", "PUT", "/os-services/force-down", body).status_code == 404
    assert "forced_down" not in site.get("/os-services", "2.10", token=ADMIN)["services"][0]
    assert site.get("/os-services", "2.11", token=ADMIN)["services"][0]["forced_down"] is False
    assert _ask(site, "2.11", "PUT", "/os-services/force-down", body).status_code == 200
    (service,) = site.get("/os-services", "2.11", token=ADMIN)["services"]
    assert (service["forced_down"], service["state"]) == (True, "down")


def host_status(site: Site) -> None:
    assert _key_appears(site, "2.15", "2.16", "host_status")["host_status"] == "UP"
    (instance,) = site.parts.instances.on_host(HOST)
    assert "host_status" not in site.get(f"/servers/{instance.uuid}", "2.16")["server"]
    site.parts.services.disable(HOST, "nova-compute", None)
    assert _shown(site, "2.16")["host_status"] == "MAINTENANCE"
    site.clock.advance(61)
    assert _shown(site, "2.16")["host_status"] == "DOWN"
    site.parts.instances.update(instance.uuid, {"host": "HostZ"})
    assert _shown(site, "2.16")["host_status"] == "UNKNOWN"
    site.parts.instances.update(instance.uuid, {"host": None})
    assert _shown(site, "2.16")["host_status"] == ""


def paths_without_project(site: Site) -> None:
    instance = site.boot()
    for version, status in (("2.17", 400), ("2.18", 200)):
        for path in ("/v2.1/servers", f"/v2.1/servers/{instance.uuid}", "/v2.1/flavors", "/v2.1/os-keypairs"):
            assert site.ask("GET", path, headers={OLD: version}).status_code == status
    server = site.ask("GET", f"/v2.1/servers/{instance.uuid}", headers={OLD: "2.18"}).json()["server"]
    assert server["links"] == [
        {"href": f"http://api:8774/v2.1/servers/{instance.uuid}", "rel": "self"},
        {"href": f"http://api:8774/servers/{instance.uuid}", "rel": "bookmark"},
    ]
    assert site.ask("GET", "/v2/servers").status_code == 400


def descriptions(site: Site) -> None:
    server = {"name": "vm1", "imageRef": CIRROS, "flavorRef": "1", "description": "web"}
    site.post("/servers", {"server": server}, "2.18", status=400)
    made = site.post("/servers", {"server": server}, "2.19")["server"]
    instance = site.run(site.parts.instances.get(made["id"]))
    assert "description" not in _shown(site, "2.18")
    assert _shown(site, "2.19")["description"] == "web"
    path, rebuild = f"/servers/{instance.uuid}", {"imageRef": CIRROS, "description": "db"}
    site.put(path, {"server": {"description": "x"}}, "2.18", status=400)
    assert site.put(path, {"server": {"description": ""}}, "2.19")["server"]["description"] == ""
    assert site.put(path, {"server": {"description": None}}, "2.19")["server"]["description"] is None
    site.put(path, {"server": {"description": "x" * 256}}, "2.19", status=400)
    site.post(f"{path}/action", {"rebuild": rebuild}, "2.18", status=400)
    assert site.post(f"{path}/action", {"rebuild": rebuild}, "2.19")["server"]["description"] == "db"
    assert "description" not in site.get(path)["server"]


def actions_of_deleted_servers(site: Site) -> None:
    instance = site.boot()
    (action,) = site.parts.actions.list(instance.uuid)
    site.parts.instances.delete(instance.uuid)
    for path in ("", f"/{action.request_id}"):
        site.get(f"/servers/{instance.uuid}/os-instance-actions{path}", "2.20", status=404)
        site.get(f"/servers/{instance.uuid}/os-instance-actions{path}", "2.21")


def tags(site: Site) -> None:
    assert _key_appears(site, "2.25", "2.26", "tags")["tags"] == []
    (instance,) = site.parts.instances.on_host(HOST)
    path = f"/servers/{instance.uuid}/tags"
    site.get(path, "2.25", status=404)
    site.put(path, {"tags": ["a"]}, "2.25", status=404)
    site.delete(path, "2.25", status=404)
    site.get(f"{path}/a", "2.25", status=404)
    site.put(f"{path}/a", None, "2.25", status=404)
    site.delete(f"{path}/a", "2.25", status=404)
    site.put(path, {"tags": ["a"]}, "2.26")
    site.get(f"{path}/a", "2.26", status=204)
    site.put(f"{path}/b", None, "2.26", status=201)
    site.delete(f"{path}/b", "2.26")
    for listed in ("/servers", "/servers/detail"):
        assert len(site.get(f"{listed}?not-tags=a", "2.25")["servers"]) == 1
        assert site.get(f"{listed}?not-tags=a", "2.26")["servers"] == []
    rebuild = {"rebuild": {"imageRef": CIRROS}}
    assert site.post(f"/servers/{instance.uuid}/action", rebuild, "2.26")["server"]["tags"] == ["a"]
    site.delete(path, "2.26")
    assert site.get(path, "2.26") == {"tags": []}


def the_new_header(site: Site) -> None:
    answer = site.ask("GET", "/v2.1/{T}/servers", headers={NEW: "compute 2.27"})
    assert (answer.headers[NEW], answer.headers[OLD]) == ("compute 2.27", "2.27")


def cpu_info(site: Site) -> None:
    for path in ("/os-hypervisors/detail", "/os-hypervisors/1"):
        for version, expected in (("2.27", '{"arch": "x86_64"}'), ("2.28", {"arch": "x86_64"})):
            answer = site.get(path, version, token=ADMIN)
            shown = answer["hypervisor"] if "hypervisor" in answer else answer["hypervisors"][0]
            assert shown["cpu_info"] == expected


def evacuation(site: Site, version: str, body: Mapping[str, object], status: int = 200) -> Any:
    """What it is answered with, and the request that a conductor has got."""
    instance = site.running()
    path = f"/servers/{instance.uuid}/action"
    answer = site.post(path, {"evacuate": body}, version, token=ADMIN, status=status)
    return answer, [request for _, request in site.moves() if request.instance_uuid == instance.uuid]


def evacuation_finds_out_about_storage(site: Site) -> None:
    site.report("HostC")
    site.down()
    old, new = {"host": "HostC", "onSharedStorage": False, "adminPass": "pw"}, {"host": "HostC", "adminPass": "pw"}
    evacuation(site, "2.13", new, 400)
    assert evacuation(site, "2.13", old)[0] == {"adminPass": "pw"}
    evacuation(site, "2.14", old, 400)
    assert evacuation(site, "2.14", new)[0] is None


def evacuation_asks_the_scheduler(site: Site) -> None:
    site.report("HostC")
    site.down()
    evacuation(site, "2.28", {"host": "HostC", "force": True}, 400)
    for version, force, expected in (
        ("2.28", {}, ("HostC", None)),
        ("2.29", {}, (None, "HostC")),
        ("2.29", {"force": True}, ("HostC", None)),
    ):
        _, (request,) = evacuation(site, version, {"host": "HostC", **force})
        assert (request.forced_host, request.requested_host) == expected


def _live_migration(site: Site) -> tuple[str, str]:
    """The server, and the address, of one that runs."""
    instance = site.running(task_state="migrating")
    migration = site.migrating(instance, status="running", dest_compute="HostC")
    return instance.uuid, f"/servers/{instance.uuid}/migrations/{migration.id}"


def forced_completion(site: Site) -> None:
    _, path = _live_migration(site)
    site.post(f"{path}/action", {"force_complete": None}, "2.21", token=ADMIN, status=404)
    site.post(f"{path}/action", {"force_complete": None}, "2.22", token=ADMIN)


def migrations_that_run(site: Site) -> None:
    uuid, path = _live_migration(site)
    for address in (f"/servers/{uuid}/migrations", path):
        site.get(address, "2.22", token=ADMIN, status=404)
        site.get(address, "2.23", token=ADMIN)
    for version, has_them in (("2.22", False), ("2.23", True)):
        (migration,) = site.get("/os-migrations", version, token=ADMIN)["migrations"]
        assert {key in migration for key in ("migration_type", "links")} == {has_them}


def calling_off(site: Site) -> None:
    _, path = _live_migration(site)
    site.delete(path, "2.23", token=ADMIN, status=404)
    site.delete(path, "2.24", token=ADMIN, status=202)


def live_migration(site: Site, version: str, body: Mapping[str, object], status: int = 202) -> Any:
    """The request that a conductor has got."""
    instance = site.running()
    path = f"/servers/{instance.uuid}/action"
    site.post(path, {"os-migrateLive": body}, version, token=ADMIN, status=status)
    return [request for _, request in site.moves() if request.instance_uuid == instance.uuid]


def block_migration_by_itself(site: Site) -> None:
    old, new = {"block_migration": False, "disk_over_commit": False}, {"block_migration": "auto"}
    live_migration(site, "2.24", {"host": None, **new}, 400)
    live_migration(site, "2.24", {"host": None, **old})
    live_migration(site, "2.25", {"host": None, **old}, 400)
    live_migration(site, "2.25", {"host": None, **new})


def live_migration_asks_the_scheduler(site: Site) -> None:
    site.report("HostC")
    body = {"host": "HostC", "block_migration": "auto"}
    live_migration(site, "2.29", {**body, "force": True}, 400)
    for version, force, expected in (
        ("2.29", {}, ("HostC", None)),
        ("2.30", {}, (None, "HostC")),
        ("2.30", {"force": True}, ("HostC", None)),
    ):
        (request,) = live_migration(site, version, {**body, **force})
        assert (request.forced_host, request.requested_host) == expected


CHECKS: dict[str, Callable[[Site], None]] = {
    "2.2": keypair_types,
    "2.3": extended_attributes,
    "2.5": ip6_for_everybody,
    "2.7": access_to_public_flavors,
    "2.9": locked,
    "2.10": other_users_keypairs,
    "2.11": forced_down,
    "2.14": evacuation_finds_out_about_storage,
    "2.16": host_status,
    "2.18": paths_without_project,
    "2.19": descriptions,
    "2.21": actions_of_deleted_servers,
    "2.22": forced_completion,
    "2.23": migrations_that_run,
    "2.24": calling_off,
    "2.25": block_migration_by_itself,
    "2.26": tags,
    "2.27": the_new_header,
    "2.28": cpu_info,
    "2.29": evacuation_asks_the_scheduler,
    "2.30": live_migration_asks_the_scheduler,
}


@pytest.mark.parametrize("version", CHECKS)
def test_a_version_changes_what_its_row_says(site: Site, version: str) -> None:
    CHECKS[version](site)


def test_there_is_a_row_for_each_version_and_a_check_for_each_that_changes_a_call_we_serve() -> None:
    assert [str(version) for version in CHANGES] == [f"2.{minor}" for minor in range(2, 31)]
    assert {str(version) for version, change in CHANGES.items() if change.calls} == CHECKS.keys()
    assert all(change.what for change in CHANGES.values())


def test_each_call_of_the_table_is_one_that_we_serve(site: Site) -> None:
    document = site.ask("GET", "/v2.1/{T}/openapi.json").json()
    served = {
        f"{method.upper()} {'/'.join('{}' if '{' in part else part for part in path.split('/'))}"
        for path, methods in document["paths"].items()
        for method in methods
    }
    for change in CHANGES.values():
        for call in change.calls:
            method, _, path = call.partition(" ")
            path = path.partition(" ")[0]
            plain = "/".join("{}" if "{" in part else part for part in path.split("/"))
            assert call == "every call" or f"{method} {plain}" in served, call


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ({}, "2.1"),
        ({OLD: "2.1"}, "2.1"),
        ({OLD: "2.30"}, "2.30"),
        ({OLD: "latest"}, "2.30"),
        ({NEW: "compute 2.5"}, "2.5"),
        ({NEW: "compute latest"}, "2.30"),
        ({NEW: "volume 3.0, compute 2.7"}, "2.7"),
        ({NEW: "volume 3.0"}, "2.1"),
        ({NEW: "compute 2.5", OLD: "2.9"}, "2.5"),
    ],
)
def test_a_version_is_asked_for_by_either_header(headers: dict[str, str], version: str) -> None:
    assert str(asked_version(Headers(headers))) == version


@pytest.mark.parametrize("text", ["2.31", "2.0", "1.1", "3.0", "2.9999"])
@pytest.mark.parametrize("header", [OLD, NEW])
def test_beyond_the_range_it_is_406(site: Site, header: str, text: str) -> None:
    answer = site.ask("GET", "/v2.1/{T}/servers", headers={header: text if header == OLD else f"compute {text}"})
    assert answer.status_code == 406
    assert answer.json() == {
        "computeFault": {
            "message": f"version {text} is not supported by the API; the oldest is 2.1, the newest 2.30",
            "code": 406,
        }
    }


@pytest.mark.parametrize("text", ["", "2", "2.", "2.x", "v2.1", "2.01", "02.1", "-2.1", "2.1.1", "9" * 30 + ".1"])
def test_what_is_no_version_is_400(site: Site, text: str) -> None:
    answer = site.ask("GET", "/v2.1/{T}/servers", headers={OLD: text})
    assert answer.status_code == 400
    assert answer.json()["badRequest"]["code"] == 400


def test_v2_knows_no_versions_and_says_none(site: Site) -> None:
    answer = site.ask("GET", "/v2/{T}/servers", headers={OLD: "2.99"})
    assert answer.status_code == 200
    assert OLD not in answer.headers
    assert "vary" not in answer.headers


@pytest.mark.parametrize("path", ["/servers", "/servers/none"])
def test_every_answer_of_v2_1_says_its_version(site: Site, path: str) -> None:
    answer = site.ask("GET", f"/v2.1/{{T}}{path}", headers={OLD: "2.9"})
    assert answer.headers[OLD] == "2.9"
    assert answer.headers[NEW] == "compute 2.9"
    assert answer.headers["vary"] == f"{NEW}, {OLD}"


def test_versions_are_ordered_by_number_not_by_text() -> None:
    assert OLDEST < Version(2, 9) < Version(2, 10) < NEWEST


def test_errors_of_versions_have_classes_of_their_own() -> None:
    with pytest.raises(NotAcceptableError):
        asked_version(Headers({OLD: "2.31"}))
    with pytest.raises(BadRequestError):
        asked_version(Headers({OLD: "two"}))
