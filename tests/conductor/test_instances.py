"""What a nova-compute has its conductor look up and write: of its own host, in bounded answers, and nothing that cannot be."""

import json
from typing import Any

import pytest

from cloud.domain.action import EventResult
from cloud.domain.expected import ANY, Expected
from cloud.domain.flavor import Resources
from cloud.domain.instance import Instance, PowerState, TaskState, VmState
from cloud.errors import InstanceNotFoundError, InstanceStateError
from cloud.logs.emit import request_context
from cloud.rpc.envelope import Reply
from cloud.rpc.errors import BadMessageError
from cloud.services.conductor.instances import InstanceMethods
from cloud.services.conductor.tables import Tables
from tests.conductor.site import REQUEST_ID, Site
from tests.db.making import NO_QUOTA, new_instance, uuid_of

NODE = {
    "host": "compute-09",
    "node": "compute-09.example.org",
    "total": {"memory_mb": 4096, "vcpus": 4, "disk_gb": 40},
    "hypervisor_type": "QEMU",
    "hypervisor_version": 2000000,
    "cpu_info": {"arch": "x86_64"},
    "host_ip": "192.0.2.19",
    "running_vms": 0,
    "free_disk_gb": 30,
    "storage_id": "nfs",
}
HERE, ELSEWHERE = "compute-01", "compute-02"


class Methods(InstanceMethods):
    def __init__(self, tables: Tables) -> None:
        self._tables = tables


@pytest.fixture
def methods(site: Site) -> Methods:
    return Methods(site.tables)


@pytest.fixture
def active(site: Site) -> Instance:
    """One that runs on the host that asks."""
    site.enter()
    return site.tables.instances.update(
        uuid_of(1), {"vm_state": VmState.ACTIVE, "task_state": None, "host": HERE, "node": HERE}
    )


def test_a_host_that_reports_is_one_that_can_be_chosen(site: Site, methods: Methods) -> None:
    methods.report_compute_node(NODE)
    node = site.tables.compute_nodes.get("compute-09")
    assert node.total == Resources(4096, 4, 40)
    assert (node.node, node.host_ip, node.free_disk_gb) == ("compute-09.example.org", "192.0.2.19", 30)
    assert node.storage_id == "nfs"
    assert node.updated_at == site.clock.now


def test_a_host_of_an_earlier_version_does_not_say_which_storage_it_has(site: Site, methods: Methods) -> None:
    methods.report_compute_node({name: value for name, value in NODE.items() if name != "storage_id"})
    assert site.tables.compute_nodes.get("compute-09").storage_id is None


@pytest.mark.parametrize(
    "node",
    [
        None,
        [],
        {},
        {**NODE, "used": 5},
        {key: value for key, value in NODE.items() if key != "total"},
        {**NODE, "total": {"memory_mb": 4096, "vcpus": 4}},
        {**NODE, "total": {"memory_mb": "4096", "vcpus": 4, "disk_gb": 40}},
        {**NODE, "total": {"memory_mb": -1, "vcpus": 4, "disk_gb": 40}},
        {**NODE, "total": {"memory_mb": 2**31, "vcpus": 4, "disk_gb": 40}},
        {**NODE, "total": {"memory_mb": True, "vcpus": 4, "disk_gb": 40}},
        {**NODE, "total": 5},
        {**NODE, "host": ""},
        {**NODE, "host": 5},
        {**NODE, "node": "a\x00b"},
        {**NODE, "cpu_info": "x86_64"},
        {**NODE, "running_vms": 1.5},
        {**NODE, "host_ip": "x" * 256},
        {**NODE, "storage_id": 5},
        {**NODE, "storage_id": ""},
    ],
)
def test_a_report_that_cannot_be_is_the_askers_mistake(site: Site, methods: Methods, node: Any) -> None:
    with pytest.raises(BadMessageError):
        methods.report_compute_node(node)
    assert len(site.tables.compute_nodes.all()) == 3


def test_an_instance_is_given_as_it_is(methods: Methods, active: Instance) -> None:
    assert Instance.from_dict(methods.get_instance(uuid_of(1))) == active
    with pytest.raises(InstanceNotFoundError):
        methods.get_instance(uuid_of(2))


def test_those_of_a_host_come_newest_first_in_pages_that_fit_into_a_message(site: Site, methods: Methods) -> None:
    new = [new_instance(number, metadata={f"{key}": "x" * 255 for key in range(250)}) for number in range(1, 31)]
    for each in site.tables.instances.create(new, NO_QUOTA):
        site.tables.instances.update(each.uuid, {"host": HERE if each.uuid != uuid_of(7) else ELSEWHERE})
    found: list[str] = []
    further: dict[str, str] = {}
    pages = 0
    while True:
        page = methods.instances_on_host(HERE, **further)
        pages += 1
        assert len(json.dumps(page)) < 600_000
        found += [instance["uuid"] for instance in page["instances"]]
        if not page["has_more"]:
            break
        further = {"after": found[-1]}
    assert found == [uuid_of(number) for number in range(30, 0, -1) if number != 7]
    assert pages == 5
    assert methods.instances_on_host("compute-03") == {"instances": [], "has_more": False}


def test_of_those_of_a_host_what_only_a_spawn_needs_is_left_out(site: Site, methods: Methods) -> None:
    large = {"injected_files": "x" * 80_000, "tags": "[]"}
    (instance,) = site.tables.instances.create(
        [new_instance(1, user_data="x" * 65_535, key_data="ssh-rsa x", system_metadata=large)], NO_QUOTA
    )
    site.tables.instances.update(instance.uuid, {"host": HERE})
    (listed,) = methods.instances_on_host(HERE)["instances"]
    assert (listed["user_data"], listed["key_data"], listed["system_metadata"]) == (None, None, {"tags": "[]"})
    assert Instance.from_dict(listed).uuid == instance.uuid
    whole = methods.get_instance(instance.uuid)
    assert (len(whole["user_data"]), whole["key_data"], whole["system_metadata"]) == (65_535, "ssh-rsa x", large)


def test_instances_whose_metadata_is_as_large_as_can_be_travel_alone_and_in_pages(site: Site, methods: Methods) -> None:
    metadata = {f"{number:03}" + "\U0001f600" * 252: "\U0001f600" * 255 for number in range(128)}
    large = {"metadata": metadata, "user_data": "x" * 65_535, "key_data": "ssh-rsa " + "x" * 60_000}
    files = {"injected_files": "x" * 150_000}
    new = [new_instance(number, system_metadata=files, **large) for number in (1, 2)]
    for each in site.tables.instances.create(new, NO_QUOTA):
        site.tables.instances.update(each.uuid, {"host": HERE})
        assert Reply("1", methods.get_instance(each.uuid)).encode()
    page = methods.instances_on_host(HERE)
    Reply("1", page).encode()
    assert [len(page["instances"]), page["has_more"]] == [1, True]


@pytest.mark.parametrize("state", [None, "powering-off", "powering-on", "image_uploading"])
def test_a_host_sets_the_task_states_that_are_its_own(methods: Methods, active: Instance, state: str | None) -> None:
    assert methods.update_instance(active.uuid, HERE, {"task_state": state}, ANY.as_dict())["task_state"] == state


def test_a_change_is_made_where_all_is_as_expected(methods: Methods, active: Instance, site: Site) -> None:
    expected = Expected((VmState.ACTIVE,), (None,), HERE).as_dict()
    changes = {
        "vm_state": "stopped",
        "task_state": None,
        "power_state": 4,
        "progress": 50,
        "launched_at": "2014-10-16T13:00:00+00:00",
        "image_id": "70a599e0-31e7-49b7-b260-868f441e862b",
        "system_metadata": {"image_os": "linux"},
    }
    changed = Instance.from_dict(methods.update_instance(active.uuid, HERE, changes, expected))
    assert changed == site.instance()
    assert (changed.vm_state, changed.power_state, changed.progress) == (VmState.STOPPED, PowerState.SHUTDOWN, 50)
    assert changed.system_metadata == {"image_os": "linux"}
    with pytest.raises(InstanceStateError, match="its vm_state is stopped, its task_state None"):
        methods.update_instance(active.uuid, HERE, changes, expected)


def test_a_host_changes_nothing_of_another(methods: Methods, active: Instance, site: Site) -> None:
    with pytest.raises(InstanceStateError, match="it is on host compute-01"):
        methods.update_instance(active.uuid, ELSEWHERE, {"task_state": None}, ANY.as_dict())
    site.tables.instances.update(active.uuid, {"task_state": TaskState.DELETING})
    with pytest.raises(InstanceStateError, match="it is on host compute-01"):
        methods.instance_deleted(active.uuid, ELSEWHERE)
    with pytest.raises(InstanceStateError, match="it is on host compute-01"):
        methods.add_fault(active.uuid, ELSEWHERE, 500, "cannot reboot")
    assert site.instance().vm_state is VmState.ACTIVE
    assert site.fault() is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"host": ELSEWHERE}, ANY.as_dict()),
        ({"project_id": "p2"}, ANY.as_dict()),
        ({"user_data": "x"}, ANY.as_dict()),
        ({"vm_state": "deleted"}, ANY.as_dict()),
        ({"vm_state": "flying"}, ANY.as_dict()),
        ({"vm_state": None}, ANY.as_dict()),
        ({"vm_state": []}, ANY.as_dict()),
        *(({"vm_state": state}, ANY.as_dict()) for state in VmState if state not in ("active", "stopped", "error")),
        ({"task_state": []}, ANY.as_dict()),
        *(
            ({"task_state": state}, ANY.as_dict())
            for state in TaskState
            if state not in ("powering-off", "powering-on", "image_uploading")
        ),
        ({"power_state": "on"}, ANY.as_dict()),
        ({"progress": 101}, ANY.as_dict()),
        ({"progress": "50"}, ANY.as_dict()),
        ({"progress": True}, ANY.as_dict()),
        ({"launched_at": "yesterday"}, ANY.as_dict()),
        ({"launched_at": "2014-10-16T13:00:00"}, ANY.as_dict()),
        ({"launched_at": 5}, ANY.as_dict()),
        ({"image_id": 5}, ANY.as_dict()),
        ({"image_id": "a\x00b"}, ANY.as_dict()),
        ({"system_metadata": {"a": 5}}, ANY.as_dict()),
        ({"system_metadata": ["a"]}, ANY.as_dict()),
        (None, ANY.as_dict()),
        ([], ANY.as_dict()),
        ({}, None),
        ({}, {**ANY.as_dict(), "more": 5}),
        ({}, {**ANY.as_dict(), "vm_states": ["flying"]}),
        ({}, {**ANY.as_dict(), "vm_states": 5}),
        ({}, {**ANY.as_dict(), "task_states": "active"}),
        ({}, {**ANY.as_dict(), "host": 5}),
        ({}, {**ANY.as_dict(), "host": ELSEWHERE}),
    ],
)
def test_a_change_that_cannot_be_is_the_askers_mistake(
    methods: Methods, active: Instance, site: Site, changes: Any, expected: Any
) -> None:
    with pytest.raises(BadMessageError):
        methods.update_instance(active.uuid, HERE, changes, expected)
    assert site.instance() == active


@pytest.mark.parametrize("host", [HERE, None], ids=["here", "undone meanwhile"])
def test_an_instance_that_was_to_be_deleted_is_and_once_is_enough(
    methods: Methods, active: Instance, site: Site, host: str | None
) -> None:
    site.tables.claims.claim(active.uuid, HERE, active.flavor.resources, Resources(9000, 100, 100))
    site.tables.fixed_ips.allocate(active.uuid, "private", "10.0.0.0/24")
    site.tables.instances.update(active.uuid, {"task_state": TaskState.DELETING, "host": host})
    for _ in range(2):
        methods.instance_deleted(active.uuid, HERE)
    site.assert_deleted()


def test_an_instance_that_nobody_wanted_to_delete_is_not(methods: Methods, active: Instance, site: Site) -> None:
    with pytest.raises(InstanceStateError):
        methods.instance_deleted(active.uuid, HERE)
    with pytest.raises(InstanceNotFoundError):
        methods.instance_deleted(uuid_of(2), HERE)
    assert site.instance() == active


def test_a_fault_is_noted_with_the_beginning_of_what_is_told(methods: Methods, active: Instance, site: Site) -> None:
    methods.add_fault(active.uuid, HERE, 500, "x" * 300, "y" * 100_000, HERE)
    fault = site.fault()
    assert fault is not None
    assert (fault.code, fault.host) == (500, HERE)
    assert (len(fault.message), len(fault.details or "")) == (255, 65_536)


@pytest.mark.parametrize(
    "arguments",
    [
        (5, HERE, 500, "m"),
        (uuid_of(1), "", 500, "m"),
        (uuid_of(1), HERE, "500", "m"),
        (uuid_of(1), HERE, 99, "m"),
        (uuid_of(1), HERE, True, "m"),
        (uuid_of(1), HERE, 500, 5),
        (uuid_of(1), HERE, 500, None),
        (uuid_of(1), HERE, 500, "m", 5),
        (uuid_of(1), HERE, 500, "m", "x" * 200_000),
        (uuid_of(1), HERE, 500, "m", "d", 5),
    ],
)
def test_a_fault_that_cannot_be_is_the_askers_mistake(
    methods: Methods, active: Instance, site: Site, arguments: Any
) -> None:
    with pytest.raises(BadMessageError):
        methods.add_fault(*arguments)
    assert site.fault() is None


@pytest.mark.parametrize(("result", "message"), [("Success", None), ("Error", "Error")])
def test_what_a_host_does_ends_what_was_asked(
    methods: Methods, active: Instance, site: Site, result: str, message: str | None
) -> None:
    with request_context(request_id=REQUEST_ID):
        methods.start_event(active.uuid, "compute_reboot_instance", HERE)
        methods.finish_event(active.uuid, "compute_reboot_instance", result, "no answer", HERE)
    action = site.tables.actions.get(active.uuid, REQUEST_ID)
    assert (action.finished_at, action.message) == (site.clock.now, message)
    (event,) = action.events
    assert (event.event, event.host) == ("compute_reboot_instance", HERE)
    assert (event.result, event.details) == (EventResult(result), "no answer")


@pytest.mark.parametrize(
    "arguments",
    [
        (5, "e", "Success"),
        (uuid_of(1), None, "Success"),
        (uuid_of(1), "e", "Perhaps"),
        (uuid_of(1), "e", ["Success"]),
        (uuid_of(1), "e", "Success", 5),
        (uuid_of(1), "e", "Success", None, 5),
    ],
)
def test_a_step_that_cannot_be_is_the_askers_mistake(methods: Methods, arguments: Any) -> None:
    with pytest.raises(BadMessageError):
        methods.finish_event(*arguments)


@pytest.mark.parametrize("text", [None, 5, "", "x" * 256, "a\x00b", "\ud800", ["a"]])
def test_ids_and_names_that_cannot_be_are_the_askers_mistake(methods: Methods, text: Any) -> None:
    for call in (
        lambda: methods.get_instance(text),
        lambda: methods.instances_on_host(text),
        lambda: methods.update_instance(text, HERE, {}, ANY.as_dict()),
        lambda: methods.update_instance(uuid_of(1), text, {}, ANY.as_dict()),
        lambda: methods.instance_deleted(text, HERE),
        lambda: methods.start_event(uuid_of(1), text),
    ):
        with pytest.raises(BadMessageError, match=r"^cannot read \w+: it is not 1 to 255 printable characters$"):
            call()
