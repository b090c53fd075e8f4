"""A collector as a process, and `cloud log` commands that ask it."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cloud.logs.query.client import CollectorClient
from tests.waiting import wait_until

COMMAND = [sys.executable, "-m", "cloud", "log"]


@dataclass
class Collector:
    """A collector of its own, in which each test's lines have a host of their own."""

    syslog_port: int
    url: str

    def send(self, host: str, *texts: str, severity: int = 6, at: str = "2026-01-31T10:00:00.5Z") -> None:
        """Send a line for each text, and return when all are stored."""
        before = self.count(host)
        with socket.create_connection(("127.0.0.1", self.syslog_port)) as sender:
            for text in texts:
                line = f"<{17 * 8 + severity}>1 {at} {host} nova-compute 42 - - {text}"
                sender.sendall(b"%d %s" % (len(line.encode()), line.encode()))
        wait_until(lambda: self.count(host) == before + len(texts), what=f"the lines of {host}")

    def count(self, host: str) -> int:
        with CollectorClient(self.url) as client:
            return sum(row["count"] for row in client.count({"host": host}))

    def tail(self, *options: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*COMMAND, "tail", "--url", self.url, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TZ": "UTC"},
        )

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """A command of `cloud log` from beginning to end."""
        return subprocess.run(
            [*COMMAND, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, "TZ": "UTC", "CLOUD_LOG_URL": self.url},
        )


@contextmanager
def collecting() -> Iterator[Collector]:
    """One on free ports, until the context is left."""
    with tempfile.TemporaryDirectory() as directory:
        command = [*COMMAND, "collector", "--listen=tcp://127.0.0.1:0", "--http=127.0.0.1:0", f"--data={directory}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdout is not None
            said = dict(process.stdout.readline().split() for _ in range(2))
            yield Collector(int(said["syslog"].rsplit(":", 1)[1]), said["http"])
            process.terminate()
