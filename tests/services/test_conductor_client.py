"""What ConductorClient asks of nova-conductor, and what it makes of the answers."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from inspect import signature
from typing import Any, cast

import pytest

from cloud.domain.action import EventResult
from cloud.domain.expected import Expected
from cloud.domain.host import BuildRequest
from cloud.domain.instance import Instance, PowerState, VmState
from cloud.domain.service import Service, ServiceReport
from cloud.errors import ServiceNotFoundError
from cloud.rpc.client import RpcClient
from cloud.rpc.methods import methods_of
from cloud.rpc.topology import Target
from cloud.services.conductor.build_server import BuildMethods
from cloud.services.conductor.client import ConductorClient
from cloud.services.conductor.manager import ConductorManager
from cloud.services.conductor.moves.server import MoveMethods
from tests.db.making import SMALL, compute_node, uuid_of

VALUES = {
    "id": 7,
    "host": "compute-01",
    "binary": "nova-compute",
    "topic": "compute",
    "availability_zone": "nova",
    "is_enabled": False,
    "disabled_reason": "disk swap",
    "created_at": "2026-01-02T03:04:05+00:00",
    "updated_at": "2026-01-02T03:05:05.000006+00:00",
    "report_count": 7,
    "is_up": True,
}
SERVICE = Service(
    id=7,
    host="compute-01",
    binary="nova-compute",
    topic="compute",
    availability_zone="nova",
    is_enabled=False,
    disabled_reason="disk swap",
    created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    updated_at=datetime(2026, 1, 2, 3, 5, 5, 6, tzinfo=UTC),
    report_count=7,
    is_up=True,
)


INSTANCE = Instance(
    id=7,
    uuid=uuid_of(1),
    project_id="p1",
    user_id="u1",
    display_name="web-1",
    flavor=SMALL,
    vm_state=VmState.BUILDING,
    task_state=None,
    power_state=PowerState.NOSTATE,
    created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    updated_at=datetime(2026, 1, 2, 3, 4, 6, 7, tzinfo=UTC),
    host="compute-01",
    addresses=("10.0.0.2",),
)


class FakeClient:
    def __init__(self, answer: object = None) -> None:
        self.answer = answer
        self.calls: list[tuple[str, str, Mapping[str, Any], float]] = []

    def cast(self, target: Target, method: str, arguments: Mapping[str, Any], *, timeout_s: float) -> None:
        self.calls.append((f"cast to {target}", method, arguments, timeout_s))

    def call(self, target: Target, method: str, arguments: Mapping[str, Any], *, timeout_s: float) -> Any:
        self.calls.append((str(target), method, arguments, timeout_s))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def fake() -> FakeClient:
    return FakeClient()


@pytest.fixture
def conductor(fake: FakeClient) -> ConductorClient:
    return ConductorClient(cast("RpcClient", fake), timeout_s=3.0)


def test_report_travels_as_what_it_says(fake: FakeClient, conductor: ConductorClient) -> None:
    conductor.report_service(ServiceReport("compute-01", "nova-compute", "compute", "nova"))
    values = {"host": "compute-01", "binary": "nova-compute", "topic": "compute", "availability_zone": "nova"}
    assert fake.calls == [("nova-conductor", "report_service", {"report": values}, 3.0)]


def test_services_come_back_as_such(fake: FakeClient, conductor: ConductorClient) -> None:
    fake.answer = [VALUES]
    assert conductor.list_services(binary="nova-compute") == [SERVICE]
    assert fake.calls == [("nova-conductor", "list_services", {"host": None, "binary": "nova-compute"}, 3.0)]


def test_a_long_list_is_asked_for_page_by_page(fake: FakeClient, conductor: ConductorClient) -> None:
    rows = [{**VALUES, "host": f"compute-{number:04}"} for number in range(1200)]

    class Paging(FakeClient):
        def call(self, target: Target, method: str, arguments: Mapping[str, Any], *, timeout_s: float) -> Any:
            super().call(target, method, arguments, timeout_s=timeout_s)
            after = arguments.get("after", ["", ""])
            return [row for row in rows if [row["binary"], row["host"]] > after][:500]

    paging = Paging()
    listed = ConductorClient(cast("RpcClient", paging)).list_services()
    assert [service.host for service in listed] == [row["host"] for row in rows]
    assert [call[2].get("after") for call in paging.calls] == [
        None,
        ["nova-compute", "compute-0499"],
        ["nova-compute", "compute-0999"],
    ]


def test_a_conductor_that_says_the_same_for_ever_does_not_hold_us(fake: FakeClient, conductor: ConductorClient) -> None:
    fake.answer = [VALUES] * 500
    assert len(conductor.list_services()) == 1000


def test_changes_are_asked_for_by_host_and_binary(fake: FakeClient, conductor: ConductorClient) -> None:
    fake.answer = VALUES
    assert conductor.enable_service("compute-01", "nova-compute") == SERVICE
    assert conductor.disable_service("compute-01", "nova-compute", "disk swap") == SERVICE
    pair = {"host": "compute-01", "binary": "nova-compute"}
    assert [call[1:3] for call in fake.calls] == [
        ("enable_service", pair),
        ("disable_service", {**pair, "reason": "disk swap"}),
    ]


def test_error_of_the_manager_comes_out_as_itself(fake: FakeClient, conductor: ConductorClient) -> None:
    fake.answer = ServiceNotFoundError("cannot find service nova-compute on nowhere")
    with pytest.raises(ServiceNotFoundError, match=r"^cannot find service nova-compute on nowhere$"):
        conductor.enable_service("nowhere", "nova-compute")


def test_it_waits_ten_seconds_where_nobody_says_otherwise(fake: FakeClient) -> None:
    fake.answer = []
    ConductorClient(cast("RpcClient", fake)).list_services()
    assert fake.calls[0][3] == 10.0


def test_a_build_goes_to_a_queue_of_its_own_and_is_not_waited_for(fake: FakeClient, conductor: ConductorClient) -> None:
    request = BuildRequest(INSTANCE.uuid, "p1", SMALL, None)
    conductor.build_instance(request)
    conductor.end_overdue_build(INSTANCE.uuid)
    assert fake.calls == [
        ("cast to nova-conductor on (builds)", "build_instance", {"request": request.as_dict()}, 3.0),
        ("cast to nova-conductor on (builds)", "end_overdue_build", {"uuid": INSTANCE.uuid}, 3.0),
    ]


def test_instance_comes_back_as_such(fake: FakeClient, conductor: ConductorClient) -> None:
    fake.answer = INSTANCE.as_dict()
    assert conductor.get_instance(INSTANCE.uuid) == INSTANCE
    assert fake.calls == [("nova-conductor", "get_instance", {"uuid": INSTANCE.uuid}, 3.0)]


def test_a_change_travels_as_json_holds_it_with_the_host_that_asks(fake: FakeClient) -> None:
    fake.answer = INSTANCE.as_dict()
    conductor = ConductorClient(cast("RpcClient", fake), host="compute-01")
    changes = {
        "vm_state": VmState.ACTIVE,
        "task_state": None,
        "power_state": PowerState.RUNNING,
        "launched_at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "system_metadata": {"image_os": "linux"},
    }
    assert conductor.update_instance(INSTANCE.uuid, changes, Expected((VmState.BUILDING,), (None,))) == INSTANCE
    assert json.loads(json.dumps(fake.calls[0][2])) == {
        "uuid": INSTANCE.uuid,
        "host": "compute-01",
        "changes": {
            "vm_state": "active",
            "task_state": None,
            "power_state": 1,
            "launched_at": "2026-01-02T03:04:05+00:00",
            "system_metadata": {"image_os": "linux"},
        },
        "expected": {"vm_states": ["building"], "task_states": [None], "host": None},
    }


def test_what_a_host_says_of_itself_is_what_only_it_knows(fake: FakeClient, conductor: ConductorClient) -> None:
    conductor.report_compute_node(compute_node("compute-01"))
    assert fake.calls[0][2] == {
        "node": {
            "host": "compute-01",
            "node": "compute-01.example.org",
            "total": {"memory_mb": 16384, "vcpus": 8, "disk_gb": 200},
            "hypervisor_type": "QEMU",
            "hypervisor_version": 2000000,
            "cpu_info": {"arch": "x86_64", "features": ["vmx"]},
            "host_ip": "192.0.2.11",
            "running_vms": 0,
            "free_disk_gb": 150,
            "storage_id": None,
        }
    }


def test_instances_of_a_host_are_asked_for_until_there_are_no_more(fake: FakeClient) -> None:
    rows = [replace(INSTANCE, uuid=uuid_of(number)).as_dict() for number in range(1, 6)]

    class Paging(FakeClient):
        def call(self, target: Target, method: str, arguments: Mapping[str, Any], *, timeout_s: float) -> Any:
            super().call(target, method, arguments, timeout_s=timeout_s)
            after = arguments.get("after", "")
            rest = [row for row in rows if row["uuid"] > after]
            return {"instances": rest[:2], "has_more": len(rest) > 2}

    paging = Paging()
    found = ConductorClient(cast("RpcClient", paging)).instances_on_host("compute-01")
    assert [instance.uuid for instance in found] == [uuid_of(number) for number in range(1, 6)]
    assert [call[2] for call in paging.calls] == [
        {"host": "compute-01"},
        {"host": "compute-01", "after": uuid_of(2)},
        {"host": "compute-01", "after": uuid_of(4)},
    ]


@pytest.mark.parametrize("page", [[INSTANCE.as_dict()], []])
def test_a_conductor_that_always_has_more_does_not_hold_us(
    fake: FakeClient, conductor: ConductorClient, page: list[object]
) -> None:
    fake.answer = {"instances": page, "has_more": True}
    assert len(conductor.instances_on_host("compute-01")) == 2 * len(page)


def test_whoever_is_of_no_host_changes_nothing(fake: FakeClient, conductor: ConductorClient) -> None:
    for change in (
        lambda: conductor.update_instance(INSTANCE.uuid, {}),
        lambda: conductor.instance_deleted(INSTANCE.uuid),
        lambda: conductor.add_fault(INSTANCE.uuid, 500, "cannot reboot"),
        lambda: conductor.allocate_fixed_ip(INSTANCE.uuid, "private", "10.0.0.0/24"),
        lambda: conductor.release_fixed_ip(INSTANCE.uuid),
    ):
        with pytest.raises(ValueError, match=r"^cannot call \w+: it is for a service of one host$"):
            change()
    assert fake.calls == []


def test_manager_offers_what_the_client_asks_for_and_no_more(fake: FakeClient) -> None:
    conductor = ConductorClient(cast("RpcClient", fake), host="compute-01")
    fake.answer = VALUES
    conductor.report_service(ServiceReport("a", "b", "c", "d"))
    conductor.enable_service("a", "b")
    conductor.disable_service("a", "b", None)
    fake.answer = []
    conductor.list_services()
    fake.answer = {"instances": [], "has_more": False}
    conductor.instances_on_host("compute-01")
    fake.answer = INSTANCE.as_dict()
    conductor.report_compute_node(compute_node("compute-01"))
    conductor.get_instance(INSTANCE.uuid)
    conductor.update_instance(INSTANCE.uuid, {})
    conductor.instance_deleted(INSTANCE.uuid)
    conductor.add_fault(INSTANCE.uuid, 500, "cannot reboot")
    conductor.start_event(INSTANCE.uuid, "compute_reboot_instance")
    conductor.finish_event(INSTANCE.uuid, "compute_reboot_instance", result=EventResult.SUCCESS)
    fake.answer = {"address": "10.0.0.2", "mac": "fa:16:3e:00:00:01", "network": "private"}
    conductor.allocate_fixed_ip(INSTANCE.uuid, "private", "10.0.0.0/24")
    conductor.release_fixed_ip(INSTANCE.uuid)
    fake.answer = []
    conductor.whereabouts([INSTANCE.uuid])
    conductor.former_hosts(INSTANCE.uuid)
    conductor.take_over_claim(INSTANCE.uuid)
    offered = methods_of(ConductorManager(cast("Any", None)))
    assert {call[1] for call in fake.calls} == set(offered)
    for _, method, arguments, _ in fake.calls:
        signature(offered[method]).bind(**arguments)

    fake.calls.clear()
    conductor.build_instance(BuildRequest(INSTANCE.uuid, "p1", SMALL, None))
    conductor.end_overdue_build(INSTANCE.uuid)
    of_builds = methods_of(BuildMethods(cast("Any", None)))
    assert {call[1] for call in fake.calls} == set(of_builds)
    for _, method, arguments, _ in fake.calls:
        signature(of_builds[method]).bind(**arguments)

    fake.calls.clear()
    conductor.move_instance(1)
    of_moves = methods_of(MoveMethods(cast("Any", None)))
    assert {call[1] for call in fake.calls} == set(of_moves)
    for _, method, arguments, _ in fake.calls:
        signature(of_moves[method]).bind(**arguments)
