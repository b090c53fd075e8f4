import contextlib
import re
import resource
import socket
import struct
import threading
import time
from collections.abc import Iterator
from ipaddress import ip_network

import pytest

from cloud.logs.collector.inbox import Inbox
from cloud.logs.collector.metrics import Metrics
from cloud.logs.collector.receivers import connection
from cloud.logs.collector.receivers.bind import ListenError
from cloud.logs.collector.receivers.receiver import Receiver
from cloud.logs.collector.receivers.settings import ListenerSettings
from tests.collector.receiving import Receiving, receiving
from tests.waiting import wait_until

TCP = ListenerSettings("tcp", "127.0.0.1", max_message_bytes=4096)


@pytest.fixture
def listening() -> Iterator[Receiving]:
    with receiving(TCP) as made:
        yield made


def test_messages_carry_peer_and_time_of_arrival(listening: Receiving) -> None:
    listening.send(b"<13>one\n<13>two\n")
    listening.wait_for(2)
    assert [(each.payload, each.observed_us, each.source.peer, each.source.names) for each in listening.received] == [
        (b"<13>one", 7, "127.0.0.1", None),
        (b"<13>two", 7, "127.0.0.1", None),
    ]


def test_many_connections_at_once_keep_each_ones_order(listening: Receiving) -> None:
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


def test_several_listeners_share_the_thread_and_the_order_of_urls() -> None:
    relp = ListenerSettings("relp", "127.0.0.1")
    with receiving(TCP, relp, TCP) as made:
        assert [url.rpartition(":")[0] for url in made.receiver.urls] == [
            "tcp://127.0.0.1",
            "relp://127.0.0.1",
            "tcp://127.0.0.1",
        ]
        made.send(b"<13>first\n", 0)
        made.send(b"<13>third\n", 2)
        assert sorted(made.wait_for(2)) == [b"<13>first", b"<13>third"]


def test_one_who_says_nothing_holds_nobody(listening: Receiving) -> None:
    with listening.connect() as silent, listening.connect() as slow:
        slow.sendall(b"500 <13>never who")
        listening.send(b"<13>one\n")
        assert listening.wait_for(1) == [b"<13>one"]
        silent.close()


def test_at_the_greatest_number_of_connections_the_next_one_waits_for_its_turn() -> None:
    with receiving(ListenerSettings("tcp", "127.0.0.1", max_connections=2)) as made:
        first, second = made.connect(), made.connect()
        first.sendall(b"<13>first\n")
        second.sendall(b"<13>second\n")
        made.wait_for(2)
        with made.connect() as third:
            third.sendall(b"<13>third\n")
            assert made.count("listener_accept_pauses_total", "connections") == 1
            assert made.count("listener_accepted_total") == 2
            first.close()
            assert made.wait_for(3)[2] == b"<13>third"
        second.close()


def test_without_file_descriptors_it_pauses_and_goes_on_later(listening: Receiving) -> None:
    with listening.connect() as known:
        known.sendall(b"<13>known\n")
        listening.wait_for(1)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        waiting = socket.socket()
        resource.setrlimit(resource.RLIMIT_NOFILE, (waiting.fileno() + 1, hard))
        unused: list[socket.socket] = []
        try:
            with contextlib.suppress(OSError):  # whatever is free below the limit
                while True:
                    unused.append(socket.socket())
            waiting.connect(("127.0.0.1", listening.port()))
            waiting.sendall(b"<13>waiting\n")
            listening.wait_for_count("listener_accept_pauses_total", "descriptors", 1)
            used_s = time.process_time()
            known.sendall(b"<13>still there\n")
            assert listening.wait_for(2)[1] == b"<13>still there"
            threading.Event().wait(0.2)
            assert time.process_time() - used_s < 0.15, "it spins"
        finally:
            for each in unused:
                each.close()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert listening.wait_for(3)[2] == b"<13>waiting"
        waiting.close()


def test_a_peer_that_is_not_allowed_is_closed_and_counted() -> None:
    networks = (ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"))
    with receiving(ListenerSettings("tcp", "127.0.0.1", allowed_peers=networks), TCP) as made:
        with made.connect() as stranger:
            assert stranger.recv(1) == b""
        wait_until(lambda: made.count("listener_refused_total", "peer") == 1, what="the count")
        assert made.count("listener_accepted_total") == 0
        assert made.count("listener_connections") == 0
    with receiving(ListenerSettings("tcp", "127.0.0.1", allowed_peers=(*networks, ip_network("127.0.0.0/8")))) as made:
        made.send(b"<13>friend\n")
        assert made.wait_for(1) == [b"<13>friend"]


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
def test_garbage_ends_nothing(listening: Receiving, garbage: bytes) -> None:
    with listening.connect() as friend:
        friend.sendall(b"<13>before\n")
        listening.send(garbage)
        wait_until(lambda: listening.count("listener_accepted_total") == 2, what="the garbage")
        wait_until(lambda: listening.count("listener_connections") == 1, what="the end of the garbage")
        friend.sendall(b"<13>behind\n")
        wait_until(lambda: listening.has(0) or b"<13>behind" in listening.payloads, what="the friend's line")
    assert b"<13>before" in listening.payloads


def test_broken_frames_are_counted_by_reason(listening: Receiving) -> None:
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
    assert [each.payload[:8] for each in listening.received if each.is_truncated] == [b"<13>xxxx", b"<13>half"]
    for reason in ("octet_count", "oversize", "cut_off"):
        assert listening.count("framing_failures_total", reason) == 1


def test_who_leaves_too_much_unfinished_is_cut_off_and_counted_and_the_others_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "MAX_HELD_BYTES", 1 << 20)
    with receiving(ListenerSettings("tcp", "127.0.0.1"), batch_bytes=4 << 20) as made, made.connect() as friend:
        friend.sendall(b"<13>one\n<13>tw")
        made.wait_for(1)
        greedy = [made.connect() for _ in range(4)]
        for each in greedy:
            with contextlib.suppress(ConnectionError):
                each.sendall(b"900000 <13>" + b"x" * 400_000)
        made.wait_for_count("listener_refused_total", "unfinished", 2)
        made.wait_for(3)
        assert [(each.payload[:6], each.is_truncated) for each in made.received] == [
            (b"<13>on", False),
            (b"<13>xx", True),
            (b"<13>xx", True),
        ]
        friend.sendall(b"o\n")
        assert made.wait_for(4)[3] == b"<13>two"
        for each in greedy:
            each.close()


def test_a_reset_connection_keeps_what_came_before(listening: Receiving) -> None:
    with listening.connect() as sender:
        sender.sendall(b"<13>one\n<13>tw")
        listening.wait_for(1)
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close sends RST
    assert listening.wait_for(2) == [b"<13>one", b"<13>tw"]
    listening.send(b"<13>next\n")
    assert listening.wait_for(3)[2] == b"<13>next"


def lines(name: int, number: int) -> list[bytes]:
    return [b"<13>%d-%d %s" % (name, each, b"x" * 50) for each in range(number)]


def test_without_room_senders_are_held_and_all_arrives_in_order_once_there_is_some() -> None:
    with receiving(TCP, batches=2, batch_bytes=1 << 17) as made:
        sent = {name: lines(name, 20_000) for name in range(4)}

        def send(name: int) -> None:
            made.send(b"".join(line + b"\n" for line in sent[name]))

        sending = [threading.Thread(target=send, args=(name,)) for name in sent]
        for each in sending:
            each.start()
        wait_until(lambda: made.inbox.size_bytes > 220_000, what="a full pool")
        used_s, before = time.process_time(), made.count("listener_received_bytes_total")
        threading.Event().wait(0.2)
        assert made.count("listener_received_bytes_total") == before
        assert time.process_time() - used_s < 0.1, "it spins"
        received = made.wait_for(80_000, 30)
        for each in sending:
            each.join()
        for name, expected in sent.items():
            assert [text for text in received if text.startswith(b"<13>%d-" % name)] == expected


def test_stop_reads_what_the_kernel_holds_of_every_connection_while_the_writer_makes_room() -> None:
    with receiving(TCP, batches=2, batch_bytes=1 << 17) as made:
        senders = [made.connect() for _ in range(20)]
        wait_until(lambda: made.count("listener_accepted_total") == 20, what="all connections")
        for name, sender in enumerate(senders):
            sender.sendall(b"".join(line + b"\n" for line in lines(name, 1000)))
        late = made.connect()  # perhaps nobody has accepted it yet
        late.sendall(b"<13>late\n")
        late.close()
        stopping = threading.Thread(target=made.receiver.stop_reading)
        stopping.start()
        received = made.wait_for(20_001)
        stopping.join(10)
        for name in range(20):
            assert [text for text in received if text.startswith(b"<13>%d-" % name)] == lines(name, 1000)
        assert b"<13>late" in received
        assert made.count("listener_dropped_total", "shutdown") == 0
        for sender in senders:
            sender.close()


def test_what_was_read_and_finds_no_room_at_the_stop_is_counted() -> None:
    with receiving(TCP, batches=1, batch_bytes=1 << 16) as made:
        with made.connect() as sender, made.connect() as other:
            other.sendall(b"<13>half a line")
            listening_bytes = len(b"<13>half a line")
            wait_until(lambda: made.count("listener_received_bytes_total") == listening_bytes, what="the half")
            sender.sendall(b"<13>a\n<13>b\n" + b"".join(line + b"\n" for line in lines(0, 3000)))
            wait_until(lambda: made.inbox.size_bytes > 20_000, what="a full pool")
            made.receiver.stop_reading()
            assert made.count("listener_dropped_total", "shutdown") == 2  # the half, and the line cut by the last read
        made.take()
        assert made.payloads[:3] == [b"<13>a", b"<13>b", lines(0, 1)[0]]


def test_stop_gives_the_half_message_of_an_open_connection(listening: Receiving) -> None:
    with listening.connect() as sender:
        sender.sendall(b"<13>one\n<13>tw")
        listening.wait_for(1)
        listening.stop()
        assert listening.wait_for(2) == [b"<13>one", b"<13>tw"]
        assert sender.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            listening.connect()


def test_one_who_goes_on_sending_does_not_hold_the_stop_nor_starve_others() -> None:
    with receiving(TCP, batches=4) as made:
        endless = made.connect()
        ended = threading.Event()

        def send_on() -> None:
            with contextlib.suppress(OSError):
                while True:
                    endless.sendall(b"<13>x\n" * 10_000)
            ended.set()

        def take_on() -> None:
            while not ended.is_set():
                made.take()
                made.received = [each for each in made.received if each.payload != b"<13>x"]

        quiet = made.connect()
        workers = [threading.Thread(target=send_on), threading.Thread(target=take_on)]
        for each in workers:
            each.start()
        wait_until(lambda: (made.count("framing_messages_total") or 0) > 100_000, what="the endless one")
        quiet.sendall(b"<13>quiet\n")
        made.receiver.stop_reading()
        assert ended.wait(10)
        for each in workers:
            each.join()
        made.take()
        assert b"<13>quiet" in made.payloads
        endless.close()
        quiet.close()


def test_an_address_that_is_taken_is_named_and_those_bound_before_are_free_again(listening: Receiving) -> None:
    taken = ListenerSettings("tcp", "127.0.0.1", listening.port())
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free = ListenerSettings("tcp", "127.0.0.1", probe.getsockname()[1])
    with pytest.raises(ListenError, match=f"cannot listen on tcp://127.0.0.1:{listening.port()}: .*in use"):
        Receiver([free, taken], Inbox(2, 1 << 20), Metrics(), lambda: 0)
    with socket.create_server(("127.0.0.1", free.port)):
        pass


def test_a_receiver_that_never_started_lets_go_of_its_addresses() -> None:
    made = Receiving(TCP)
    port = made.port()
    made.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_ipv6_addresses_have_brackets() -> None:
    try:
        made = Receiving(ListenerSettings("tcp", "::1"))
    except ListenError as exc:
        assert "tcp://[::1]:0" in str(exc)  # noqa: PT017 - where there is no IPv6 the message is all there is to see
        return
    made.start()
    [url] = made.receiver.urls
    assert re.fullmatch(r"tcp://\[::1\]:\d+", url)
    with socket.create_connection(("::1", made.port())) as sender:
        sender.sendall(b"<13>six\n")
    assert made.wait_for(1) == [b"<13>six"]
    assert made.received[0].source.peer == "::1"
    made.stop()
