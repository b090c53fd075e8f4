"""What a caller gets back, on both brokers."""

import json
import time
import uuid

import pytest
from kombu import Exchange, Queue

from cloud.errors import ServiceNotFoundError
from cloud.logs.emit import request_context
from cloud.rpc.brokers import broker_for
from cloud.rpc.client import RpcClient
from cloud.rpc.envelope import MAX_BYTES, Request
from cloud.rpc.errors import (
    BadMessageError,
    BusUnavailableError,
    NoSuchMethodError,
    NoSuchTargetError,
    RemoteError,
    RpcTimeoutError,
)
from cloud.rpc.methods import rpc_method
from cloud.rpc.publisher import Message, Publisher
from cloud.rpc.server import RpcServer
from cloud.rpc.topology import EXCHANGE, Target
from tests.rpc.bus import Bus
from tests.rpc.endpoint import Endpoint, connect_to, start_caller
from tests.waiting import wait_until

pytestmark = pytest.mark.server


class Failing:
    """Fails in every way."""

    @rpc_method
    def fail(self, kind: str, message: str) -> None:
        kinds = (ServiceNotFoundError, ValueError, KeyError, PermissionError, TimeoutError, OSError, ZeroDivisionError)
        raise {each.__name__: each for each in kinds}[kind](message)

    @rpc_method
    def unsendable(self) -> object:
        return object()

    @rpc_method
    def huge(self) -> str:
        return "x" * MAX_BYTES

    @rpc_method
    def add(self, one: int, two: int = 2) -> int:
        return one + two

    def secret(self) -> str:
        """Not for the bus."""
        return "secret"


class Mirror:
    """Gives back what it gets."""

    @rpc_method
    def mirror(self, text: str) -> str:
        return text


@pytest.mark.parametrize(
    ("kind", "expected", "message"),
    [
        ("ServiceNotFoundError", ServiceNotFoundError, "no such thing"),
        ("ValueError", ValueError, "no such thing"),
        ("KeyError", KeyError, "'no such thing'"),
        ("PermissionError", PermissionError, "no such thing"),
        ("TimeoutError", TimeoutError, "no such thing"),
        ("OSError", RemoteError, "OSError: no such thing"),
        ("ZeroDivisionError", RemoteError, "ZeroDivisionError: no such thing"),
    ],
)
def test_an_error_comes_back_as_itself_or_as_a_remote_error(
    bus: Bus, kind: str, expected: type[Exception], message: str
) -> None:
    target = Target("compute", bus.host())
    bus.server(target, Failing())
    with pytest.raises(expected) as raised:
        bus.client().call(target, "fail", {"kind": kind, "message": "no such thing"})
    assert type(raised.value) is expected
    assert str(raised.value) == message
    assert len(bus.said("method failed")) == (0 if kind == "ServiceNotFoundError" else 1)


def test_what_cannot_be_called_is_refused_by_its_own_error(bus: Bus) -> None:
    target = Target("compute", bus.host())
    server = bus.server(target, Failing())
    client = bus.client()
    for name in ("nothing", "secret", "__init__", "_count"):
        with pytest.raises(NoSuchMethodError, match=f"^cannot call {name}: there is no such method$"):
            client.call(target, name)
    with pytest.raises(BadMessageError, match=r"^cannot call add: missing a required argument: 'one'$"):
        client.call(target, "add", {})
    with pytest.raises(BadMessageError, match=r"^cannot call add: got an unexpected keyword argument 'three'$"):
        client.call(target, "add", {"one": 1, "three": 3})
    with pytest.raises(BadMessageError, match="cannot send what JSON does not hold"):
        client.call(target, "unsendable")
    with pytest.raises(BadMessageError, match="a message has at most 1048576"):
        client.call(target, "huge")
    assert client.call(target, "add", {"one": 40}) == 42
    assert server.stats().handled == 3


def test_what_is_too_large_or_no_json_is_refused_before_it_is_sent(bus: Bus) -> None:
    target = Target("compute", bus.host())
    server = bus.server(target, Failing())
    client = bus.client()
    with pytest.raises(BadMessageError, match="a message has at most 1048576"):
        client.cast(target, "add", {"one": "x" * MAX_BYTES})
    with pytest.raises(BadMessageError, match="cannot send what JSON does not hold"):
        client.call(target, "add", {"one": {1, 2}})
    with pytest.raises(BadMessageError, match="cannot send what JSON does not hold"):
        client.call(target, "add", {"one": float("nan")})
    assert client.call(target, "add", {"one": 1}) == 3
    assert server.stats().handled == 1


def test_large_messages_come_whole(bus: Bus) -> None:
    """Of many frames, or of several reads."""
    target = Target("compute", bus.host())
    bus.server(target, Mirror())
    client = bus.client()
    for size in (1, 10_000, 200_000, 1_000_000):
        assert client.call(target, "mirror", {"text": "x" * size}) == "x" * size


def test_a_host_that_never_listened_is_no_target_at_once(bus: Bus) -> None:
    client = bus.client(timeout_s=30)
    began_s = time.monotonic()
    for _ in range(3):
        with pytest.raises(
            NoSuchTargetError, match=r"^cannot send to compute.nowhere: nobody has ever listened there$"
        ):
            client.call(Target("compute", "nowhere"), "whoami")
        with pytest.raises(
            NoSuchTargetError, match=r"^cannot send to compute.nowhere: nobody has ever listened there$"
        ):
            client.cast(Target("compute", "nowhere"), "whoami")
    assert time.monotonic() - began_s < 3
    target = Target("compute", bus.host())
    bus.server(target, Endpoint("here"))
    assert client.call(target, "whoami") == "here"


def test_the_callers_context_is_on_the_lines_of_the_third_service(bus: Bus) -> None:
    client = bus.client()
    hosts = [bus.host() for _ in range(3)]
    for host in hosts:
        bus.server(Target("conductor", host), Endpoint(host, client))
    with request_context(request_id="req-1", user="alice", project="lab", instance="42"):
        contexts = client.call(Target("conductor", hosts[0]), "context", {"then": hosts[1:]})["contexts"]
    expected = {"request_id": "req-1", "user": "alice", "project": "lab", "instance": "42"}
    assert contexts == [expected] * 3
    assert client.call(Target("conductor", hosts[0]), "context", {"then": []}) == {"contexts": [{}]}


def test_no_reply_in_time_is_a_timeout_and_logged_and_a_late_reply_is_ignored(bus: Bus) -> None:
    target, endpoint = Target("compute", bus.host()), Endpoint("slow")
    server = bus.server(target, endpoint)
    client = bus.client()
    began_s = time.monotonic()
    with pytest.raises(
        RpcTimeoutError, match=f"^cannot call work of nova-compute on {target.host}: no reply in 0.5 s$"
    ):
        client.call(target, "work", {"name": "late"}, timeout_s=0.5)
    assert 0.5 <= time.monotonic() - began_s < 1.5
    (line,) = bus.said("no reply in time")
    assert line == {
        "event": "rpc.timeout",
        "target": f"nova-compute on {target.host}",
        "method": "work",
        "timeout_s": 0.5,
        "level": "WARNING",
    }
    endpoint.gate.set()
    wait_until(lambda: server.stats().handled == 1, what="the late reply")
    assert client.call(target, "whoami") == "slow"


def test_a_request_that_expired_in_the_queue_is_not_run(bus: Bus) -> None:
    target, endpoint = Target("compute", bus.host()), Endpoint()
    server = bus.server(target, endpoint, workers=1)
    publisher = bus.publisher()
    arguments = {"sender": "late", "number": 1}
    for age_s in (4, 6, 7):  # clocks may differ by 5 s
        late = Request(uuid.uuid4().hex, "note", arguments, "test", expires_at_s=time.time() - age_s)
        publisher.send(Message(late.encode(), EXCHANGE, target.routing_key), deadline_s=time.monotonic() + 5)
    assert bus.client().call(target, "whoami") == ""
    assert len(endpoint.notes) == 1
    assert server.stats().expired == 2
    assert [line["total"] for line in bus.said("requests came too late")] == [1]  # not one for each


def test_a_reply_to_a_caller_that_was_killed_leaves_nothing_behind(bus: Bus) -> None:
    target, endpoint = Target("compute", bus.host()), Endpoint("here")
    server = bus.server(target, endpoint)
    caller = bus.stack.enter_context(start_caller(bus.url, target, "gone"))
    wait_until(lambda: endpoint.works, what="the work to begin")
    caller.kill()
    endpoint.gate.set()
    wait_until(lambda: server.stats().handled == 1, what="the reply")
    assert bus.client().call(target, "whoami") == "here"
    assert bus.said("cannot send reply") == []
    if bus.broker.name == "redis":
        with bus.broker.client() as redis:  # type: ignore[attr-defined]
            wait_until(lambda: redis.keys("reply_*"), what="the reply nobody takes")
            (key,) = redis.keys("reply_*")
            assert 50 < redis.ttl(key) <= 60
            redis.delete(key)


def test_a_reply_whose_queue_has_expired_does_not_disturb_the_server(bus: Bus) -> None:
    target, endpoint = Target("compute", bus.host()), Endpoint("here")
    server = bus.server(target, endpoint)
    client = bus.client()
    queue = client._replies.queue
    client.call(target, "whoami")
    with pytest.raises(RpcTimeoutError):
        client.call(target, "work", {"name": "late"}, timeout_s=0.2)
    connection = connect_to(bus.url).connect(is_consumed=False)
    Queue(queue)(connection.default_channel).delete()
    connection.release()
    endpoint.gate.set()
    wait_until(lambda: server.stats().handled == 2, what="the reply")
    # The caller is told that its queue is gone, and makes it anew.
    wait_until(lambda: client.call(target, "whoami", timeout_s=2) == "here", what="an answer")


def test_a_reply_to_a_queue_that_the_broker_has_let_expire_goes_nowhere(bus: Bus) -> None:
    target, endpoint = Target("compute", bus.host()), Endpoint("here")
    server, publisher = bus.server(target, endpoint), bus.publisher()
    name = f"reply_{uuid.uuid4().hex}"
    if bus.broker.name == "rabbitmq":
        connection = connect_to(bus.url).connect(is_consumed=False)
        bus.stack.callback(connection.release)
        Queue(name, expires=0.3)(connection.default_channel).declare()
        wait_until(lambda: is_gone(publisher, name), what="the queue to expire")
    request = Request(uuid.uuid4().hex, "whoami", {}, "test", reply_to=name)
    publisher.send(Message(request.encode(), EXCHANGE, target.routing_key), deadline_s=time.monotonic() + 5)
    wait_until(lambda: server.stats().handled == 1, what="the request to be handled")
    assert bus.client().call(target, "whoami") == "here"
    assert bus.said("cannot send reply") == []
    if bus.broker.name == "rabbitmq":
        assert is_gone(publisher, name)
    else:
        with bus.broker.client() as redis:  # type: ignore[attr-defined]
            assert 50 < redis.ttl(name) <= 60


def is_gone(publisher: Publisher, queue: str) -> bool:
    """Asked by publishing: a declaration, even a passive one, would keep RabbitMQ's queue from expiring."""
    try:
        publisher.send(Message(b"{}", Exchange(""), queue), deadline_s=time.monotonic() + 5)
    except NoSuchTargetError:
        return True
    return False


def test_the_message_of_the_bus_never_has_the_password(bus: Bus) -> None:
    if bus.broker.name == "redis":
        return  # on a socket there is none
    url = bus.url.replace(bus.url.split(":")[2].split("@")[0], "wr0ng-secret")
    publisher = Publisher(broker_for(url))
    client = RpcClient(publisher, "test", timeout_s=1)
    server = RpcServer(publisher, Target("compute", "x"), {})
    server.start()
    with pytest.raises(BusUnavailableError) as called:
        client.call(Target("compute"), "whoami")
    with pytest.raises(BusUnavailableError, match="refused") as cast:
        client.cast(Target("compute"), "whoami")
    assert not server.wait_until_up(0.5)
    server.stop(1)
    client.close()
    publisher.close()
    texts = [str(called.value), repr(called.value), str(cast.value), repr(cast.value), repr(publisher.broker)]
    texts += [json.dumps([message, {**fields}], default=repr) for message, fields in bus.lines]
    texts.append(repr(cast.value.__cause__))
    assert len(bus.said("bus is away")) == 1
    assert not [text for text in texts if "wr0ng" in text]
