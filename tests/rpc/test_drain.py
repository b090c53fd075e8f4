"""How a server stops, on both brokers, and what it leaves."""

import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from cloud.rpc.brokers import broker_for
from cloud.rpc.client import RpcClient
from cloud.rpc.errors import BusUnavailableError
from cloud.rpc.methods import methods_of
from cloud.rpc.publisher import Publisher
from cloud.rpc.server import RpcServer
from cloud.rpc.topology import Target
from tests.rpc.bus import Bus, descriptors
from tests.rpc.endpoint import Endpoint, connect_to
from tests.waiting import wait_until

pytestmark = pytest.mark.server


def test_a_drain_waits_for_what_runs_takes_nothing_new_and_the_rest_goes_to_another(bus: Bus) -> None:
    role, first, second = "cert", Endpoint("first"), Endpoint("second")
    client = bus.client()
    server = bus.server(Target(role, bus.host()), first, workers=1)
    with ThreadPoolExecutor(3) as pool:
        running = pool.submit(client.call, Target(role), "work", {"name": "runs"})
        wait_until(lambda: first.works, what="the work to begin")
        stopped = pool.submit(server.stop, 10)
        wait_until(lambda: server._consumer is None, what="the drain to begin")
        client.fanout(role, "note", {"sender": "fanout", "number": 1})
        waiting = pool.submit(client.call, Target(role), "work", {"name": "waits"})
        second.gate.set()
        bus.server(Target(role, bus.host()), second)
        assert waiting.result(10) == "waits by second"
        assert not stopped.done()
        assert not running.done()
        first.gate.set()
        assert running.result(10) == "runs by first"
        assert stopped.result(10) is True
    assert first.works == {"runs": 1}
    assert second.works == {"waits": 1}
    assert server.stats().repeated == 0
    assert first.notes == []
    assert bus.said("bus is away") == []


def test_a_method_that_outlasts_the_drain_is_left_and_its_message_goes_to_another_at_once(bus: Bus) -> None:
    role, first, second = "cert", Endpoint("first"), Endpoint("second")
    client = bus.client()
    server = bus.server(Target(role, bus.host()), first)
    client.cast(Target(role), "work", {"name": "long"})
    wait_until(lambda: first.works, what="the work to begin")
    second.gate.set()
    bus.server(Target(role, bus.host()), second)
    assert server.stop(0.5) is False
    wait_until(lambda: second.works == {"long": 1}, 1.5, "the message to come again")


def test_what_is_sent_while_no_server_runs_waits_for_the_next(bus: Bus) -> None:
    target, first, second = Target("compute", bus.host()), Endpoint(), Endpoint()
    client = bus.client()
    assert bus.server(target, first).stop(5) is True
    for number in range(3):
        client.cast(target, "note", {"sender": "kept", "number": number})
    bus.server(target, second, workers=1)
    wait_until(lambda: second.notes == [("kept", 0), ("kept", 1), ("kept", 2)], what="what waited")
    assert first.notes == []


def test_nothing_is_left_after_everything_is_closed(bus: Bus) -> None:
    def once() -> None:
        target, publisher = Target("compute", bus.host()), Publisher(connect_to(bus.url))
        server = RpcServer(publisher, target, methods_of(Endpoint("here")))
        client = RpcClient(publisher, "test", timeout_s=10)
        server.start()
        assert server.wait_until_up(10)
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(lambda _: client.call(target, "whoami"), range(40))) == ["here"] * 40
        assert server.stop(5) is True
        client.close()
        publisher.close()

    once()
    gc.collect()
    before, threads = descriptors(), threading.active_count()
    for _ in range(3):
        once()
    wait_until(lambda: threading.active_count() == threads, what="the threads' end")
    assert len(descriptors()) == len(before)
    gc.collect()  # a socket that nobody closed would warn here


def test_a_server_that_was_never_started_leaves_nothing(bus: Bus) -> None:
    before = descriptors()
    publisher = Publisher(broker_for(bus.url))
    server = RpcServer(publisher, Target("compute", "x"), {})
    assert server.stop(1) is True
    publisher.close()
    assert descriptors() == before


def test_closing_the_client_ends_the_wait_of_its_callers(bus: Bus) -> None:
    target, endpoint = Target("compute", bus.host()), Endpoint()
    bus.server(target, endpoint)
    client = bus.client(timeout_s=30)
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(client.call, target, "work", {"name": str(n)}) for n in range(3)]
        wait_until(lambda: len(endpoint.works) == 3, what="the work to begin")
        client.close()
        for call in calls:
            with pytest.raises(BusUnavailableError, match="closed"):
                call.result(5)
    with pytest.raises(BusUnavailableError, match="closed"):
        client.call(target, "whoami")


def test_a_closed_publisher_refuses(bus: Bus) -> None:
    publisher = Publisher(broker_for(bus.url))
    client = RpcClient(publisher, "test", timeout_s=5)
    publisher.close()
    with pytest.raises(BusUnavailableError, match="closed"):
        client.cast(Target("compute"), "whoami")
