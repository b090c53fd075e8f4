"""A receiver on free ports, what it received, and its metrics; and certificates for it."""

import contextlib
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cloud.logs.collector.batch import Batch, Source
from cloud.logs.collector.inbox import Inbox
from cloud.logs.collector.metrics import Metrics
from cloud.logs.collector.receivers.receiver import Receiver
from cloud.logs.collector.receivers.settings import ListenerSettings, TlsSettings
from tests.waiting import wait_until

BATCH_BYTES = 1 << 20
_OFFERS = b"relp_version=0\nrelp_software=test\ncommands=syslog"
RELP_OPEN = b"1 open %d %s\n" % (len(_OFFERS), _OFFERS)
RELP_OPENED = b"1 rsp 57 200 OK\nrelp_version=0\nrelp_software=cloud\ncommands=syslog\n"


@dataclass(frozen=True, slots=True)
class Received:
    """One message, with what the receiver knows about it."""

    payload: bytes
    source: Source
    observed_us: int
    is_truncated: bool


class Receiving:
    """A receiver, and the test in the place of the writer: it takes batches and says when they are durable."""

    def __init__(self, *listeners: ListenerSettings, batches: int = 4, batch_bytes: int = BATCH_BYTES) -> None:
        self.inbox = Inbox(batches, batch_bytes)
        self.metrics = Metrics()
        self.broken = threading.Event()
        self.receiver = Receiver(listeners, self.inbox, self.metrics, lambda: 7)
        self.received: list[Received] = []
        self.durable = True
        """Whether batches are committed as soon as they are taken."""
        self.taken: list[Batch] = []

    def start(self) -> None:
        self.receiver.start(self.broken.set)

    def stop(self) -> None:
        self.receiver.stop_reading()
        self.receiver.stop()

    def port(self, number: int = 0) -> int:
        return int(self.receiver.urls[number].rpartition(":")[2])

    def connect(self, number: int = 0) -> socket.socket:
        connected = socket.create_connection(("127.0.0.1", self.port(number)))
        connected.settimeout(10)
        return connected

    def send(self, data: bytes, number: int = 0) -> None:
        """Over a connection of its own, to its end."""
        with self.connect(number) as sender:
            sender.sendall(data)

    def connect_relp(self, number: int = 0) -> socket.socket:
        connected = self.connect(number)
        connected.sendall(RELP_OPEN)
        assert read_exactly(connected, len(RELP_OPENED)) == RELP_OPENED
        return connected

    def take(self) -> None:
        """Take what there is, and commit it if that is how it is."""
        while batch := self.inbox.take(0.01):
            self.received += messages_in(batch)
            self.taken.append(batch)
            if self.durable:
                self.commit()

    def commit(self) -> None:
        """What was taken is durable now."""
        for batch in self.taken:
            for tell in batch.on_commit:
                tell()
            self.inbox.give_back(batch)
        self.taken.clear()

    @property
    def payloads(self) -> list[bytes]:
        return [each.payload for each in self.received]

    def has(self, number: int) -> bool:
        self.take()
        return len(self.received) >= number

    def wait_for(self, number: int, timeout_s: float = 10.0) -> list[bytes]:
        wait_until(lambda: self.has(number), timeout_s, what=f"{number} messages")
        return self.payloads

    def count(self, name: str, reason: str | None = None) -> float | None:
        return self.metrics.registry.get_sample_value(f"cloudlog_{name}", {"reason": reason} if reason else {})

    def wait_for_count(self, name: str, reason: str | None, number: int) -> None:
        wait_until(lambda: self.count(name, reason) == number, what=f"{name} {reason} to be {number}")


def messages_in(batch: Batch) -> Iterator[Received]:
    stops = [*(segment.first for segment in batch.segments[1:]), batch.count]
    for segment, stop in zip(batch.segments, stops, strict=True):
        for number in range(segment.first, stop):
            yield Received(batch.payload(number), segment.source, segment.observed_us, number in batch.truncated)


@contextlib.contextmanager
def receiving(*listeners: ListenerSettings, batches: int = 4, batch_bytes: int = BATCH_BYTES) -> Iterator[Receiving]:
    """Started, and stopped at the end, which nothing must have broken before."""
    made = Receiving(*listeners, batches=batches, batch_bytes=batch_bytes)
    try:
        made.start()
        yield made
        assert not made.broken.is_set()
    finally:
        made.stop()


def read_exactly(connected: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := connected.recv(size - len(data))):
        data += more
    return data


class Authority:
    """A certificate authority in a directory, which signs for names."""

    _KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")

    def __init__(self, directory: Path, name: str = "ca") -> None:
        self._directory = directory
        self._name = name
        self.certificate = directory / f"{name}.pem"
        self._make(name, f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign")

    def sign(self, name: str, *dns_names: str) -> tuple[Path, Path]:
        """Certificate and key for CN `name`, and for the DNS names where there are any."""
        signed = ("-CA", str(self.certificate), "-CAkey", str(self._directory / f"{self._name}.key"))
        names = ("-addext", "subjectAltName=" + ",".join(f"DNS:{each}" for each in dns_names)) if dns_names else ()
        return self._make(name, f"/CN={name}", *signed, "-addext", "basicConstraints=critical,CA:FALSE", *names)

    def server(self, client_ca: "Authority | None") -> TlsSettings:
        """What a listener on localhost needs."""
        certificate, key = self.sign("localhost", "localhost")
        return TlsSettings(certificate, key, client_ca.certificate if client_ca else None)

    def _make(self, name: str, subject: str, *options: str) -> tuple[Path, Path]:
        certificate, key = self._directory / f"{name}.pem", self._directory / f"{name}.key"
        files = ("-subj", subject, "-keyout", str(key), "-out", str(certificate))
        subprocess.run(["openssl", "req", "-x509", *self._KEY, *files, *options], check=True, capture_output=True)
        return certificate, key
