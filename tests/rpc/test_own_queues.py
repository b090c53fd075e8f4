"""A server of queues of its own, beside the one that every service has."""

import pytest

from cloud.rpc.methods import methods_of
from cloud.rpc.server import RpcServer
from cloud.rpc.topology import Target, queue_of
from tests.rpc.bus import Bus
from tests.rpc.endpoint import Endpoint
from tests.waiting import wait_until

pytestmark = pytest.mark.server

OWN = Target("conductor", "(own)")


def beside(bus: Bus, host: str, endpoint: Endpoint) -> RpcServer:
    server = RpcServer(
        bus.publisher(), Target("conductor", host), methods_of(endpoint), workers=2, queues=[queue_of(OWN)]
    )
    bus.stack.callback(server.stop, 5)
    server.start()
    assert server.wait_until_up(10)
    return server


def test_it_takes_what_waits_there_and_nothing_else(bus: Bus) -> None:
    host, asked, own, client = bus.host(), Endpoint("asked"), Endpoint("own"), bus.client()
    asked.gate.set()
    own.gate.set()
    bus.server(Target("conductor", host), asked)
    beside(bus, host, own)
    for number in range(5):
        client.cast(OWN, "note", {"sender": "own", "number": number})
        client.cast(Target("conductor", host), "note", {"sender": "host", "number": number})
    client.fanout("conductor", "note", {"sender": "all", "number": 0})
    assert client.call(OWN, "whoami") == "own"
    assert client.call(Target("conductor", host), "whoami") == "asked"
    wait_until(lambda: len(own.notes) == 5 and len(asked.notes) == 6, what="all to be noted")
    assert {sender for sender, _ in own.notes} == {"own"}
    assert {sender for sender, _ in asked.notes} == {"host", "all"}


def test_only_the_server_that_every_service_has_says_that_the_bus_is_away(bus: Bus) -> None:
    host, own, client = bus.host(), Endpoint("own"), bus.client(timeout_s=20)
    bus.server(Target("conductor", host), Endpoint("asked"))
    server = beside(bus, host, own)
    bus.broker.kill()
    wait_until(lambda: bus.said("bus is away"), what="it to be noticed")
    wait_until(lambda: not server.wait_until_up(0), what="the other to notice")
    bus.broker.start()
    assert server.wait_until_up(20)
    wait_until(lambda: bus.said("bus is back"), what="it to be back")
    assert client.call(OWN, "whoami") == "own"
    assert (len(bus.said("bus is away")), len(bus.said("bus is back"))) == (1, 1)


def test_it_ends_what_runs_and_leaves_the_rest_to_another(bus: Bus) -> None:
    first, second, client = Endpoint("first"), Endpoint("second"), bus.client()
    server = beside(bus, bus.host(), first)
    client.cast(OWN, "work", {"name": "long"})
    wait_until(lambda: first.works, what="the work to begin")
    first.gate.set()
    assert server.stop(10) is True
    client.cast(OWN, "work", {"name": "next"})
    second.gate.set()
    beside(bus, bus.host(), second)
    wait_until(lambda: second.works == {"next": 1}, what="what waited to be done")
    assert first.works == {"long": 1}
