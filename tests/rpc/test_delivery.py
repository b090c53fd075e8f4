"""Who gets a message, in which order and how often, on both brokers."""

import time
import uuid
from collections import Counter
from functools import partial

import pytest
from kombu import Connection, Exchange

from cloud.rpc.client import RpcClient
from cloud.rpc.envelope import Request
from cloud.rpc.publisher import Message
from cloud.rpc.topology import EXCHANGE, ROLES, Target
from tests.rpc.bus import Bus
from tests.rpc.endpoint import REDELIVER_AFTER_S, Endpoint, start_caster
from tests.waiting import wait_until

pytestmark = pytest.mark.server


def has_noted(client: RpcClient, target: Target) -> bool:
    return bool(client.call(target, "noted") == [[target.role, 1]])


def is_past(moment_s: float) -> bool:
    return time.monotonic() > moment_s


@pytest.mark.parametrize("turn", [1, 2])
def test_of_services_that_bind_at_once_each_answers_on_role_host_and_fanout(bus: Bus, turn: int) -> None:
    targets = [Target(ROLES[number % 5], bus.host()) for number in range(14)]
    client = bus.client(timeout_s=20)
    running = [bus.process(target) for target in targets]
    for each in running:
        each.wait_until_up()
    for target in targets:
        assert client.call(target, "whoami") == target.host
    for role in ROLES[:5]:
        client.fanout(role, "note", {"sender": role, "number": 1})
    for target in targets:
        wait_until(partial(has_noted, client, target), what=f"a fanout at {target}")
    for role in ROLES[:5]:
        hosts = {target.host for target in targets if target.role == role}
        assert {client.call(Target(role), "whoami") for _ in range(30)} == hosts


def test_what_one_sender_sends_comes_in_its_order_and_once(bus: Bus) -> None:
    target, endpoint = Target("network", bus.host()), Endpoint()
    bus.server(target, endpoint, workers=1)
    casters = [bus.stack.enter_context(start_caster(bus.url, target, f"sender-{n}", 150)) for n in range(3)]
    for caster in casters:
        caster.wait_until_up()
    for caster in casters:
        assert caster.process.stdin is not None
        caster.process.stdin.write("go\n")
        caster.process.stdin.flush()
    wait_until(lambda: len(endpoint.notes) >= 450, 30, "all messages")
    for caster in casters:
        assert caster.process.wait(10) == 0
    for n in range(3):
        assert [number for sender, number in endpoint.notes if sender == f"sender-{n}"] == list(range(150))
    assert len(endpoint.notes) == 450


def test_what_a_killed_server_had_taken_comes_to_another_once(bus: Bus) -> None:
    role, survivor = "scheduler", Endpoint("survivor")
    client = bus.client(timeout_s=20)
    victim = Target(role, bus.host())
    process = bus.process(victim)
    process.wait_until_up()
    client.cast(Target(role), "work", {"name": "once"})
    wait_until(lambda: client.call(victim, "worked") == {"once": 1}, what="the work to begin")
    survivor.gate.set()
    bus.server(Target(role, bus.host()), survivor)
    process.kill()
    killed_s = time.monotonic()
    wait_until(lambda: survivor.works, 20, "the message to come again")
    bound_s = 1.0 if bus.broker.name == "rabbitmq" else 2 * REDELIVER_AFTER_S
    assert time.monotonic() - killed_s < bound_s
    client.cast(Target(role), "work", {"name": "later"})
    wait_until(lambda: survivor.works["later"], what="what came after it")
    assert survivor.works == {"once": 1, "later": 1}


def test_a_long_method_on_a_living_server_does_not_begin_twice(bus: Bus) -> None:
    role = "cert"
    first, second = Endpoint("first"), Endpoint("second")
    client = bus.client()
    servers = [bus.server(Target(role, bus.host()), endpoint) for endpoint in (first, second)]
    client.cast(Target(role), "work", {"name": "long"})
    wait_until(lambda: first.works or second.works, what="the work to begin")
    began_s = time.monotonic()
    wait_until(lambda: time.monotonic() - began_s > 1.6 * REDELIVER_AFTER_S, what="time to pass")
    assert first.works + second.works == {"long": 1}
    for endpoint in (first, second):
        endpoint.gate.set()
    wait_until(lambda: sum(server.stats().handled for server in servers) == 1, what="its end")
    assert [server.stats().repeated for server in servers] == [0, 0]


def test_a_fanout_reaches_every_server_of_the_role_once_and_no_other(bus: Bus) -> None:
    ours = [Endpoint() for _ in range(3)]
    other = Endpoint()
    for endpoint in ours:
        bus.server(Target("consoleauth", bus.host()), endpoint)
    bus.server(Target("objectstore", bus.host()), other)
    client = bus.client()
    for number in range(5):
        client.fanout("consoleauth", "note", {"sender": "all", "number": number})
    wait_until(lambda: all(len(endpoint.notes) >= 5 for endpoint in ours), what="all fanouts")
    client.fanout("objectstore", "note", {"sender": "other", "number": 0})
    wait_until(lambda: other.notes, what="the other role's fanout")
    assert [sorted(endpoint.notes) for endpoint in ours] == [[("all", number) for number in range(5)]] * 3
    assert other.notes == [("other", 0)]


def test_a_fanout_to_a_role_without_a_server_is_no_error(bus: Bus) -> None:
    bus.client().fanout("api", "note", {"sender": "all", "number": 0})


def test_an_idle_server_gets_what_a_busy_one_of_its_role_cannot_begin(bus: Bus) -> None:
    busy, idle = Endpoint("busy"), Endpoint("idle")
    client = bus.client()
    bus.server(Target("novncproxy", bus.host()), busy, workers=1)
    client.cast(Target("novncproxy"), "work", {"name": "long"})
    wait_until(lambda: busy.works, what="the work to begin")
    bus.server(Target("novncproxy", bus.host()), idle, workers=1)
    for _ in range(10):
        assert client.call(Target("novncproxy"), "whoami") == "idle"


def test_a_call_after_a_pause_is_answered_at_once(bus: Bus) -> None:
    """On Redis the question whether there is a message ends every second, and has to be asked anew."""
    if bus.broker.name != "redis":
        return
    target = Target("api", bus.host())
    bus.server(target, Endpoint("here"))
    client = bus.client()
    client.call(target, "whoami")
    slowest_s = 0.0
    for pause_s in (1.2, 1.4, 1.6):
        wait_until(partial(is_past, time.monotonic() + pause_s), what="time to pass")
        began_s = time.monotonic()
        client.call(target, "whoami")
        slowest_s = max(slowest_s, time.monotonic() - began_s)
    assert slowest_s < 0.3


GARBAGE: dict[str, bytes] = {
    "no JSON": b"\xff\xfe not json",
    "not ours": b'{"hello": "world"}',
    "another version": b'{"version": 99, "id": "x"}',
    "a list": b"[1, 2, 3]",
    "no fields": b'{"version": 1}',
    "an id that is no text": b'{"version":1,"id":{},"method":"m","arguments":{},"sender":"s","context":{},"reply_to":null,"expires_at_s":null}',
    "nothing": b"",
}


def test_garbage_is_refused_once_and_the_service_goes_on(bus: Bus) -> None:
    target, endpoint = Target("compute", bus.host()), Endpoint("still here")
    server = bus.server(target, endpoint)
    with Connection(bus.url) as connection, connection.channel() as channel:
        producer = connection.Producer(channel, exchange=Exchange("nova", type="topic", durable=True))
        for body in GARBAGE.values():
            producer.publish(body, routing_key=target.routing_key, content_type="x", content_encoding="binary")
    wait_until(lambda: server.stats().refused == len(GARBAGE), what="it to be refused")
    assert bus.client().call(target, "whoami") == "still here"
    assert server.stats().refused == len(GARBAGE)
    assert len(bus.said("request refused")) == len(GARBAGE)
    assert bus.said("bus is away") == []


def test_a_compressed_message_is_refused_as_it_is(bus: Bus) -> None:
    target, endpoint = Target("compute", bus.host()), Endpoint("still here")
    server = bus.server(target, endpoint)
    request = Request("1", "note", {"sender": "x" * 100_000, "number": 1}, "test").encode()
    with Connection(bus.url) as connection, connection.channel() as channel:
        producer = connection.Producer(channel, exchange=Exchange("nova", type="topic", durable=True))
        options = {"routing_key": target.routing_key, "content_type": "x", "content_encoding": "binary"}
        producer.publish(request, compression="zlib", **options)
        producer.publish(b"{}", headers={"compression": "no such"}, **options)
    wait_until(lambda: server.stats().refused == 2, what="both to be refused")
    assert bus.client().call(target, "whoami") == "still here"
    assert endpoint.notes == []
    assert bus.said("bus is away") == []


def test_copies_of_a_request_that_runs_take_no_place_of_the_window(bus: Bus) -> None:
    target, endpoint = Target("compute", bus.host()), Endpoint()
    server = bus.server(target, endpoint, workers=2)
    publisher = bus.publisher()
    request = Request(uuid.uuid4().hex, "work", {"name": "copied"}, "test").encode()
    for _ in range(4):
        publisher.send(Message(request, EXCHANGE, target.routing_key), deadline_s=time.monotonic() + 5)
    wait_until(lambda: server.stats().repeated == 3, what="the copies to be taken")
    assert bus.client().call(target, "whoami") == ""  # the other worker is free
    endpoint.gate.set()
    wait_until(lambda: server.stats().handled == 2, what="the work to end")


def test_restarts_leave_no_binding_behind(bus: Bus) -> None:
    if bus.broker.name != "redis":
        return  # RabbitMQ unbinds what is gone
    host = bus.host()
    for _ in range(3):
        process = bus.process(Target("cert", host))
        process.wait_until_up()
        process.kill()
    with bus.broker.client() as redis:  # type: ignore[attr-defined]
        members = [member for member in redis.smembers("_kombu.binding.nova_cert_fanout") if host in str(member)]
    assert len(members) == 1


def test_what_is_not_even_a_message_on_redis_is_refused_and_does_not_disturb_what_runs(bus: Bus) -> None:
    if bus.broker.name != "redis":
        return  # AMQP has no such thing
    target, endpoint = Target("compute", bus.host()), Endpoint("still here")
    server = bus.server(target, endpoint)
    client = bus.client()
    client.cast(target, "work", {"name": "running"})
    wait_until(lambda: endpoint.works, what="the work to begin")
    with bus.broker.client() as redis:  # type: ignore[attr-defined]
        for raw in (
            "not json",
            "{}",
            "[]",
            '"text"',
            '{"properties": {}}',
            '{"properties": {"delivery_tag": "x", "body_encoding": "base64"}, "body": "%%%"}',
            "\x00",
        ):
            redis.lpush(target.routing_key, raw)
    wait_until(lambda: server.stats().refused == 7, what="it to be refused")
    assert client.call(target, "whoami") == "still here"
    assert bus.said("bus is away") == []
    assert endpoint.works == {"running": 1}


def test_a_message_that_comes_twice_is_done_once(bus: Bus) -> None:
    target, endpoint = Target("compute", bus.host()), Endpoint()
    server = bus.server(target, endpoint)
    publisher = bus.publisher()

    def send() -> None:
        body = Request("same-id", "work", {"name": "once"}, "test").encode()
        publisher.send(Message(body, EXCHANGE, target.routing_key), deadline_s=time.monotonic() + 5)

    send()
    wait_until(lambda: endpoint.works, what="the work to begin")
    send()
    wait_until(lambda: server.stats().repeated == 1, what="the second to be known while the first runs")
    endpoint.gate.set()
    wait_until(lambda: server.stats().handled == 1, what="the end")
    send()
    wait_until(lambda: server.stats().repeated == 2, what="the third to be known when the first is done")
    assert endpoint.works == Counter(once=1)


def test_a_server_whose_queue_is_deleted_under_it_makes_it_anew(bus: Bus) -> None:
    if bus.broker.name != "rabbitmq":
        return  # kombu's Redis has no queues that could be deleted, only what waits in them
    target = Target("compute", bus.host())
    bus.server(target, Endpoint("here"))
    client = bus.client()
    with Connection(bus.url) as connection, connection.channel() as channel:
        channel.queue_delete(target.routing_key)
    wait_until(lambda: bus.said("bus is back"), what="it to be made anew")
    assert client.call(target, "whoami") == "here"


def test_a_service_process_that_is_told_to_ends(bus: Bus) -> None:
    process = bus.process(Target("compute", bus.host()))
    process.wait_until_up()
    assert process.process.stdin is not None
    process.process.stdin.close()
    assert process.process.wait(10) == 0
