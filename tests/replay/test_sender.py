"""A replay arrives as the services themselves would have sent it."""

import json
import socket
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cloud.logs.emit.transport import UnixDatagram, transport_for
from cloud.logs.replay import sender
from cloud.logs.replay.nova_log import NovaRecord
from cloud.logs.replay.sender import ReplayCounts, ReplayError, ReplaySender, shift_to


class Fake:
    """A transport that raises what it was given, one by one, and then takes everything."""

    def __init__(self, *faults: OSError) -> None:
        self.faults = list(faults)
        self.taken: list[bytes] = []
        self.waits_s: list[float] = []

    def send(self, message: bytes) -> None:
        if self.faults:
            raise self.faults.pop(0)
        self.taken.append(message)

    def wait(self, timeout_s: float) -> None:
        self.waits_s.append(timeout_s)

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def _short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "RETRY_S", 0.001)
    monkeypatch.setattr(sender, "SEND_TIMEOUT_S", 0.1)


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="t-") as directory:
        yield Path(directory) / "log.sock"


def record(**changes: Any) -> NovaRecord:
    values: dict[str, Any] = {
        "service": "nova-compute",
        "timestamp": datetime(2014, 3, 1, 12, 0, 0, 123000, tzinfo=UTC),
        "process": 2601,
        "level": "INFO",
        "logger": "nova.virt.libvirt.driver",
        "request_id": None,
        "user": None,
        "project": None,
        "instance": None,
        "message": "Instance spawned successfully.",
        "lines": 1,
    }
    return NovaRecord(**(values | changes))


def sent(*records: NovaRecord, shift: timedelta = timedelta()) -> tuple[list[tuple[str, dict[str, Any]]], ReplayCounts]:
    fake = Fake()
    counts = ReplaySender(fake, "compute-01", "r1").send(records, shift)
    parts = [message.decode().split(" - @cee: ") for message in fake.taken]
    return [(head, json.loads(text)) for head, text in parts], counts


def test_record_is_sent_as_its_service_would_have() -> None:
    ids = {"request_id": "req-1", "user": "u", "project": "p", "instance": "i"}
    [(head, body)], _ = sent(record(**ids))
    assert head == "<142>1 2014-03-01T12:00:00.123000Z compute-01 nova-compute 2601 -"
    assert body == {
        "message": "Instance spawned successfully.",
        "level": "INFO",
        "logger": "nova.virt.libvirt.driver",
        **ids,
        "replay": "r1",
    }


def test_what_the_file_does_not_say_is_not_sent() -> None:
    [(head, body)], _ = sent(record(process=None))
    assert head.endswith(" nova-compute - -")
    assert body.keys() == {"message", "level", "logger", "replay"}


@pytest.mark.parametrize(
    ("level", "priority"),
    [
        ("DEBUG", 143),
        ("INFO", 142),
        ("AUDIT", 141),
        ("WARNING", 140),
        ("WARN", 140),
        ("ERROR", 139),
        ("TRACE", 139),
        ("CRITICAL", 138),
        ("CHATTER", 142),
    ],
)
def test_level_keeps_its_word_and_gets_its_severity(level: str, priority: int) -> None:
    [(head, body)], _ = sent(record(level=level))
    assert head.startswith(f"<{priority}>1 ")
    assert body["level"] == level


@pytest.mark.parametrize(
    ("service", "priority"), [("nova-api", 134), ("nova-scheduler", 150), ("glance-api", 14), ("odd one", 14)]
)
def test_service_keeps_its_facility_and_an_unknown_one_is_a_users(service: str, priority: int) -> None:
    [(head, _)], _ = sent(record(service=service))
    assert head.startswith(f"<{priority}>1 ")
    assert head.split(" ")[3] == service.replace(" ", "_")


def test_inventorys_facilities_are_used() -> None:
    fake = Fake()
    ReplaySender(fake, "h", "r", {"nova-api": "local7"}).send([record(service="nova-api")])
    assert fake.taken[0].startswith(b"<190>1 ")


def test_traceback_in_a_message_stays_on_one_line() -> None:
    [(_, body)], _ = sent(record(message="failed\nTraceback:\r\n  x", lines=3))
    assert body["message"] == "failed\nTraceback:\r\n  x"


def test_percent_sign_is_no_format() -> None:
    [(_, body)], _ = sent(record(message="100% of %s %(x)d"))
    assert body["message"] == "100% of %s %(x)d"


def test_message_of_a_megabyte_is_cut_to_a_datagram() -> None:
    fake = Fake()
    ReplaySender(fake, "h", "r").send([record(message="x" * 1_000_000)])
    assert 119_000 < len(fake.taken[0]) <= 120 * 1024
    assert b'"truncated":true' in fake.taken[0]


def test_what_was_sent_is_counted_by_service_and_severity() -> None:
    _, counts = sent(record(lines=3), record(level="ERROR"), record(level="TRACE"), record(service="nova-api"))
    assert (counts.records, counts.lines) == (4, 6)
    assert counts.by_service_and_severity == {
        ("nova-compute", "info"): 1,
        ("nova-compute", "err"): 2,
        ("nova-api", "info"): 1,
    }


def test_nothing_to_send_is_nothing_sent() -> None:
    assert sent() == ([], ReplayCounts())


def test_shift_moves_the_last_record_to_the_given_time_and_keeps_the_distances() -> None:
    first, last = record(), record(timestamp=datetime(2014, 3, 1, 12, 0, 5, tzinfo=UTC))
    shift = shift_to([last, first], datetime(2020, 1, 1, tzinfo=UTC).timestamp())
    parts, _ = sent(first, last, shift=shift)
    assert [head.split(" ")[1] for head, _ in parts] == ["2019-12-31T23:59:55.123000Z", "2020-01-01T00:00:00.000000Z"]


def test_nothing_to_shift_is_no_shift() -> None:
    assert shift_to([], 1e9) == timedelta(0)


def test_slow_peer_is_waited_for_and_gets_each_record_once() -> None:
    fake = Fake(BlockingIOError(), BlockingIOError())
    counts = ReplaySender(fake, "h", "r").send([record(), record()])
    assert counts.records == len(fake.taken) == 2
    assert len(fake.waits_s) == 2
    assert all(0 < timeout_s <= 0.1 for timeout_s in fake.waits_s)


def test_peer_that_comes_back_in_time_gets_each_record_once() -> None:
    fake = Fake(ConnectionRefusedError(), FileNotFoundError())
    assert ReplaySender(fake, "h", "r").send([record()]).records == len(fake.taken) == 1


def test_peer_that_stays_away_ends_the_replay_with_the_record_and_the_cause(path: Path) -> None:
    with pytest.raises(ReplayError, match=r"cannot send record 1: \[Errno 2\] No such file"):
        ReplaySender(UnixDatagram(str(path)), "h", "r").send([record()])


def test_peer_that_takes_nothing_ends_the_replay_with_the_record(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(path))
        transport = UnixDatagram(str(path))
        with pytest.raises(ReplayError, match=r"cannot send record \d+: the peer takes nothing"):
            ReplaySender(transport, "h", "r").send([record()] * 5000)
        transport.close()


def test_thousands_arrive_in_order_at_a_real_socket(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "SEND_TIMEOUT_S", 10.0)
    numbers: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(path))
        receiver.settimeout(10)

        def read() -> None:
            while len(numbers) < 3000:
                numbers.append(json.loads(receiver.recv(1 << 18).partition(b"@cee: ")[2])["message"])

        reader = threading.Thread(target=read)
        reader.start()
        transport = transport_for(f"unix:{path}")
        counts = ReplaySender(transport, "h", "r").send(record(message=str(number)) for number in range(3000))
        transport.close()
        reader.join()
    assert counts.records == 3000
    assert numbers == [str(number) for number in range(3000)]


def test_replay_goes_to_a_collector_over_tcp_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "SEND_TIMEOUT_S", 10.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        transport = transport_for(f"tcp://127.0.0.1:{server.getsockname()[1]}")
        ReplaySender(transport, "h", "r").send([record(message="over tcp")])
        transport.close()
        connection, _ = server.accept()
        with connection, connection.makefile("rb") as stream:
            size, _, frame = stream.read().partition(b" ")
    assert int(size) == len(frame)
    assert b'"message":"over tcp"' in frame
