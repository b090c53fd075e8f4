"""POST /servers: what becomes of what is asked for, and what is refused."""

import base64
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from cloud.db.actions import ActionTable
from cloud.db.instances import InstanceTable, NewInstance
from cloud.db.quotas import QuotaLimits
from cloud.domain.flavor import Flavor
from cloud.domain.instance import Instance, TaskState, VmState
from cloud.domain.keypair import NewKeypair
from cloud.domain.system_metadata import with_files
from cloud.errors import DatabaseUnavailableError, ImageUnavailableError
from cloud.rpc.errors import BusUnavailableError
from tests.api.conftest import ADMIN, CIRROS, HOST, OTHER, OTHER_PROJECT, PROJECT, Site, image

SERVER = {"name": "vm1", "imageRef": CIRROS, "flavorRef": "1"}
SCRIPT = base64.b64encode(b"#!/bin/sh\n").decode()


def refused(site: Site, server: dict[str, object], version: str | None = "2.1", **more: object) -> str:
    """The message of a 400, after which there is nothing."""
    answer = site.post("/servers", {"server": {**SERVER, **server}, **more}, version, status=400)
    assert site.get("/servers?all_tenants=1", token=ADMIN) == {"servers": []}
    assert site.conductor.builds == []
    message: str = answer["badRequest"]["message"]
    return message


def test_a_server_is_entered_and_handed_to_a_conductor(site: Site) -> None:
    answer = site.ask("POST", "/v2/{T}/servers", {"server": {**SERVER, "min_count": 1, "max_count": 1}})
    assert answer.status_code == 202
    made = answer.json()["server"]
    assert set(made) == {"id", "links", "adminPass", "OS-DCF:diskConfig", "security_groups"}
    assert answer.headers["location"] == f"http://api:8774/v2/{PROJECT}/servers/{made['id']}"
    assert len(made["adminPass"]) == 12
    instance = site.parts.instances.get(made["id"])
    assert (instance.vm_state, instance.task_state) == (VmState.BUILDING, TaskState.SCHEDULING)
    assert (instance.project_id, instance.user_id, instance.display_name) == (PROJECT, "joecool", "vm1")
    assert instance.flavor.name == "m1.tiny"
    (build,) = site.conductor.builds
    assert (build.instance_uuid, build.project_id, build.image_id) == (instance.uuid, PROJECT, CIRROS)
    assert build.flavor == instance.flavor
    assert build.image_properties == {"architecture": "x86_64"}
    assert (build.availability_zone, build.forced_host, build.hints) == (None, None, {})
    (action,) = site.parts.actions.list(instance.uuid)
    assert (action.action, action.request_id) == ("create", answer.headers["x-compute-request-id"])


def test_everything_that_is_said_of_a_server_is_kept(site: Site) -> None:
    site.parts.keypairs.create(NewKeypair("joecool", "k1", "ssh", "aa:bb", "ssh-rsa AAAA k1"))
    instance = site.boot(
        key_name="k1",
        user_data=SCRIPT,
        metadata={"role": "web"},
        config_drive="true",
        accessIPv4="192.0.2.7",
        accessIPv6="2001:db8::7",
        security_groups=[{"name": "default"}],
        networks=[],
        adminPass="secret",
        personality=[{"path": "/etc/motd", "contents": SCRIPT}],
        **{"OS-DCF:diskConfig": "AUTO"},
    )
    assert (instance.key_name, instance.key_data) == ("k1", "ssh-rsa AAAA k1")
    assert (instance.user_data, instance.metadata, instance.has_config_drive) == (SCRIPT, {"role": "web"}, True)
    assert (instance.access_ip_v4, instance.access_ip_v6) == ("192.0.2.7", "2001:db8::7")
    assert instance.system_metadata == {
        "disk_config": "AUTO",
        "image_architecture": "x86_64",
        "image_min_disk": "0",
        "image_min_ram": "0",
        "image_disk_format": "qcow2",
        "image_container_format": "bare",
        "injected_files": f'{{"/etc/motd": "{SCRIPT}"}}',
    }


def test_the_password_that_was_asked_for_is_given_back(site: Site) -> None:
    made = site.post("/servers", {"server": {**SERVER, "adminPass": "MySecretPass"}})["server"]
    assert made["adminPass"] == "MySecretPass"


def test_passwords_that_are_made_differ(site: Site) -> None:
    passwords = {site.post("/servers", {"server": SERVER})["server"]["adminPass"] for _ in range(3)}
    assert len(passwords) == 3


def test_the_disk_as_openstackclient_names_it(site: Site) -> None:
    device = {
        "uuid": CIRROS,
        "boot_index": 0,
        "source_type": "image",
        "destination_type": "local",
        "delete_on_termination": True,
    }
    body = {"server": {**SERVER, "networks": [], "min_count": 1, "max_count": 1, "block_device_mapping_v2": [device]}}
    made = site.post("/servers", body, "2.1")["server"]
    assert site.parts.instances.get(made["id"]).image_id == CIRROS
    del body["server"]["imageRef"]
    made = site.post("/servers", body, "2.1")["server"]
    assert site.parts.instances.get(made["id"]).image_id == CIRROS


@pytest.mark.parametrize(
    "device",
    [
        {"source_type": "volume", "destination_type": "volume", "uuid": CIRROS, "boot_index": 0},
        {"source_type": "image", "destination_type": "volume", "uuid": CIRROS, "boot_index": 0},
        {"source_type": "blank", "destination_type": "local", "boot_index": -1, "volume_size": 1},
        {
            "source_type": "image",
            "destination_type": "local",
            "uuid": "12345678-70c4-4fed-98b7-423362f2c47c",
            "boot_index": 0,
        },
        {"source_type": "image", "destination_type": "local", "uuid": "x", "boot_index": 0},
        {"source_type": "image", "destination_type": "local", "boot_index": 0},
        {"source_type": "nonsense"},
    ],
)
def test_other_disks_are_refused(site: Site, device: dict[str, object]) -> None:
    refused(site, {"block_device_mapping_v2": [device]})


def test_disks_of_the_first_form_are_refused(site: Site) -> None:
    refused(site, {"block_device_mapping": [{"volume_id": CIRROS, "device_name": "vda"}]})


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": None},
        {"name": "x" * 256},
        {"name": "a\nb"},
        {"flavorRef": "99"},
        {"flavorRef": None},
        {"flavorRef": ""},
        {"flavorRef": {"id": 1}},
        {"imageRef": "cirros"},
        {"imageRef": ""},
        {"imageRef": 7},
        {"imageRef": "d1df1b5a-70c4-4fed-98b7-423362f2c47c"},
        {"min_count": 0},
        {"min_count": -1},
        {"min_count": "x"},
        {"min_count": 1.5},
        {"min_count": True},
        {"min_count": 2, "max_count": 1},
        {"max_count": 10**30},
        {"key_name": "nothing"},
        {"key_name": ""},
        {"availability_zone": "atlantis"},
        {"metadata": {"": "x"}},
        {"metadata": {"k": "x" * 256}},
        {"metadata": {"k" * 256: "x"}},
        {"metadata": {"k": 1}},
        {"metadata": [1]},
        {"user_data": "not base64!"},
        {"user_data": "A" * 70000},
        {"config_drive": "perhaps"},
        {"accessIPv4": "2001:db8::7"},
        {"accessIPv6": "192.0.2.7"},
        {"networks": [{"uuid": "d1df1b5a-70c4-4fed-98b7-423362f2c47c"}]},
        {"networks": [{"port": "d1df1b5a-70c4-4fed-98b7-423362f2c47c"}]},
        {"networks": "auto"},
        {"networks": "none"},
        {"security_groups": [{"name": "other"}]},
        {"security_groups": "default"},
        {"personality": [{"path": "/etc/motd", "contents": "%"}]},
        {"personality": [{"path": "/etc/motd"}]},
        {"adminPass": 1},
        {"OS-DCF:diskConfig": "never"},
        {"return_reservation_id": "perhaps"},
    ],
)
@pytest.mark.parametrize("version", [None, "2.1"])
def test_what_makes_no_sense_is_400(site: Site, version: str | None, change: dict[str, object]) -> None:
    assert refused(site, change, version)


@pytest.mark.parametrize("missing", ["name", "imageRef", "flavorRef"])
def test_what_is_missing_is_400(site: Site, missing: str) -> None:
    server = {key: value for key, value in SERVER.items() if key != missing}
    site.post("/servers", {"server": server}, status=400)
    site.post("/servers", {"server": server}, "2.1", status=400)


@pytest.mark.parametrize("body", [{"colour": 1}, {"personality": [{"path": "/a", "contents": "", "mode": "755"}]}])
def test_unknown_keys_are_refused_since_2_1_only(site: Site, body: dict[str, object]) -> None:
    assert "Extra inputs" in refused(site, body)
    site.post("/servers", {"server": {**SERVER, **body}, "top": 1})


def test_references_may_be_addresses(site: Site) -> None:
    instance = site.boot(
        imageRef=f"http://api:8774/{PROJECT}/images/{CIRROS}", flavorRef=f"http://api:8774/{PROJECT}/flavors/2"
    )
    assert (instance.image_id, instance.flavor.flavorid) == (CIRROS, "2")
    assert site.boot(flavorRef=1).flavor.flavorid == "1"


def test_an_image_that_is_not_there_or_not_ready_is_400(site: Site) -> None:
    site.images.images[CIRROS] = image(CIRROS, status="queued", size=None)
    assert refused(site, {}) == f"cannot use image {CIRROS}: it is queued, not active"
    del site.images.images[CIRROS]
    assert refused(site, {}) == f"cannot use image {CIRROS}: there is none"


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"min_ram_mb": 1024}, "it needs 1024 MiB of memory, the flavor has 512"),
        ({"min_disk_gb": 2}, "it needs 2 GiB of disk, the flavor has 1"),
        ({"size": (1 << 30) + 1}, "it needs 2 GiB of disk, the flavor has 1"),
    ],
)
def test_a_flavor_that_is_too_small_for_the_image_is_400(site: Site, changes: dict[str, int], cause: str) -> None:
    site.images.images[CIRROS] = image(CIRROS, **changes)
    assert refused(site, {}) == f"cannot use image {CIRROS}: {cause}"


def test_a_flavor_without_root_disk_takes_any_size(site: Site) -> None:
    site.parts.flavors.create(Flavor(0, "z", "m1.zero", 512, 1, 0))
    site.images.images[CIRROS] = image(CIRROS, size=1 << 40, min_disk_gb=10)
    assert site.boot(flavorRef="z").flavor.root_gb == 0


def test_the_image_service_is_asked_as_whoever_asks_us(site: Site) -> None:
    site.boot()
    assert site.images.tokens == ["member"]


def test_without_the_image_service_nothing_is_made(site: Site) -> None:
    site.images.error = ImageUnavailableError("cannot ask the image service")
    answer = site.post("/servers", {"server": SERVER}, status=503)
    assert answer["serviceUnavailable"]["code"] == 503
    assert site.get("/servers") == {"servers": []}


def test_a_private_flavor_is_for_whom_it_was_given(site: Site) -> None:
    site.parts.flavors.create(Flavor(0, "p", "m1.private", 512, 1, 1, is_public=False))
    assert refused(site, {"flavorRef": "p"}) == "cannot use flavor p: there is none"
    site.parts.flavors.add_access("p", PROJECT)
    assert site.boot(flavorRef="p").flavor.name == "m1.private"
    site.post("/servers", {"server": {**SERVER, "flavorRef": "p"}}, token=OTHER, status=400)


def test_keys_are_the_users_own(site: Site) -> None:
    site.parts.keypairs.create(NewKeypair("jane", "k1", "ssh", "aa:bb", "ssh-rsa AAAA"))
    assert refused(site, {"key_name": "k1"}) == "cannot use key pair k1: there is none"


def test_an_admin_names_the_host(site: Site) -> None:
    site.boot(token=ADMIN, availability_zone="nova:HostZ")
    site.boot(token=ADMIN, availability_zone="nova:HostZ:node7")
    site.boot(token=ADMIN, availability_zone=":HostZ")
    assert [(build.availability_zone, build.forced_host) for build in site.conductor.builds] == [
        ("nova", "HostZ"),
        ("nova", "HostZ"),
        (None, "HostZ"),
    ]
    site.post("/servers", {"server": {**SERVER, "availability_zone": "nova:"}}, token=ADMIN, status=400)
    site.post("/servers", {"server": {**SERVER, "availability_zone": "nova:HostZ"}}, status=403)


def test_a_zone_is_one_with_an_enabled_host(site: Site) -> None:
    instance = site.boot(availability_zone="nova")
    assert instance.availability_zone == "nova"
    assert site.get(f"/servers/{instance.uuid}")["server"]["OS-EXT-AZ:availability_zone"] == "nova"
    site.parts.services.disable(HOST, "nova-compute", None)
    site.post("/servers", {"server": {**SERVER, "availability_zone": "nova"}}, status=400)


def test_hints_name_servers_that_the_caller_sees(site: Site) -> None:
    mine, others = site.boot(), site.boot(token=OTHER)
    hints = {"same_host": mine.uuid, "different_host": [mine.uuid]}
    for name in ("os:scheduler_hints", "OS-SCH-HNT:scheduler_hints"):
        site.post("/servers", {"server": SERVER, name: hints}, "2.1")
        assert site.conductor.builds[-1].hints == {"same_host": [mine.uuid], "different_host": [mine.uuid]}
    for hint in ({"same_host": others.uuid}, {"different_host": "x"}, {"group": "g"}, {"same_host": 5}):
        site.post("/servers", {"server": SERVER, "os:scheduler_hints": hint}, "2.1", status=400)


def test_several_are_numbered_and_share_a_reservation(site: Site) -> None:
    answer = site.post(
        "/servers", {"server": {**SERVER, "min_count": "2", "max_count": 3, "return_reservation_id": True}}
    )
    (reservation_id,) = answer.values()
    assert list(answer) == ["reservation_id"]
    found = site.get(f"/servers?reservation_id={reservation_id}&sort_key=launch_index&sort_dir=asc")["servers"]
    assert [server["name"] for server in found] == ["vm1-1", "vm1-2", "vm1-3"]
    assert [build.instance_uuid for build in site.conductor.builds] == [server["id"] for server in found]


def test_as_many_are_made_as_the_quota_allows_between_least_and_most(site: Site) -> None:
    site.parts.quotas.set(PROJECT, {"instances": 3})
    site.post("/servers", {"server": {**SERVER, "min_count": 2, "max_count": 10}})
    assert len(site.conductor.builds) == 3
    site.post("/servers", {"server": SERVER}, status=413)


def test_no_more_instances_are_prepared_than_the_quota_takes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []
    serialised: list[int] = []
    create = InstanceTable.create

    def counted(table: InstanceTable, new: Sequence[NewInstance], quota: QuotaLimits) -> tuple[Instance, ...]:
        tried.append(len(new))
        return create(table, new, quota)

    def counted_files(values: Mapping[str, str], files: Mapping[str, str]) -> dict[str, str]:
        serialised.append(len(files))
        return with_files(values, files)

    monkeypatch.setattr(InstanceTable, "create", counted)
    monkeypatch.setattr("cloud.services.api.boot.with_files", counted_files)
    site.parts.quotas.set(PROJECT, {"instances": 4})
    site.boot()
    many = {**SERVER, "max_count": 1000, "personality": [{"path": "/a", "contents": SCRIPT}]}
    site.post("/servers", {"server": many})
    site.post("/servers", {"server": {**many, "min_count": 2}}, status=413)
    site.parts.quotas.set(PROJECT, {"instances": -1, "cores": -1, "ram": -1})
    site.post("/servers", {"server": {**many, "max_count": 5}})
    assert tried == [1, 3, 2, 5]
    assert serialised == [0, 1, 1, 1]


def test_a_flavor_without_cores_is_refused_too_where_the_cores_are_used_up(site: Site) -> None:
    site.parts.flavors.create(Flavor(0, "z", "m0", 0, 0, 1))
    site.boot()
    site.parts.quotas.set(PROJECT, {"instances": -1, "cores": 0, "ram": -1})
    site.post("/servers", {"server": {**SERVER, "flavorRef": "z", "max_count": 2}}, status=413)


@pytest.mark.parametrize("resource", ["instances", "cores", "ram"])
def test_beyond_the_quota_is_413_in_2014s_api_and_403_since_2_1(site: Site, resource: str) -> None:
    site.parts.quotas.set(PROJECT, {resource: 0})
    answer = site.ask("POST", "/v2/{T}/servers", {"server": SERVER})
    assert (answer.status_code, answer.headers["retry-after"]) == (413, "0")
    assert answer.json()["overLimit"] == {
        "message": answer.json()["overLimit"]["message"],
        "code": 413,
        "retryAfter": "0",
    }
    assert resource in answer.json()["overLimit"]["message"]
    answer = site.ask("POST", "/v2.1/{T}/servers", {"server": SERVER})
    assert (answer.status_code, answer.headers["retry-after"]) == (403, "0")
    assert answer.json()["forbidden"]["code"] == 403
    assert site.get("/servers") == {"servers": []}


@pytest.mark.parametrize(
    ("limits", "server"),
    [
        ({"metadata_items": 1}, {"metadata": {"a": "1", "b": "2"}}),
        ({"injected_files": 0}, {"personality": [{"path": "/a", "contents": ""}]}),
        ({"injected_file_content_bytes": 9}, {"personality": [{"path": "/a", "contents": SCRIPT}]}),
        ({"injected_file_path_bytes": 2}, {"personality": [{"path": "/é", "contents": ""}]}),
    ],
)
def test_quotas_of_parts_of_a_server(site: Site, limits: dict[str, int], server: dict[str, object]) -> None:
    site.parts.quotas.set(PROJECT, limits)
    site.post("/servers", {"server": {**SERVER, **server}}, status=413)
    site.parts.quotas.set(PROJECT, {name: limit + 1 for name, limit in limits.items()})
    site.post("/servers", {"server": {**SERVER, **server}})


def test_injected_files_are_bounded_without_a_quota_too(site: Site) -> None:
    unlimited = {"injected_files": -1, "injected_file_content_bytes": -1, "injected_file_path_bytes": -1}
    site.parts.quotas.set(PROJECT, unlimited)
    assert "more than 262144 bytes" in refused(site, {"personality": [{"path": "/a", "contents": "AAAA" * 70_000}]})


def test_servers_that_are_asked_for_at_the_same_time_never_exceed_the_quota(site: Site) -> None:
    site.parts.quotas.set(PROJECT, {"instances": 5})
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: site.ask("POST", "/v2/{T}/servers", {"server": SERVER}).status_code, range(12))
        )
    assert sorted(answers) == [202] * 5 + [413] * 7
    assert len(site.get("/servers")["servers"]) == 5


def test_a_quota_of_one_project_is_not_anothers(site: Site) -> None:
    site.parts.quotas.set(OTHER_PROJECT, {"instances": 0})
    site.boot()
    site.post("/servers", {"server": SERVER}, token=OTHER, status=413)


def test_a_build_is_handed_over_though_its_history_cannot_be_written(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_away(*_: object) -> bool:
        raise DatabaseUnavailableError("cannot use database: database is locked")

    monkeypatch.setattr(ActionTable, "start", is_away)
    made = site.post("/servers", {"server": SERVER})["server"]  # 202: told 503, a client would ask for a second one
    assert [request.instance_uuid for request in site.conductor.builds] == [made["id"]]


def test_without_a_bus_the_servers_are_in_error_and_say_so(site: Site) -> None:
    site.conductor.errors["build_instance"] = BusUnavailableError("cannot reach the broker")
    made = site.post("/servers", {"server": {**SERVER, "min_count": 2}})["server"]
    servers = site.get("/servers/detail")["servers"]
    assert {server["fault"]["message"] for server in servers} == {"cannot reach the broker"}
    assert {(server["status"], server["OS-EXT-STS:task_state"]) for server in servers} == {("ERROR", None)}
    assert len([call for call in site.conductor.calls if call[0] == "build_instance"]) == 1  # each may wait long
    (action,) = site.parts.actions.list(made["id"])
    assert action.message == "Error"
