"""Transports over real sockets: whole messages, in order, never waiting where they said they would not."""

import errno
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.logs.emit.transport import AddressError, OctetCountedTcp, Transport, UnixDatagram, transport_for
from tests.waiting import wait_until


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="t-") as directory:  # short: a socket's path has at most 107 bytes
        yield Path(directory) / "log.sock"


def datagram_peer(path: Path) -> socket.socket:
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    peer.bind(str(path))
    peer.settimeout(10)
    return peer


def tcp_peer(port: int = 0) -> socket.socket:
    peer = socket.create_server(("127.0.0.1", port))
    peer.settimeout(10)
    return peer


def fill(transport: Transport, message: bytes = b"x" * 1000) -> int:
    """Send until the peer takes no more; how many it took."""
    for taken in range(100_000):
        try:
            transport.send(message)
        except BlockingIOError:
            return taken
    raise AssertionError("a peer that reads nothing took everything")


def read_frames(connection: socket.socket, number: int) -> list[bytes]:
    frames: list[bytes] = []
    with connection.makefile("rb") as stream:
        while len(frames) < number:
            size = b""
            while not size.endswith(b" "):
                size += stream.read(1)
            frames.append(stream.read(int(size)))
    return frames


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("unix:/run/nova/log.sock", UnixDatagram),
        ("unix:///run/nova/log.sock", UnixDatagram),
        ("unix:relative.sock", UnixDatagram),
        ("unix:/run/a?b#c%20d", UnixDatagram),
        ("unix:/" + "x" * 106, UnixDatagram),
        ("tcp://127.0.0.1:1024", OctetCountedTcp),
        ("tcp://[::1]:514", OctetCountedTcp),
        ("tcp://collector.example:601", OctetCountedTcp),
    ],
)
def test_address_has_a_transport(address: str, kind: type) -> None:
    assert type(transport_for(address)) is kind


@pytest.mark.parametrize(
    "address",
    [
        "",
        "/run/nova/log.sock",
        "unix:",
        "unix://run/nova/log.sock",
        "unix:/a\0b",
        "unix:/" + "x" * 107,
        "udp://127.0.0.1:514",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:0",
        "tcp://127.0.0.1:99999",
        "tcp://127.0.0.1:x",
        "tcp://:514",
        "tcp://[::1:514",
        "tcp://127.0.0.1:514/path",
        "tcp://user@127.0.0.1:514",
    ],
)
def test_address_without_one_is_refused_by_its_name(address: str) -> None:
    with pytest.raises(AddressError, match="cannot use syslog address"):
        transport_for(address)


def test_path_is_taken_as_it_is_written(path: Path) -> None:
    odd = path.with_name("a?b#c%20")
    with datagram_peer(odd) as peer:
        transport = transport_for(f"unix:{odd}")
        transport.send(b"one")
        assert peer.recv(99) == b"one"
        transport.close()


def test_datagrams_arrive_whole_and_in_order(path: Path) -> None:
    with datagram_peer(path) as peer:
        transport = UnixDatagram(str(path))
        for number in range(5):
            transport.send(b"%d" % number * 1000)
        assert [peer.recv(9999) for _ in range(5)] == [b"%d" % number * 1000 for number in range(5)]
        transport.close()


def test_longest_message_fits_a_datagram(path: Path) -> None:
    with datagram_peer(path) as peer:
        transport = UnixDatagram(str(path))
        transport.send(b"x" * 120 * 1024)
        assert len(peer.recv(1 << 20)) == 120 * 1024
        transport.close()


def test_missing_socket_is_an_error_and_one_that_comes_is_used(path: Path) -> None:
    transport = UnixDatagram(str(path))
    with pytest.raises(FileNotFoundError):
        transport.send(b"lost")
    with datagram_peer(path) as peer:
        transport.send(b"found")
        assert peer.recv(99) == b"found"
    transport.close()


def test_full_socket_refuses_at_once_and_wait_tells_when_there_is_room(path: Path) -> None:
    with datagram_peer(path) as peer:
        transport = UnixDatagram(str(path))
        fill(transport)
        transport.wait(0.01)
        with pytest.raises(BlockingIOError):
            transport.send(b"late")
        peer.recv(9999)
        transport.wait(10)
        transport.send(b"late")
        transport.close()


def test_receiver_that_restarts_at_the_same_path_gets_the_next_message(path: Path) -> None:
    transport = UnixDatagram(str(path))
    with datagram_peer(path) as peer:
        transport.send(b"one")
        assert peer.recv(99) == b"one"
    path.unlink()
    with pytest.raises(FileNotFoundError):
        transport.send(b"two")
    with datagram_peer(path) as peer:
        transport.send(b"two")
    path.unlink()
    with datagram_peer(path) as peer:  # closed and opened again between two messages
        transport.send(b"three")
        assert peer.recv(99) == b"three"
    transport.close()


def test_socket_file_that_nobody_listens_on_is_an_error(path: Path) -> None:
    datagram_peer(path).close()
    with pytest.raises(ConnectionRefusedError):
        UnixDatagram(str(path)).send(b"x")


def test_message_longer_than_any_datagram_is_too_long(path: Path) -> None:
    with datagram_peer(path):
        transport = UnixDatagram(str(path))
        with pytest.raises(OSError, match="too long") as caught:
            transport.send(b"x" * (16 << 20))
        assert caught.value.errno == errno.EMSGSIZE
        transport.close()


def test_tcp_never_connects_while_sending() -> None:
    with tcp_peer() as peer, pytest.raises(BlockingIOError):
        OctetCountedTcp(*peer.getsockname()).send(b"x")


def test_tcp_messages_are_octet_counted_frames() -> None:
    with tcp_peer() as peer:
        transport = OctetCountedTcp(*peer.getsockname())
        transport.wait(10)
        transport.send(b"<13>1 one\ntwo")
        transport.send(b"")
        connection, _ = peer.accept()
        transport.close()
        with connection, connection.makefile("rb") as stream:
            assert stream.read() == b"13 <13>1 one\ntwo0 "


def test_tcp_without_a_collector_is_an_error() -> None:
    peer = tcp_peer()
    address = peer.getsockname()
    peer.close()
    with pytest.raises(ConnectionRefusedError):
        OctetCountedTcp(*address).wait(10)


def test_tcp_collector_that_went_away_is_noticed_and_a_new_one_used() -> None:
    peer = tcp_peer()
    address = peer.getsockname()
    transport = OctetCountedTcp(*address)
    transport.wait(10)
    connection, _ = peer.accept()
    transport.send(b"one")
    assert read_frames(connection, 1) == [b"one"]
    connection.close()
    peer.close()

    def is_noticed() -> bool:
        try:
            transport.send(b"two")
        except BlockingIOError:
            return True
        except ConnectionError:
            pass
        return False

    wait_until(is_noticed, what="the end of the connection")
    with tcp_peer(address[1]) as peer:
        transport.wait(10)
        transport.send(b"two")
        connection, _ = peer.accept()
        with connection:
            assert read_frames(connection, 1) == [b"two"]
    transport.close()


def test_tcp_frame_that_is_partly_out_is_finished_by_the_same_message() -> None:
    message = b"m" * 100_000
    with tcp_peer() as peer:
        transport = OctetCountedTcp(*peer.getsockname())
        transport.wait(10)
        connection, _ = peer.accept()
        connection.settimeout(10)
        taken = fill(transport, message)
        with connection, connection.makefile("rb") as stream:
            for frame in range(taken + 1):
                assert stream.read(7) == b"100000 "
                assert stream.read(100_000) == message
                if frame == taken - 1:  # there is room again, the collector waits for the rest of the last one
                    transport.wait(10)
                    transport.send(message)
        transport.close()


def test_tcp_frame_cut_by_the_collectors_end_starts_again_whole() -> None:
    message = b"m" * 100_000
    with tcp_peer() as peer:
        transport = OctetCountedTcp(*peer.getsockname())
        transport.wait(10)
        connection, _ = peer.accept()
        with connection:
            fill(transport, message)
        with pytest.raises(OSError, match=r"closed|reset|Broken"):
            transport.send(message)
        transport.wait(10)
        connection, _ = peer.accept()
        connection.settimeout(10)
        with connection:
            transport.send(b"short")
            assert read_frames(connection, 1) == [b"short"]
        transport.close()


def test_tcp_frame_that_nobody_finishes_ends_its_connection() -> None:
    with tcp_peer() as peer:
        transport = OctetCountedTcp(*peer.getsockname())
        transport.wait(10)
        connection, _ = peer.accept()
        with connection:
            fill(transport, b"m" * 100_000)
            with pytest.raises(OSError, match=r"partly out"):
                transport.send(b"other")
            with pytest.raises(BlockingIOError, match="not connected"):
                transport.send(b"other")


def test_closing_twice_does_nothing(path: Path) -> None:
    for transport in (UnixDatagram(str(path)), OctetCountedTcp("127.0.0.1", 1)):
        transport.close()
        transport.close()
