"""`cloud log tail` as a process: what it prints, and how it ends."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cloud.logs.query.client import CollectorClient
from tests.waiting import wait_until

COMMAND = [sys.executable, "-m", "cloud", "log"]


@dataclass
class Collector:
    """A collector of its own, in which each test's lines have a host of their own."""

    syslog_port: int
    url: str

    def send(self, host: str, *texts: str, severity: int = 6) -> None:
        """Send a line for each text, and return when all are stored."""
        before = self.count(host)
        with socket.create_connection(("127.0.0.1", self.syslog_port)) as sender:
            for text in texts:
                line = f"<{17 * 8 + severity}>1 2026-01-31T10:00:00.5Z {host} nova-compute 42 - - {text}"
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


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with tempfile.TemporaryDirectory() as directory:
        command = [*COMMAND, "collector", "--listen=tcp://127.0.0.1:0", "--http=127.0.0.1:0", f"--data={directory}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdout is not None
            said = dict(process.stdout.readline().split() for _ in range(2))
            yield Collector(int(said["syslog"].rsplit(":", 1)[1]), said["http"])
            process.terminate()


def test_history_is_shown_in_order_of_arrival_and_then_it_ends(collector: Collector) -> None:
    collector.send("history", "one", "two", "three")
    with collector.tail("--host", "history", "--no-follow", "-n", "2") as tail:
        out, err = tail.communicate(timeout=20)
    assert out == (
        "2026-01-31 10:00:00.500 history nova-compute[42] INFO two  flags=skewed\n"
        "2026-01-31 10:00:00.500 history nova-compute[42] INFO three  flags=skewed\n"
    )
    assert (err, tail.returncode) == ("", 0)


def test_json_is_one_object_a_line_and_raw_is_the_message(collector: Collector) -> None:
    collector.send("formats", '@cee: {"message":"two\\nlines","x":1}')
    with collector.tail("--host", "formats", "--no-follow", "--output", "json") as tail:
        row = json.loads(tail.communicate(timeout=20)[0])
    assert (row["message"], row["fields"], row["facility"]) == ("two\nlines", {"x": 1}, "local1")
    with collector.tail("--host", "formats", "--no-follow", "--output", "raw") as tail:
        assert tail.communicate(timeout=20)[0] == "two\nlines\n"


def test_severity_means_this_and_worse(collector: Collector) -> None:
    collector.send("severities", "bad", severity=3)
    collector.send("severities", "warned", severity=4)
    collector.send("severities", "fine", severity=6)
    with collector.tail("--host", "severities", "--no-follow", "--severity", "warning", "--output", "raw") as tail:
        assert tail.communicate(timeout=20)[0] == "bad\nwarned\n"


def test_live_lines_follow_history_and_ctrl_c_ends_with_0(collector: Collector) -> None:
    collector.send("live", "old")
    with collector.tail("--host", "live", "--output", "raw") as tail:
        assert tail.stdout is not None
        assert tail.stdout.readline() == "old\n"
        collector.send("live", "new")
        assert tail.stdout.readline() == "new\n"
        tail.send_signal(signal.SIGINT)
        assert tail.communicate(timeout=20) == ("", "")
    assert tail.returncode == 0


def test_a_closed_pipe_ends_with_0_and_without_a_word(collector: Collector) -> None:
    collector.send("pipe", *(f"line {number}" for number in range(100)))
    with collector.tail("--host", "pipe", "-n", "100", "--output", "raw") as tail:
        assert tail.stdout is not None
        assert tail.stderr is not None
        assert tail.stdout.readline() == "line 0\n"
        tail.stdout.close()
        collector.send("pipe", "one more")
        assert tail.stderr.read() == ""
        assert tail.wait(20) == 0


def test_a_pipe_whose_reader_left_ends_the_tail_although_nothing_arrives(collector: Collector) -> None:
    collector.send("silent", "only")
    with collector.tail("--host", "silent", "--output", "raw") as tail:
        assert tail.stdout is not None
        assert tail.stdout.readline() == "only\n"
        tail.stdout.close()
        assert tail.wait(20) == 0


def test_an_absent_collector_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    done = subprocess.run(
        [*COMMAND, "tail", "--url", f"http://127.0.0.1:{port}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert re.fullmatch(rf"Error: cannot reach the collector at http://127\.0\.0\.1:{port}: .*refused.*\n", done.stderr)


def test_a_wrong_severity_is_said_in_the_collectors_words(collector: Collector) -> None:
    with collector.tail("--severity", "loud") as tail:
        out, err = tail.communicate(timeout=20)
    assert tail.returncode == 1
    assert out == ""
    assert err == (
        "Error: the collector refuses: cannot use severity 'loud': expected one of"
        " emerg, alert, crit, err, warning, notice, info, debug\n"
    )
