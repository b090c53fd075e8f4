import os
import socket
import stat
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest

from cloud.logs.collector.receivers.bind import ListenError
from cloud.logs.collector.receivers.settings import ListenerSettings
from tests.collector.receiving import Receiving, receiving

UDP = ListenerSettings("udp", "127.0.0.1", max_message_bytes=4096)


@pytest.fixture
def udp() -> Iterator[Receiving]:
    with receiving(UDP) as made:
        yield made


def send(port: int, *datagrams: bytes, host: str = "127.0.0.1") -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for datagram in datagrams:
            sender.sendto(datagram, (host, port))


DATAGRAMS = [
    ("as it is", b"<13>one", [b"<13>one"]),
    ("lines stay together", b"<13>one\ntwo", [b"<13>one\ntwo"]),
    ("what ends it elsewhere is no part of it", b"<13>one\r\n\0", [b"<13>one"]),
    ("a count is text", b"7 <13>one", [b"7 <13>one"]),
    ("nothing", b"", []),
    ("nothing but padding", b"\n\0", []),
    ("oversize", b"x" * 5000, [b"x" * 2048 + b" [... 904 bytes cut ...] " + b"x" * 2048]),
]


@pytest.mark.parametrize(("datagram", "expected"), [pytest.param(*rest, id=name) for name, *rest in DATAGRAMS])
def test_a_datagram_is_a_message(udp: Receiving, datagram: bytes, expected: list[bytes]) -> None:
    send(udp.port(), datagram, b"<13>end")
    assert udp.wait_for(len(expected) + 1) == [*expected, b"<13>end"]
    assert udp.received[0].source.peer == "127.0.0.1"
    assert udp.count("framing_failures_total", "oversize") == (len(datagram) > 4096)


def test_ipv6() -> None:
    try:
        made = Receiving(ListenerSettings("udp", "::1"))
    except ListenError as exc:
        assert "udp://[::1]:0" in str(exc)  # noqa: PT017 - where there is no IPv6 the message is all there is to see
        return
    made.start()
    send(made.port(), b"<13>six", host="::1")
    assert made.wait_for(1) == [b"<13>six"]
    made.stop()


def test_without_room_datagrams_are_read_dropped_and_counted_and_taken_again_later() -> None:
    with receiving(UDP, batches=1, batch_bytes=1 << 16) as made:
        for turn in range(1, 11):
            send(made.port(), *[b"<13>" + b"x" * 1000] * 10)
            made.wait_for_count("listener_received_bytes_total", None, 10_040 * turn)
        assert made.count("listener_dropped_total", "no_room") == 35  # 65 fit into 64 KiB
        assert len(made.wait_for(65)) == 65
        send(made.port(), b"<13>later")
        assert made.wait_for(66)[-1] == b"<13>later"


def test_peers_that_are_not_allowed_are_dropped_and_counted() -> None:
    listener = ListenerSettings("udp", "127.0.0.1", allowed_peers=(ip_network("192.0.2.0/24"),))
    with receiving(listener) as made:
        send(made.port(), b"<13>one", b"<13>two")
        made.wait_for_count("listener_dropped_total", "peer", 2)
        assert not made.has(1)


def test_stop_reads_what_the_kernel_holds() -> None:
    made = Receiving(UDP)
    send(made.port(), *(b"<13>%d" % number for number in range(100)))
    made.start()
    made.receiver.stop_reading()
    made.receiver.stop()
    made.take()
    assert made.payloads == [b"<13>%d" % number for number in range(100)]


def unix(path: Path, mode: int = 0o660) -> ListenerSettings:
    return ListenerSettings("unix", path=str(path), socket_mode=mode)


def send_to(path: Path, *datagrams: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(str(path))
        for datagram in datagrams:
            sender.send(datagram)


@pytest.mark.parametrize("mode", [0o660, 0o666])
def test_a_unix_socket_takes_messages_with_the_mode_it_is_to_have_and_goes_with_the_collector(
    tmp_path: Path, mode: int
) -> None:
    path = tmp_path / "log"
    before = os.umask(0o077)
    try:
        with receiving(unix(path, mode)) as made:
            assert made.receiver.urls == [f"unix://{path}"]
            assert stat.S_IMODE(path.stat().st_mode) == mode
            send_to(path, b"<13>one\0", b"<13>" + b"x" * 150_000)
            assert made.wait_for(2) == [b"<13>one", b"<13>" + b"x" * 150_000]
            assert made.received[0].source.peer == str(path)
    finally:
        os.umask(before)
    assert not path.exists()


def test_the_socket_of_a_dead_collector_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(path))
    with receiving(unix(path)) as made:
        with pytest.raises(ListenError, match=f"cannot listen on unix://{path}: .*in use"):
            Receiving(unix(path))
        send_to(path, b"<13>alive")
        assert made.wait_for(1) == [b"<13>alive"]
    path.write_text("somebody's file")
    with pytest.raises(ListenError, match=f"cannot listen on unix://{path}: .*in use"):
        Receiving(unix(path))
    assert path.read_text() == "somebody's file"
