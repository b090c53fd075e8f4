"""Builds on a real bus: they come one by one to whoever has a hand free, and hold up nobody who asks a conductor."""

import threading
from collections.abc import Callable
from dataclasses import replace
from queue import SimpleQueue
from typing import Any, cast

import pytest

from cloud.domain.host import BuildRequest
from cloud.rpc.errors import BadMessageError
from cloud.rpc.methods import rpc_method
from cloud.rpc.topology import Target
from cloud.services.conductor.build_server import BuildMethods, BuildServer
from cloud.services.conductor.builder import Builder
from cloud.services.conductor.client import ConductorClient
from tests.db.making import SMALL, uuid_of
from tests.rpc.bus import Bus
from tests.services.said import Line

REQUEST = BuildRequest(uuid_of(1), "p1", SMALL, None)
WAIT_S = 30


class Building:
    """Builds that take until the gate is opened."""

    def __init__(self) -> None:
        self.begun: SimpleQueue[str] = SimpleQueue()
        self.done: SimpleQueue[str] = SimpleQueue()
        self.gate = threading.Event()

    def build(self, request: BuildRequest) -> None:
        self.begun.put(request.instance_uuid)
        assert self.gate.wait(WAIT_S)
        self.done.put(request.instance_uuid)

    def end_overdue(self, uuid: str) -> None:
        self.done.put(f"overdue {uuid}")


class Questions:
    """What is asked of a conductor meanwhile, by those whom it has build."""

    @rpc_method
    def get_instance(self, uuid: str) -> str:
        return uuid


def serve(bus: Bus, building: Building, *, workers: int = 2) -> BuildServer:
    server = BuildServer(bus.publisher(), bus.host(), BuildMethods(cast("Builder", building)), workers=workers)

    def stop() -> None:
        building.gate.set()
        server.stop(5)

    bus.stack.callback(stop)
    server.start()
    assert server.wait_until_up(10)
    return server


@pytest.mark.server
def test_builds_that_run_and_builds_that_wait_hold_up_no_question(bus: Bus) -> None:
    building = Building()
    serve(bus, building, workers=2)
    bus.server(Target("conductor", bus.host()), Questions(), workers=1)
    conductor = ConductorClient(bus.client())
    for number in range(1, 6):
        conductor.build_instance(replace(REQUEST, instance_uuid=uuid_of(number)))
    assert {building.begun.get(timeout=WAIT_S) for _ in range(2)} == {uuid_of(1), uuid_of(2)}
    answer = bus.client().call(Target("conductor"), "get_instance", {"uuid": "a"}, timeout_s=WAIT_S)
    assert answer == "a"
    assert building.begun.empty()
    building.gate.set()
    assert {building.done.get(timeout=WAIT_S) for _ in range(5)} == {uuid_of(number) for number in range(1, 6)}


@pytest.mark.server
def test_a_build_that_a_conductor_leaves_is_taken_up_by_another(bus: Bus) -> None:
    first, second = Building(), Building()
    server = serve(bus, first)
    ConductorClient(bus.client()).build_instance(REQUEST)
    assert first.begun.get(timeout=WAIT_S) == uuid_of(1)
    second.gate.set()
    serve(bus, second)
    assert not server.stop(0.1)
    assert second.done.get(timeout=WAIT_S) == uuid_of(1)


@pytest.mark.server
def test_overdue_builds_come_the_same_way(bus: Bus) -> None:
    building = Building()
    serve(bus, building)
    ConductorClient(bus.client()).end_overdue_build(uuid_of(1))
    assert building.done.get(timeout=WAIT_S) == f"overdue {uuid_of(1)}"


@pytest.mark.server
def test_a_request_that_cannot_be_is_refused_and_the_next_one_built(bus: Bus, lines: list[Line]) -> None:
    building = Building()
    building.gate.set()
    serve(bus, building, workers=1)
    client = bus.client()
    client.cast(Target("conductor", "(builds)"), "build_instance", {"request": {"instance_uuid": 5}})
    ConductorClient(client).build_instance(REQUEST)
    assert building.done.get(timeout=WAIT_S) == uuid_of(1)
    (failed,) = [fields for _, message, fields in lines if message == "method failed"]
    assert "cannot read request" in failed["error"]


@pytest.mark.parametrize(
    "call",
    [
        lambda methods: methods.build_instance(None),
        lambda methods: methods.build_instance({}),
        lambda methods: methods.build_instance({**REQUEST.as_dict(), "instance_uuid": ""}),
        lambda methods: methods.build_instance({**REQUEST.as_dict(), "instance_uuid": "a\x00b"}),
        lambda methods: methods.build_instance({**REQUEST.as_dict(), "flavor": {}}),
        lambda methods: methods.end_overdue_build(5),
        lambda methods: methods.end_overdue_build(None),
    ],
)
def test_what_cannot_be_read_is_the_askers_mistake(call: Callable[[Any], None]) -> None:
    building = Building()
    with pytest.raises(BadMessageError):
        call(BuildMethods(cast("Builder", building)))
    assert building.begun.empty()
