"""What is bounded, and what happens there."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from kombu import Connection, Queue

from cloud.rpc.client import RpcClient
from cloud.rpc.errors import BusUnavailableError
from cloud.rpc.publisher import MAX_CONNECTIONS, Publisher
from cloud.rpc.server import MAX_FANOUTS_WAITING
from cloud.rpc.topology import EXCHANGE, Target
from cloud.up.redis import redis_command
from tests.brokers import RedisBroker
from tests.rpc.bus import Bus
from tests.rpc.endpoint import Endpoint, connect_to
from tests.waiting import wait_until

pytestmark = pytest.mark.server


def test_a_full_queue_of_rabbitmq_refuses_and_takes_again_when_there_is_room(bus: Bus) -> None:
    if bus.broker.name != "rabbitmq":
        return
    target, client = Target("compute", bus.host()), bus.client()
    small = Queue(
        target.routing_key,
        EXCHANGE,
        routing_key=target.routing_key,
        max_length=2,
        queue_arguments={"x-overflow": "reject-publish"},
    )
    with Connection(bus.url) as connection, connection.channel() as channel:
        small(channel).declare()
        for number in range(2):
            client.cast(target, "note", {"number": number})
        for number in range(10):  # over the same connection, which stays good
            with pytest.raises(
                BusUnavailableError, match=r"^cannot send to amqp://nova:\*\*\*@.*: it has no more room$"
            ):
                client.cast(target, "note", {"number": number})
        small(channel).get(no_ack=True)
        client.cast(target, "note", {"number": 3})
        with pytest.raises(BusUnavailableError):
            client.cast(target, "note", {"number": 4})
        assert small(channel).purge() == 2


class SmallRedis(RedisBroker):
    """It is full after some 8 MB."""

    def _start_server(self):  # type: ignore[no-untyped-def]
        assert self._program is not None
        command = redis_command(self._program, self.directory, self.socket)
        return self._spawn([*command, "--maxmemory", "8mb"], {})


def fill(client: RpcClient, target: Target, size: int) -> None:
    for _ in range(100_000):
        client.cast(target, "note", {"sender": "x" * size, "number": 0})


def test_a_full_redis_refuses_and_what_it_has_is_still_served_and_nothing_is_lost() -> None:
    with SmallRedis() as broker, ExitStack() as stack:
        bus = Bus(broker, stack)
        target, other, endpoint = Target("compute", "small"), Target("compute", "other"), Endpoint("here")
        server = bus.server(target, endpoint, workers=1)
        bus.server(other, Endpoint()).stop(5)
        client = bus.client(timeout_s=5)
        client.cast(target, "work", {"name": "first"})
        wait_until(lambda: endpoint.works, what="the work to begin")
        for number in range(20):
            client.cast(target, "note", {"sender": "kept", "number": number})
        for size in (200_000, 100):
            with pytest.raises(BusUnavailableError, match="it has no more room"):
                fill(client, other, size)
        endpoint.gate.set()
        wait_until(lambda: len(endpoint.notes) >= 20, what="what it had")
        assert endpoint.notes == [("kept", number) for number in range(20)]
        with broker.client() as redis:
            redis.delete(other.routing_key)
        client.cast(target, "note", {"sender": "after", "number": 1})
        wait_until(lambda: ("after", 1) in endpoint.notes, what="what came after")
        assert client.call(target, "whoami") == "here"
        assert server.stats().repeated == 0


def test_fanouts_that_nobody_gets_round_to_are_dropped_and_counted(bus: Bus) -> None:
    target, endpoint = Target("objectstore", bus.host()), Endpoint()
    server = bus.server(target, endpoint, workers=1)
    client = bus.client()
    client.cast(target, "work", {"name": "blocks"})
    wait_until(lambda: endpoint.works, what="the work to begin")
    for number in range(MAX_FANOUTS_WAITING + 5):
        client.fanout("objectstore", "note", {"sender": "many", "number": number})
    wait_until(lambda: server.stats().refused == 6, what="the drops")
    endpoint.gate.set()
    wait_until(lambda: len(endpoint.notes) == MAX_FANOUTS_WAITING - 1, what="the others")
    assert client.call(target, "whoami") == ""


def test_many_threads_share_a_few_connections(bus: Bus) -> None:
    target, endpoint = Target("compute", bus.host()), Endpoint()
    bus.server(target, endpoint)
    broker = connect_to(bus.url)
    opened, lock = [], threading.Lock()
    connect = broker.connect

    def counting(**options):  # type: ignore[no-untyped-def]
        with lock:
            opened.append(options["is_consumed"])
        return connect(**options)

    broker.connect = counting  # type: ignore[method-assign]
    publisher = Publisher(broker)
    client = RpcClient(publisher, "test", timeout_s=20)
    with ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda n: client.cast(target, "note", {"sender": "s", "number": n}), range(300)))
    wait_until(lambda: len(endpoint.notes) == 300, what="all of them")
    with pytest.raises(Exception, match="nobody has ever listened"):
        client.cast(Target("compute", "nowhere"), "note")
    publisher.close()
    assert 1 <= len(opened) <= MAX_CONNECTIONS


def test_who_waits_for_a_connection_waits_to_its_deadline_only(bus: Bus) -> None:
    target = Target("compute", bus.host())
    bus.server(target, Endpoint())
    publisher = bus.publisher()
    client = RpcClient(publisher, "test", timeout_s=0.3)
    for _ in range(MAX_CONNECTIONS):
        publisher._free.acquire()
    began_s = time.monotonic()
    with pytest.raises(BusUnavailableError, match="all 4 connections are in use"):
        client.cast(target, "whoami")
    assert time.monotonic() - began_s < 1
    publisher._free.release()
    client.cast(target, "whoami")
    client.close()
