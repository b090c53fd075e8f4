"""What ConductorClient asks of nova-conductor, and what it makes of the answers."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from cloud.domain.service import Service, ServiceReport
from cloud.errors import ServiceNotFoundError
from cloud.rpc.client import RpcClient
from cloud.rpc.methods import methods_of
from cloud.rpc.topology import Target
from cloud.services.conductor.client import ConductorClient
from cloud.services.conductor.manager import ConductorManager

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


class FakeClient:
    def __init__(self, answer: object = None) -> None:
        self.answer = answer
        self.calls: list[tuple[str, str, Mapping[str, Any], float]] = []

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


def test_a_conductor_that_says_the_same_for_ever_does_not_hold_us(
    fake: FakeClient, conductor: ConductorClient
) -> None:
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


def test_manager_offers_what_the_client_asks_for(fake: FakeClient, conductor: ConductorClient) -> None:
    fake.answer = VALUES
    conductor.report_service(ServiceReport("a", "b", "c", "d"))
    conductor.enable_service("a", "b")
    conductor.disable_service("a", "b", None)
    fake.answer = []
    conductor.list_services()
    offered = methods_of(ConductorManager(cast("Any", None)))
    assert {call[1] for call in fake.calls} == set(offered)
