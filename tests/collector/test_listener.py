import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from cloud.logs.collector.inbox import Inbox
from cloud.logs.collector.listener import ListenError, ListenerSettings, TcpListener
from cloud.logs.collector.metrics import Metrics
from tests.waiting import wait_until


class Listening:
    """A listener on a free port, what it received, and its metrics."""

    def __init__(self, *, max_connections: int = 1000, inbox_bytes: int = 64 << 20) -> None:
        self.inbox = Inbox(inbox_bytes)
        self.metrics = Metrics()
        self.broken = threading.Event()
        settings = ListenerSettings("127.0.0.1", 0, max_message_bytes=4096, max_connections=max_connections)
        self.listener = TcpListener(settings, self.inbox, self.metrics, lambda: 7)
        host, _, port = self.listener.url.removeprefix("tcp://").rpartition(":")
        self.address = (host, int(port))
        self.received: list[bytes] = []

    def start(self) -> None:
        self.listener.start(self.broken.set)

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address)

    def send(self, data: bytes) -> None:
        """Over a connection of its own, to its end."""
        with self.connect() as sender:
            sender.sendall(data)

    def has(self, number: int) -> bool:
        self.received += [each.message.payload for each in self.inbox.take(100_000, 0.01)]
        return len(self.received) >= number

    def wait_for(self, number: int) -> list[bytes]:
        wait_until(lambda: self.has(number), what=f"{number} messages")
        return self.received

    def count(self, name: str, reason: str | None = None) -> float | None:
        return self.metrics.registry.get_sample_value(f"cloudlog_{name}", {"reason": reason} if reason else {})


@pytest.fixture
def listening() -> Iterator[Listening]:
    made = Listening()
    made.start()
    yield made
    assert not made.broken.is_set()
    made.inbox.close()
    made.listener.stop()


@contextlib.contextmanager
def opened(made: Listening) -> Iterator[Listening]:
    try:
        yield made
    finally:
        made.inbox.close()
        made.listener.stop()


def test_messages_carry_peer_and_time_of_arrival(listening: Listening) -> None:
    listening.send(b"<13>one\n<13>two\n")
    wait_until(lambda: listening.inbox.size_bytes == 414, what="both messages")
    taken = listening.inbox.take(9)
    assert [(each.message.payload, each.observed_us, each.peer) for each in taken] == [
        (b"<13>one", 7, "127.0.0.1"),
        (b"<13>two", 7, "127.0.0.1"),
    ]


def test_many_connections_at_once_keep_each_ones_order(listening: Listening) -> None:
    senders = [listening.connect() for _ in range(150)]
    for number in range(10):
        for name, sender in enumerate(senders):
            sender.sendall(b"<13>%d-%d\n" % (name, number))
    received = listening.wait_for(1500)
    for name in range(150):
        assert [text for text in received if text.startswith(b"<13>%d-" % name)] == [
            b"<13>%d-%d" % (name, number) for number in range(10)
        ]
    assert listening.count("listener_connections") == 150
    for sender in senders:
        sender.close()
    wait_until(lambda: listening.count("listener_connections") == 0, what="all to be closed")
    assert listening.count("listener_accepted_total") == 150
    assert listening.count("framing_messages_total") == 1500


def test_one_who_says_nothing_holds_nobody(listening: Listening) -> None:
    with listening.connect() as silent, listening.connect() as slow:
        slow.sendall(b"500 <13>never who")
        listening.send(b"<13>one\n")
        assert listening.wait_for(1) == [b"<13>one"]
        silent.close()


def test_one_connection_too_many_is_refused_and_counted_and_there_is_room_again_later() -> None:
    with opened(Listening(max_connections=2)) as listening:
        listening.start()
        first, second = listening.connect(), listening.connect()
        first.sendall(b"<13>first\n")
        second.sendall(b"<13>second\n")
        listening.wait_for(2)
        with listening.connect() as third:
            third.settimeout(10)
            assert third.recv(1) == b""
        assert listening.count("listener_refused_total", "connections") == 1
        first.close()
        wait_until(lambda: listening.count("listener_connections") == 1, what="room")
        listening.send(b"<13>third\n")
        assert listening.wait_for(3)[2] == b"<13>third"
        second.close()


GARBAGE = [
    ("binary", bytes(range(256)) * 100),
    ("zeros", b"\0" * 100_000),
    ("a count of 1 GiB", b"1073741824 <13>" + b"x" * 100_000),
    ("an endless line", b"<13>" + b"x" * 1_000_000),
    ("nothing but newlines", b"\n" * 100_000),
    ("TLS hello", bytes.fromhex("1603010200010001fc0303") + b"\x80" * 500),
    ("HTTP", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"),
    ("bad counts", b"0 <13>x\n99999999999 <13>x\n" * 100),
]


@pytest.mark.parametrize("garbage", [pytest.param(data, id=name) for name, data in GARBAGE])
def test_garbage_ends_nothing(listening: Listening, garbage: bytes) -> None:
    with listening.connect() as friend:
        friend.sendall(b"<13>before\n")
        listening.send(garbage)
        wait_until(lambda: listening.count("listener_connections") == 1, what="the end of the garbage")
        friend.sendall(b"<13>behind\n")
        wait_until(lambda: listening.has(0) or b"<13>behind" in listening.received, what="the friend's line")
    assert b"<13>before" in listening.received


def test_broken_frames_are_counted_by_reason(listening: Listening) -> None:
    listening.send(b"7 <13>onegarbage\n")
    listening.send(b"<13>" + b"x" * 5000 + b"\n")
    listening.send(b"500 <13>half")
    received = listening.wait_for(4)
    assert sorted(received) == [
        b"<13>half",
        b"<13>one",
        b"<13>" + b"x" * 2044 + b" [... 908 bytes cut ...] " + b"x" * 2048,
        b"garbage",
    ]
    for reason in ("octet_count", "oversize", "cut_off"):
        assert listening.count("framing_failures_total", reason) == 1


def test_a_reset_connection_keeps_what_came_before(listening: Listening) -> None:
    with listening.connect() as sender:
        sender.sendall(b"<13>one\n<13>tw")
        listening.wait_for(1)
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close sends RST
    assert listening.wait_for(2) == [b"<13>one", b"<13>tw"]
    listening.send(b"<13>next\n")
    assert listening.wait_for(3)[2] == b"<13>next"


def test_stop_reads_what_the_kernel_holds_of_every_connection() -> None:
    with opened(Listening(inbox_bytes=1)) as listening:
        listening.start()
        senders = [listening.connect() for _ in range(20)]
        wait_until(lambda: listening.count("listener_accepted_total") == 20, what="all connections")
        for name, sender in enumerate(senders):  # the second batch fills the inbox and holds the thread
            sender.sendall(b"".join(b"<13>%d-%d\n" % (name, number) for number in range(1000)))
        late = listening.connect()  # nobody accepts it any more
        late.sendall(b"<13>late\n")
        late.close()
        stopping = threading.Thread(target=listening.listener.stop)
        stopping.start()
        received = listening.wait_for(20_001)
        stopping.join(10)
        for name in range(20):
            assert [text for text in received if text.startswith(b"<13>%d-" % name)] == [
                b"<13>%d-%d" % (name, number) for number in range(1000)
            ]
        assert b"<13>late" in received
        for sender in senders:
            sender.close()


def test_stop_gives_the_half_message_of_an_open_connection() -> None:
    with opened(Listening()) as listening:
        listening.start()
        with listening.connect() as sender:
            sender.sendall(b"<13>one\n<13>tw")
            listening.wait_for(1)
            listening.listener.stop()
            assert listening.wait_for(2) == [b"<13>one", b"<13>tw"]
            assert sender.recv(1) == b""
            with pytest.raises(ConnectionRefusedError):
                listening.connect()


def test_one_who_goes_on_sending_does_not_hold_the_stop_nor_starve_others() -> None:
    with opened(Listening(inbox_bytes=1 << 40)) as listening:
        listening.start()
        endless = listening.connect()
        ended = threading.Event()

        def send_on() -> None:
            with contextlib.suppress(OSError):
                while True:
                    endless.sendall(b"<13>x\n" * 10_000)
            ended.set()

        sending = threading.Thread(target=send_on)
        quiet = listening.connect()
        sending.start()
        wait_until(lambda: listening.has(10_000), what="the endless one")
        quiet.sendall(b"<13>quiet\n")
        listening.listener.stop()
        assert ended.wait(10)
        sending.join()
        listening.wait_for(0)
        assert b"<13>quiet" in listening.received
        endless.close()
        quiet.close()


def test_a_full_inbox_holds_the_sender() -> None:
    with opened(Listening(inbox_bytes=1)) as listening:
        listening.start()
        with listening.connect() as sender:
            sender.settimeout(0.2)
            with pytest.raises(TimeoutError):  # noqa: PT012 - how much the kernel takes first is its business
                for _ in range(1000):
                    sender.sendall(b"<13>x\n" * 20_000)
            assert listening.inbox.size_bytes < 64 << 20
            listening.inbox.close()


def test_an_address_that_is_taken_is_named(listening: Listening) -> None:
    host, port = listening.address
    with pytest.raises(ListenError, match=f"cannot listen on tcp://{host}:{port}: .*in use"):
        TcpListener(ListenerSettings(host, port), listening.inbox, listening.metrics, lambda: 0)


def test_a_listener_that_never_started_lets_go_of_its_address() -> None:
    made = Listening()
    made.listener.stop()
    with pytest.raises(ConnectionRefusedError):
        made.connect()


def test_ipv6_addresses_have_brackets() -> None:
    try:
        listener = TcpListener(ListenerSettings("::1", 0), Inbox(1), Metrics(), lambda: 0)
    except ListenError as exc:
        assert "tcp://[::1]:0" in str(exc)  # noqa: PT017 - where there is no IPv6 the message is all there is to see
        return
    assert listener.url.startswith("tcp://[::1]:")
    listener.stop()
