"""resize: which flavors a server may get, and what its project may have in all."""

from typing import Any

import pytest

from cloud.domain.flavor import Flavor
from cloud.domain.instance import Instance, TaskState, VmState
from cloud.domain.migration import MigrationStatus, MigrationType
from cloud.domain.system_metadata import disk_config_of
from cloud.rpc.errors import BusUnavailableError
from tests.api.conftest import ADMIN, CIRROS, HOST, MEMBER, OTHER_PROJECT, PROJECT, Site, image
from tests.services.said import Line


def act(
    site: Site,
    instance: Instance,
    flavor: object = "2",
    status: int = 202,
    *,
    token: str = MEMBER,
    version: str | None = None,
    **more: object,
) -> Any:
    body = {"resize": {"flavorRef": flavor, **more}}
    return site.post(f"/servers/{instance.uuid}/action", body, version, token=token, status=status)


@pytest.mark.parametrize("vm_state", list(VmState)[:-1])
def test_what_is_active_or_stopped_is_resized_and_all_else_is_409(site: Site, vm_state: VmState) -> None:
    instance = site.running(vm_state=vm_state)
    if vm_state in ("active", "stopped"):
        assert act(site, instance) is None
        server = site.get(f"/servers/{instance.uuid}")["server"]
        assert (server["status"], server["flavor"]["id"]) == ("RESIZE", "1")
    else:
        message = f"Cannot 'resize' instance {instance.uuid} while it is in vm_state {vm_state}"
        assert act(site, instance, status=409)["conflictingRequest"]["message"] == message


@pytest.mark.parametrize("flavor", ["2", 2, "http://api:8774/flavors/2"])
def test_a_flavor_is_named_by_its_id_or_its_address(site: Site, flavor: object) -> None:
    instance = site.running()
    act(site, instance, flavor)
    migration = site.parts.migrations.newest(instance.uuid)
    assert migration is not None
    assert (migration.type, migration.status) == (MigrationType.RESIZE, MigrationStatus.ACCEPTED)
    assert (migration.old_flavor, migration.new_flavor) == (instance.flavor, site.parts.flavors.get("2"))
    ((migration_id, request),) = site.moves()
    assert (migration_id, request.flavor) == (migration.id, migration.new_flavor)
    assert (request.forced_host, request.requested_host, request.ignored_hosts) == (None, None, (HOST,))
    assert site.parts.actions.list(instance.uuid)[0].action == "resize"


def test_where_the_cloud_allows_it_its_own_host_will_do(site: Site) -> None:
    site.conf.set_override("allow_resize_to_same_host", True)
    instance = site.running()
    act(site, instance)
    ((_, request),) = site.moves()
    assert request.ignored_hosts == ()


def test_the_log_says_that_it_is_a_resize(site: Site, lines: list[Line]) -> None:
    act(site, site.running())
    events = [fields for _, _, fields in lines if str(fields.get("event")).startswith("resize.")]
    assert [each["event"] for each in events] == ["resize.request.started", "resize.request.completed"]
    assert {(each["type"], each["source_compute"], "dest_compute" in each) for each in events} == {
        ("resize", HOST, False)
    }


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("1", "1", "it has flavor 1 already"),
        ("2", "1", "its disks have 20 and 0 GiB, those of flavor 1 1 and 0"),
        ("1", "zero", "its disks have 1 and 0 GiB, those of flavor zero 0 and 0"),
        ("deep", "shallow", "its disks have 1 and 5 GiB, those of flavor shallow 1 and 4"),
    ],
)
def test_the_same_flavor_and_smaller_disks_are_400(site: Site, old: str, new: str, message: str) -> None:
    for flavorid, root_gb, ephemeral_gb in (("zero", 0, 0), ("deep", 1, 5), ("shallow", 1, 4)):
        site.parts.flavors.create(Flavor(0, flavorid, flavorid, 512, 1, root_gb, ephemeral_gb))
    instance = site.running(flavor=site.parts.flavors.get(old))
    answer = act(site, instance, new, 400)
    assert answer["badRequest"]["message"] == f"cannot resize instance {instance.uuid}: {message}"
    assert site.parts.instances.get(instance.uuid) == instance


def test_a_flavor_that_was_made_anew_under_the_same_id_is_another_one(site: Site) -> None:
    instance = site.running()
    site.parts.flavors.delete("1")
    site.parts.flavors.create(Flavor(0, "1", "m1.tiny", 1024, 1, 1))
    act(site, instance, "1")


@pytest.mark.parametrize("has_access", [True, False])
def test_anothers_private_flavor_is_400(site: Site, has_access: bool) -> None:
    site.parts.flavors.create(Flavor(0, "p", "private", 1024, 1, 1, is_public=False))
    site.parts.flavors.add_access("p", PROJECT if has_access else OTHER_PROJECT)
    act(site, site.running(), "p", 202 if has_access else 400)


@pytest.mark.parametrize(
    ("needs", "message"),
    [
        ({"min_ram_mb": 300}, "its image needs 300 MiB of memory, flavor small has 256"),
        ({"min_disk_gb": 3}, "its image needs 3 GiB of disk, flavor small has 2"),
    ],
)
def test_what_its_image_needs_it_keeps(site: Site, needs: dict[str, Any], message: str) -> None:
    site.parts.flavors.create(Flavor(0, "small", "small", 256, 1, 2))
    site.parts.flavors.create(Flavor(0, "any", "any", 512, 1, 0))
    site.images.images[CIRROS] = image(CIRROS, **needs)
    instance = site.run(site.boot(flavorRef="any"))
    answer = act(site, instance, "small", 400)
    assert answer["badRequest"]["message"] == f"cannot resize instance {instance.uuid}: {message}"
    site.parts.flavors.create(Flavor(0, "enough", "enough", 300, 1, 3))
    act(site, instance, "enough")


@pytest.mark.parametrize("value", ["", "-1", "many", "9" * 12])
def test_an_image_that_says_nonsense_needs_nothing(site: Site, value: str) -> None:
    site.images.images[CIRROS] = image(CIRROS, properties={"min_ram": value, "min_disk": value})
    act(site, site.running())


@pytest.mark.parametrize(("version", "status"), [(None, 413), ("2.1", 403)])
@pytest.mark.parametrize(
    ("limits", "resource"),
    [({"cores": 2}, "cores is 2, 2 are used and 1 more"), ({"ram": 4000}, "ram is 4000, 1024 are used and 3584 more")],
)
def test_more_than_the_project_may_have_is_refused(
    site: Site, version: str | None, status: int, limits: dict[str, int], resource: str
) -> None:
    site.boot()
    instance = site.running()
    site.parts.quotas.set(PROJECT, limits)
    answer = act(site, instance, "3", status, version=version)
    ((kind, error),) = answer.items()
    assert (kind, error["code"]) == ("forbidden" if status == 403 else "overLimit", status)
    assert error["message"] == f"cannot resize instance {instance.uuid}: quota of {resource} were wanted"
    assert site.parts.instances.get(instance.uuid) == instance
    assert site.parts.migrations.newest(instance.uuid) is None


def test_the_quota_is_that_of_the_servers_project_whoever_asks(site: Site) -> None:
    instance = site.running()
    site.parts.quotas.set(PROJECT, {"cores": 1})
    act(site, instance, "3", 413, token=ADMIN)
    site.parts.quotas.set(PROJECT, {"cores": 2})
    act(site, instance, "3", token=ADMIN)


def test_what_a_resize_takes_no_more_of_may_be_beyond_the_quota(site: Site) -> None:
    instance = site.running()
    site.parts.quotas.set(PROJECT, {"cores": 0, "instances": 0})
    act(site, instance, "2")


def test_what_a_resize_will_take_is_used_from_its_beginning(site: Site) -> None:
    first, second = site.running("vm1"), site.running("vm2")
    site.parts.quotas.set(PROJECT, {"cores": 3})
    act(site, first, "3")
    act(site, second, "3", 413)
    site.post("/servers", {"server": {"name": "vm3", "imageRef": CIRROS, "flavorRef": "1"}}, status=413)
    detail = site.get(f"/os-quota-sets/{PROJECT}/detail", "2.1")["quota_set"]
    assert (detail["cores"]["in_use"], detail["ram"]["in_use"]) == (3, 4608)


def test_a_disk_config_that_is_sent_is_kept(site: Site) -> None:
    instance = site.running()
    more: dict[str, Any] = {"OS-DCF:diskConfig": "AUTO"}
    act(site, instance, version="2.1", **more)
    assert disk_config_of(site.parts.instances.get(instance.uuid)) == "AUTO"


def test_unknown_keys_are_refused_since_2_1_only(site: Site) -> None:
    instance = site.running()
    act(site, instance, status=400, version="2.1", auto_disk_config=True)
    act(site, instance, auto_disk_config=True)


def test_a_locked_server_is_resized_by_admins_alone(site: Site) -> None:
    instance = site.running(locked_by="owner")
    assert act(site, instance, status=409)["conflictingRequest"]["message"] == f"Instance {instance.uuid} is locked"
    act(site, instance, token=ADMIN)


def test_while_something_is_done_to_it_it_is_not_resized(site: Site) -> None:
    act(site, site.running(task_state=TaskState.POWERING_OFF), status=409)


def test_what_is_on_a_host_that_is_down_is_not_resized(site: Site) -> None:
    instance = site.running()
    site.down()
    act(site, instance, status=400)
    assert site.parts.instances.get(instance.uuid) == instance


def test_without_a_conductor_all_is_as_it_was(site: Site) -> None:
    instance = site.running()
    site.conductor.errors["move_instance"] = BusUnavailableError("cannot reach the broker")
    more: dict[str, Any] = {"OS-DCF:diskConfig": "AUTO"}
    act(site, instance, status=503, **more)
    now = site.parts.instances.get(instance.uuid)
    assert (now.task_state, disk_config_of(now)) == (None, "MANUAL")
    assert site.parts.instances.usage(PROJECT).ram_mb == 512
