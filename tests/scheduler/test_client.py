"""What SchedulerClient asks of nova-scheduler, and what it makes of the answers."""

from collections.abc import Mapping
from typing import Any, cast

import pytest

from cloud.domain.flavor import Resources
from cloud.domain.host import Candidate
from cloud.errors import NoValidHostError
from cloud.rpc.client import RpcClient
from cloud.rpc.methods import methods_of
from cloud.rpc.topology import Target
from cloud.services.scheduler.client import SchedulerClient
from cloud.services.scheduler.manager import SchedulerManager
from tests.scheduler.hosts import request


class FakeClient:
    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.calls: list[tuple[str, str, Mapping[str, Any], float]] = []

    def call(self, target: Target, method: str, arguments: Mapping[str, Any], *, timeout_s: float) -> Any:
        self.calls.append((str(target), method, arguments, timeout_s))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


CANDIDATE = Candidate("compute-01", "node-01", Resources(12288, 64, 100), 1.5)


def test_request_travels_and_candidates_come_back() -> None:
    limits = {"memory_mb": 12288, "vcpus": 64, "disk_gb": 100}
    fake = FakeClient([{"host": "compute-01", "node": "node-01", "limits": limits, "weight": 1.5}])
    wanted = request(ignored_hosts=("compute-02",))
    assert SchedulerClient(cast("RpcClient", fake), timeout_s=3.0).select_hosts(wanted) == (CANDIDATE,)
    assert fake.calls == [("nova-scheduler", "select_hosts", {"request": wanted.as_dict()}, 3.0)]


def test_error_of_the_manager_comes_out_as_itself() -> None:
    fake = FakeClient(NoValidHostError("no valid host: 0 hosts"))
    with pytest.raises(NoValidHostError, match=r"^no valid host: 0 hosts$"):
        SchedulerClient(cast("RpcClient", fake)).select_hosts(request())
    assert fake.calls[0][3] == 30.0


def test_manager_offers_what_the_client_asks_for() -> None:
    fake = FakeClient([])
    SchedulerClient(cast("RpcClient", fake)).select_hosts(request())
    assert {call[1] for call in fake.calls} == set(methods_of(cast("Any", SchedulerManager.__new__(SchedulerManager))))
