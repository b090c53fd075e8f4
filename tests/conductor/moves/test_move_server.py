"""Moves on a real bus: they come one by one to whoever has a hand free, and hold up no builds and no questions."""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, cast

import pytest

from cloud.domain.host import BuildRequest
from cloud.rpc.errors import BadMessageError
from cloud.rpc.methods import rpc_method
from cloud.rpc.topology import Target
from cloud.services.conductor.client import MOVES, ConductorClient
from cloud.services.conductor.moves.mover import Mover
from cloud.services.conductor.moves.server import MoveMethods, MoveServer
from tests.db.making import SMALL, uuid_of
from tests.rpc.bus import Bus

WAIT_S = 30


class Moving:
    """Moves that take until the gate is opened."""

    def __init__(self) -> None:
        self.begun: SimpleQueue[int] = SimpleQueue()
        self.done: SimpleQueue[int] = SimpleQueue()
        self.gate = threading.Event()

    def move(self, migration_id: int) -> None:
        self.begun.put(migration_id)
        assert self.gate.wait(WAIT_S)
        self.done.put(migration_id)


class Questions:
    """What is asked of a conductor meanwhile, by those whom it has move."""

    @rpc_method
    def get_instance(self, uuid: str) -> str:
        return uuid


def serve(bus: Bus, moving: Moving, *, workers: int = 2) -> MoveServer:
    server = MoveServer(bus.publisher(), bus.host(), MoveMethods(cast("Mover", moving)), workers=workers)

    def stop() -> None:
        moving.gate.set()
        server.stop(5)

    bus.stack.callback(stop)
    server.start()
    assert server.wait_until_up(10)
    return server


@pytest.mark.server
def test_moves_that_run_and_moves_that_wait_hold_up_no_question(bus: Bus) -> None:
    moving = Moving()
    serve(bus, moving, workers=2)
    bus.server(Target("conductor", bus.host()), Questions(), workers=1)
    conductor = ConductorClient(bus.client())
    for number in range(1, 6):
        conductor.move_instance(number)
    assert {moving.begun.get(timeout=WAIT_S) for _ in range(2)} == {1, 2}
    assert bus.client().call(Target("conductor"), "get_instance", {"uuid": "a"}, timeout_s=WAIT_S) == "a"
    assert moving.begun.empty()
    moving.gate.set()
    assert {moving.done.get(timeout=WAIT_S) for _ in range(5)} == {1, 2, 3, 4, 5}


@pytest.mark.server
def test_a_move_that_a_conductor_leaves_is_taken_up_by_another(bus: Bus) -> None:
    first, second = Moving(), Moving()
    server = serve(bus, first)
    ConductorClient(bus.client()).move_instance(7)
    assert first.begun.get(timeout=WAIT_S) == 7
    second.gate.set()
    serve(bus, second)
    assert not server.stop(0.1)
    assert second.done.get(timeout=WAIT_S) == 7


@pytest.mark.server
def test_a_message_that_says_more_than_which_migration_is_not_heard(bus: Bus) -> None:
    moving = Moving()
    moving.gate.set()
    serve(bus, moving)
    request = BuildRequest(uuid_of(1), "p1", SMALL, None, forced_host="compute-02").as_dict()
    bus.client().cast(MOVES, "move_instance", {"migration_id": 7, "request": request}, timeout_s=WAIT_S)
    ConductorClient(bus.client()).move_instance(8)
    assert moving.done.get(timeout=WAIT_S) == 8
    assert moving.begun.qsize() == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda methods: methods.move_instance(None),
        lambda methods: methods.move_instance("7"),
        lambda methods: methods.move_instance(0),
        lambda methods: methods.move_instance(True),
    ],
)
def test_what_cannot_be_read_is_the_askers_mistake(call: Callable[[Any], None]) -> None:
    moving = Moving()
    with pytest.raises(BadMessageError):
        call(MoveMethods(cast("Mover", moving)))
    assert moving.begun.empty()
