"""Reading from RabbitMQ when only a part of a frame has come."""

import socket
import time
from collections.abc import Iterator

import pytest
from amqp.connection import Connection as Amqp
from amqp.method_framing import frame_handler
from amqp.transport import TCPTransport

from cloud.rpc.brokers import broker_for
from cloud.rpc.brokers.broker import Broker

HEARTBEAT = b"\x08\x00\x00\x00\x00\x00\x00\xce"


class Fake:
    """What RabbitMq.take needs of kombu's connection, over a socket whose other end the test has."""

    def __init__(self, ours: socket.socket) -> None:
        self.connection = Amqp()
        transport = TCPTransport("localhost")
        transport.sock = ours
        transport._setup_transport()
        transport.connected = True
        self.connection.transport = transport
        self.connection.on_inbound_frame = frame_handler(self.connection, lambda *_arguments: None)


@pytest.fixture
def broker() -> Broker:
    return broker_for("amqp://localhost/")


@pytest.fixture
def ends() -> Iterator[tuple[Fake, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Fake(ours), theirs


def test_nothing_to_read_is_known_at_once(broker: Broker, ends: tuple[Fake, socket.socket]) -> None:
    began_s = time.monotonic()
    assert broker.take(ends[0]) is False
    assert time.monotonic() - began_s < 0.1


def test_a_heartbeat_does_not_make_us_wait_for_more(broker: Broker, ends: tuple[Fake, socket.socket]) -> None:
    ends[1].sendall(HEARTBEAT)
    began_s = time.monotonic()
    assert broker.take(ends[0]) is True
    assert broker.take(ends[0]) is False
    assert time.monotonic() - began_s < 0.1


def test_a_frame_in_parts_is_waited_for_without_spinning_and_put_together(
    broker: Broker, ends: tuple[Fake, socket.socket]
) -> None:
    for part in (HEARTBEAT[:3], HEARTBEAT[3:7]):
        ends[1].sendall(part)
        cpu_s = time.thread_time()
        assert broker.take(ends[0]) is False
        assert time.thread_time() - cpu_s < 0.1
    ends[1].sendall(HEARTBEAT[7:])
    assert broker.take(ends[0]) is True


def test_the_end_of_the_connection_is_a_failure(broker: Broker, ends: tuple[Fake, socket.socket]) -> None:
    ends[1].sendall(HEARTBEAT[:5])
    ends[1].close()
    with pytest.raises(broker.failures):
        broker.take(ends[0])
