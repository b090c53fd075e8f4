"""evacuate: from a host that is down, in the words of each version; what is asked for and what is answered."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from cloud.domain.instance import Instance, TaskState, VmState
from cloud.domain.migration import Migration, MigrationStatus, MigrationType
from cloud.rpc.errors import BusUnavailableError
from tests.api.conftest import ADMIN, HOST, MEMBER, NOBODY, OTHER, Site
from tests.services.said import Line

TARGET = "HostC"
OWN = {"host": TARGET, "onSharedStorage": False}
SHARED = {"host": TARGET, "onSharedStorage": True}


@pytest.fixture
def site(site: Site) -> Site:
    """The same with a second host."""
    site.report(TARGET)
    return site


def broken(site: Site, **changes: Any) -> Instance:
    """A server on a host that is down."""
    instance = site.running(**changes)
    site.down()
    return instance


def act(
    site: Site, instance: Instance, body: object, status: int = 200, version: str | None = None, *, token: str = ADMIN
) -> Any:
    return site.post(f"/servers/{instance.uuid}/action", {"evacuate": body}, version, token=token, status=status)


def newest(site: Site, instance: Instance) -> Migration:
    migration = site.parts.migrations.newest(instance.uuid)
    assert migration is not None
    return migration


@pytest.mark.parametrize("vm_state", list(VmState)[:-1])
def test_what_is_active_stopped_or_in_error_is_evacuated_and_all_else_is_409(site: Site, vm_state: VmState) -> None:
    instance = broken(site, vm_state=vm_state)
    if vm_state in ("active", "stopped", "error"):
        act(site, instance, SHARED)
        server = site.get(f"/servers/{instance.uuid}")["server"]
        assert (server["status"], server["OS-EXT-STS:task_state"]) == ("REBUILD", "rebuilding")
    else:
        message = f"Cannot 'evacuate' instance {instance.uuid} while it is in vm_state {vm_state}"
        assert act(site, instance, SHARED, 409)["conflictingRequest"]["message"] == message
        assert site.conductor.moves == []


@pytest.mark.parametrize(
    ("version", "body", "forced", "requested", "on_shared_storage"),
    [
        (None, OWN, TARGET, None, False),
        (None, {**OWN, "onSharedStorage": "True"}, TARGET, None, True),
        ("2.1", SHARED, TARGET, None, True),
        ("2.1", {"onSharedStorage": False}, None, None, False),
        ("2.13", OWN, TARGET, None, False),
        ("2.14", {"host": TARGET}, TARGET, None, None),
        ("2.14", {}, None, None, None),
        ("2.28", {"host": TARGET}, TARGET, None, None),
        ("2.29", {"host": TARGET}, None, TARGET, None),
        ("2.29", {"host": TARGET, "force": True}, TARGET, None, None),
        ("2.29", {"host": TARGET, "force": "no"}, None, TARGET, None),
        ("2.30", {}, None, None, None),
    ],
)
def test_a_host_that_is_named_is_forced_before_2_29_and_asked_about_since(
    site: Site,
    version: str | None,
    body: dict[str, Any],
    forced: str | None,
    requested: str | None,
    on_shared_storage: bool | None,
) -> None:
    instance = broken(site)
    act(site, instance, body, version=version)
    migration = newest(site, instance)
    assert (migration.type, migration.status) == (MigrationType.EVACUATION, MigrationStatus.ACCEPTED)
    assert (migration.source_compute, migration.dest_compute) == (HOST, body.get("host"))
    assert migration.options["on_shared_storage"] is on_shared_storage
    ((migration_id, request),) = site.moves()
    assert (migration_id, request.flavor) == (migration.id, instance.flavor)
    assert (request.forced_host, request.requested_host, request.ignored_hosts) == (forced, requested, (HOST,))
    assert site.parts.actions.list(instance.uuid)[0].action == "evacuate"


@pytest.mark.parametrize(
    ("version", "body", "answer"),
    [
        (None, {**OWN, "adminPass": "pw"}, {"adminPass": "pw"}),
        (None, SHARED, None),
        ("2.1", {**OWN, "adminPass": "pw"}, {"adminPass": "pw"}),
        ("2.1", SHARED, {"adminPass": None}),
        ("2.13", {**OWN, "adminPass": "pw"}, {"adminPass": "pw"}),
        ("2.14", {"host": TARGET, "adminPass": "pw"}, None),
        ("2.29", {"host": TARGET}, None),
    ],
)
def test_the_answer_has_the_password_where_there_is_a_new_one(
    site: Site, version: str | None, body: dict[str, Any], answer: object
) -> None:
    assert act(site, broken(site), body, version=version) == answer


@pytest.mark.parametrize("version", [None, "2.1"])
def test_where_no_password_is_sent_one_is_made(site: Site, version: str | None) -> None:
    assert len(act(site, broken(site), OWN, version=version)["adminPass"]) == 12


@pytest.mark.parametrize(
    ("version", "body"),
    [
        (None, None),
        (None, {"host": TARGET}),
        (None, {"onSharedStorage": False}),
        (None, {**OWN, "host": None}),
        (None, {**OWN, "host": ""}),
        (None, {**OWN, "onSharedStorage": None}),
        (None, {**OWN, "onSharedStorage": "perhaps"}),
        (None, {**OWN, "adminPass": ["pw"]}),
        (None, {**SHARED, "adminPass": "pw"}),
        ("2.1", {**SHARED, "adminPass": "pw"}),
        ("2.1", {}),
        ("2.1", {**OWN, "force": True}),
        ("2.13", {"host": TARGET}),
        ("2.14", OWN),
        ("2.28", {"host": TARGET, "force": True}),
        ("2.29", {"force": True}),
        ("2.29", {"host": TARGET, "force": None}),
    ],
)
def test_a_body_that_is_none_is_400(site: Site, version: str | None, body: object) -> None:
    instance = broken(site)
    assert act(site, instance, body, 400, version)["badRequest"]["code"] == 400
    assert site.parts.instances.get(instance.uuid) == instance


@pytest.mark.parametrize("version", [None, "2.1"])
def test_a_host_that_nobody_knows_is_404(site: Site, version: str | None) -> None:
    instance = broken(site)
    answer = act(site, instance, {**OWN, "host": "HostX"}, 404, version)
    assert answer == {"itemNotFound": {"message": "cannot find compute host HostX", "code": 404}}
    assert site.parts.instances.get(instance.uuid) == instance


def test_its_own_host_is_400(site: Site) -> None:
    instance = broken(site)
    message = act(site, instance, {**OWN, "host": HOST}, 400)["badRequest"]["message"]
    assert message == f"cannot move instance {instance.uuid} to host HostB: it is there already"


def test_a_host_that_is_down_itself_is_400(site: Site) -> None:
    instance = broken(site)
    site.down(TARGET)
    act(site, instance, OWN, 400)
    assert site.parts.instances.get(instance.uuid) == instance


@pytest.mark.parametrize("version", [None, "2.13", "2.14", "2.29"])
def test_while_its_host_is_up_it_is_400(site: Site, version: str | None) -> None:
    instance = site.running()
    body = OWN if version in (None, "2.13") else {"host": TARGET}
    message = act(site, instance, body, 400, version)["badRequest"]["message"]
    assert message == f"cannot evacuate instance {instance.uuid}: nova-compute on its host HostB is up"
    assert site.parts.instances.get(instance.uuid) == instance


def test_a_host_whose_service_was_deleted_is_down(site: Site) -> None:
    instance = site.running()
    (service,) = site.parts.services.all(host=HOST)
    site.parts.services.delete(service.id)
    act(site, instance, OWN)


def store(site: Site, **storages: str) -> None:
    """Have hosts say which storage they have."""
    for host, storage_id in storages.items():
        site.parts.hosts.report(replace(site.parts.hosts.get(host), storage_id=storage_id))


@pytest.mark.parametrize(
    ("version", "body", "status", "may_leave_disk"),
    [
        (None, OWN, 200, True),
        (None, SHARED, 400, None),
        ("2.13", OWN, 200, True),
        ("2.14", {"host": TARGET}, 400, None),
        ("2.28", {"host": TARGET}, 400, None),
        ("2.29", {"host": TARGET}, 400, None),
        ("2.29", {"host": TARGET, "force": True}, 200, True),
        ("2.1", {"onSharedStorage": True}, 200, False),
        ("2.29", {}, 200, False),
    ],
)
def test_where_others_see_its_disk_it_goes_elsewhere_only_by_particular_wish(
    site: Site, version: str | None, body: dict[str, Any], status: int, may_leave_disk: bool | None
) -> None:
    site.report("HostD")
    store(site, **{HOST: "nfs", "HostD": "nfs", TARGET: "own"})
    instance = broken(site)
    answer = act(site, instance, body, status, version)
    if status == 200:
        assert newest(site, instance).options["may_leave_disk"] is may_leave_disk
    else:
        assert answer["badRequest"]["message"] == (
            f"cannot evacuate instance {instance.uuid} to host {TARGET}: it does not have the storage that its disk "
            "is on, hosts that have it and are up: HostD"
        )
        assert site.parts.instances.get(instance.uuid) == instance


@pytest.mark.parametrize("version", ["2.1", "2.13"])
@pytest.mark.parametrize("is_up", [True, False])
def test_a_new_disk_where_others_see_the_old_one_takes_a_host_that_is_named(
    site: Site, version: str, *, is_up: bool
) -> None:
    site.report("HostD")
    store(site, **{HOST: "nfs", "HostD": "nfs", TARGET: "own"})
    if not is_up:
        site.down("HostD")
    instance = broken(site)
    answer = act(site, instance, {"onSharedStorage": False}, 400, version)
    assert answer["badRequest"]["message"] == (
        f"cannot evacuate instance {instance.uuid} with onSharedStorage false to a host that is chosen: others have "
        "the storage that its disk is on, name the host that it is to begin anew on"
    )
    assert site.parts.instances.get(instance.uuid) == instance
    act(site, instance, OWN, version=version)


@pytest.mark.parametrize(
    "storages",
    [
        {TARGET: "own", HOST: "alone"},
        {TARGET: "nfs", HOST: "nfs", "HostD": "nfs"},
        {TARGET: "own"},
        {},
    ],
    ids=["nobody", "the target too", "the source has not said", "nobody has said"],
)
def test_any_host_will_do_that_sees_the_disk_or_where_nobody_else_does(site: Site, storages: dict[str, str]) -> None:
    site.report("HostD")
    store(site, **storages)
    act(site, broken(site), {"host": TARGET}, version="2.29")


def test_where_none_is_up_that_sees_the_disk_another_one_may_be_named(site: Site) -> None:
    site.report("HostD")
    store(site, **{HOST: "nfs", "HostD": "nfs", TARGET: "own"})
    site.down("HostD")
    act(site, broken(site), {"host": TARGET}, version="2.29")


def test_while_something_is_done_to_it_it_is_409(site: Site) -> None:
    act(site, broken(site, task_state=TaskState.REBOOTING), OWN, 409)


def test_of_many_at_the_same_time_one_gets_it(site: Site) -> None:
    instance = broken(site)
    path = f"/v2/{{T}}/servers/{instance.uuid}/action"
    with ThreadPoolExecutor(8) as pool:
        asked = pool.map(lambda _: site.ask("POST", path, {"evacuate": OWN}, token=ADMIN).status_code, range(8))
        statuses = sorted(asked)
    assert statuses == [200] + [409] * 7
    assert len(site.conductor.moves) == 1


def test_every_server_of_a_host_is_evacuated_as_novaclient_does_it(site: Site) -> None:
    instances = [broken(site), site.running("vm2", vm_state=VmState.STOPPED)]
    site.running("vm3", host=TARGET)
    (hypervisor,) = site.get(f"/os-hypervisors/{HOST}/servers", token=ADMIN)["hypervisors"]
    for server in hypervisor["servers"]:
        act(site, site.parts.instances.get(server["uuid"]), OWN)
    assert {request.instance_uuid for _, request in site.moves()} == {each.uuid for each in instances}


def test_without_a_conductor_all_is_as_it_was(site: Site, lines: list[Line]) -> None:
    instance = broken(site, vm_state=VmState.ERROR)
    site.conductor.errors["move_instance"] = BusUnavailableError("cannot reach the broker")
    act(site, instance, OWN, 503)
    now = site.parts.instances.get(instance.uuid)
    assert (now.vm_state, now.task_state, now.host) == (VmState.ERROR, None, HOST)
    assert newest(site, instance).status is MigrationStatus.FAILED
    events = [fields for _, _, fields in lines if str(fields.get("event")).startswith("evacuate.")]
    assert [each["event"] for each in events] == ["evacuate.request.started", "evacuate.request.failed"]
    assert {(each["source_compute"], each["dest_compute"]) for each in events} == {(HOST, TARGET)}
    assert (events[1]["error"], events[1]["cause"]) == ("cannot reach the broker", "BusUnavailableError")


def test_admins_alone_may(site: Site) -> None:
    path = f"/v2/{{T}}/servers/{broken(site).uuid}/action"
    asked = {token: site.ask("POST", path, {"evacuate": OWN}, token=token) for token in (MEMBER, OTHER, NOBODY)}
    assert {token: answer.status_code for token, answer in asked.items()} == {MEMBER: 403, OTHER: 404, NOBODY: 403}
    assert site.conductor.moves == []
