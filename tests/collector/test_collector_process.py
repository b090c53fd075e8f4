"""The real program: `cloud log collector`."""

import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]


class Collector:
    """A collector on free ports, with its data in `data`."""

    def __init__(self, data: Path) -> None:
        self.data = data
        command = [sys.executable, "-m", "cloud", "log", "collector", "--listen", "tcp://127.0.0.1:0"]
        self.process = subprocess.Popen(
            [*command, "--http", "127.0.0.1:0", "--data", str(data)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self.process.stdout is not None
        self.said = [self.process.stdout.readline().rstrip("\n") for _ in range(3)]
        self.syslog_port = int(self.said[0].rpartition(":")[2] or 0)
        self.http = httpx.Client(base_url=self.said[1].removeprefix("http "), timeout=10, trust_env=False)

    def send(self, data: bytes) -> None:
        with socket.create_connection(("127.0.0.1", self.syslog_port)) as sender:
            sender.sendall(data)

    def rows(self, n: int = 1000) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.http.get("/api/v1/rows", params={"n": n}).raise_for_status().json()
        return found

    def messages(self) -> list[str]:
        return [row["message"] for row in self.rows()]

    def metric(self, name: str) -> float:
        text = self.http.get("/metrics").raise_for_status().text
        match = re.search(rf"^cloudlog_{re.escape(name)} (\S+)$", text, re.MULTILINE)
        assert match, f"no metric {name} in {text}"
        return float(match[1])

    def has_records(self, number: float) -> bool:
        return self.metric("store_records_total") >= number

    def stop(self, timeout_s: float = 5.0) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)

    def close(self) -> None:
        self.http.close()
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    started = Collector(tmp_path / "data")
    yield started
    started.close()


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """One for the tests that leave it running."""
    started = Collector(tmp_path_factory.mktemp("lasting") / "data")
    yield started
    started.close()


def test_it_says_where_it_listens_and_when_it_is_ready(lasting: Collector) -> None:
    assert re.fullmatch(r"syslog tcp://127\.0\.0\.1:\d+", lasting.said[0])
    assert re.fullmatch(r"http http://127\.0\.0\.1:\d+", lasting.said[1])
    assert lasting.said[2] == "ready"
    assert lasting.http.get("/readyz").json() == {"status": "ready", "row_id": 0}


def test_a_line_becomes_a_row_and_sigterm_ends_it_with_0(collector: Collector) -> None:
    collector.send(
        b'<142>1 2026-01-31T12:00:00.5Z compute-01 nova-compute 81 - - @cee: {"message": "spawned", "x": 1}\n'
    )
    wait_until(collector.rows, what="the row")
    [row] = collector.rows()
    assert row.pop("observed_timestamp").endswith("Z")
    assert row == {
        "row_id": 1, "batch": 1, "timestamp": "2026-01-31T12:00:00.500000Z", "hostname": "compute-01", "peer": "127.0.0.1",
        "facility": "local1", "severity": "info", "app_name": "nova-compute", "procid": "81", "message": "spawned",
        "fields": {"x": 1}, "flags": row["flags"],
    }  # fmt: skip
    assert collector.stop() == 0


BAD = [
    ("binary", b"\x00\xff\xfe\x01" * 1000 + b"\n", "parse_failures_total", "utf8"),
    ("a count of 1 GiB", b"1073741824 <13>" + b"x" * 3_000_000, "framing_failures_total", "cut_off"),
    ("half a frame", b"500 <13>1 - h a - - - half", "framing_failures_total", "cut_off"),
    ("an endless line", b"<13>" + b"x" * 3_000_000 + b"\n", "framing_failures_total", "oversize"),
    ("a bad count", b"17 <13>1 - - - - - -zzz\n", "framing_failures_total", "octet_count"),
    ("invalid UTF-8", b"<13>1 - h a - - - caf\xe9\n", "parse_failures_total", "utf8"),
    ("no PRI", b"who needs a PRI\n", "parse_failures_total", "no_pri"),
    ("bad JSON", b'<13>1 - h a - - - @cee: {"a\n', "parse_failures_total", "json"),
    ("month 13", b"<13>1 2026-13-01T00:00:00Z h a - - - m\n", "parse_failures_total", "timestamp"),
    ("bad structured data", b"<13>1 - h a - - [x m\n", "parse_failures_total", "structured_data"),
]


def test_bad_input_is_kept_and_counted_and_ends_nothing(collector: Collector) -> None:
    for name, data, metric, reason in BAD:
        counter = f'{metric}{{reason="{reason}"}}'
        before, stored = collector.metric(counter), collector.metric("store_records_total")
        collector.send(data)
        collector.send(b"<13>1 - h a - - - a good line\n")
        wait_until(partial(collector.has_records, stored + 2), what=f"rows of {name}")
        assert collector.metric(counter) == before + 1, name
    kept = "\n".join(collector.messages())
    for text in (r"\xff\xfe", "half", "caf\\xe9", "who needs a PRI", '@cee: {"a', "zzz", "[x m"):
        assert text in kept
    truncated = [row["message"] for row in collector.rows() if "truncated" in row.get("flags", ())]
    assert [len(message) for message in truncated] == [1048601, 4, 1048601]
    assert collector.stop() == 0


def test_it_stops_within_five_seconds_with_open_tails_and_open_senders(collector: Collector) -> None:
    sender = socket.create_connection(("127.0.0.1", collector.syslog_port))
    sender.sendall(b"<13>1 - h a - - - first\n")
    wait_until(collector.rows, what="the row")
    ended = threading.Event()
    is_live = threading.Event()

    def tail() -> None:
        with httpx.stream("GET", f"{collector.http.base_url}/api/v1/tail", timeout=10, trust_env=False) as response:
            for line in response.iter_lines():
                if line == "event: live":
                    is_live.set()
        ended.set()

    tails = [threading.Thread(target=tail) for _ in range(3)]
    for each in tails:
        each.start()
    assert is_live.wait(10)
    sender.sendall(b"<13>1 - h a - - - last, without its end")
    assert collector.stop() == 0
    assert ended.wait(10)
    for each in tails:
        each.join()
    sender.close()


def test_what_was_sent_right_before_the_stop_is_there_after_a_restart(tmp_path: Path) -> None:
    first = Collector(tmp_path)
    first.send(b"".join(b"<13>1 - h a - - - %d\n" % number for number in range(500)))
    assert first.stop() == 0
    first.close()
    second = Collector(tmp_path)
    assert second.messages() == [str(number) for number in range(500)]
    assert second.http.get("/readyz").json()["row_id"] == 500
    assert second.stop() == 0
    second.close()


def test_after_kill_9_everything_that_could_be_read_is_there(tmp_path: Path) -> None:
    first = Collector(tmp_path)
    first.send(b"".join(b"<13>1 - h a - - - %d\n" % number for number in range(500)))
    wait_until(lambda: len(first.rows()) == 500, what="500 rows")
    first.close()  # SIGKILL
    second = Collector(tmp_path)
    assert second.messages() == [str(number) for number in range(500)]
    second.send(b"<13>1 - h a - - - next\n")
    wait_until(lambda: second.rows(1)[0]["message"] == "next", what="the next row")
    assert second.rows(1)[0]["row_id"] == 501
    second.close()


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "cloud", "log", "collector", *arguments],
        capture_output=True, text=True, timeout=20, cwd=ROOT, check=False,
    )  # fmt: skip


def test_a_second_collector_on_the_same_data_is_refused(lasting: Collector) -> None:
    refused = run("--listen", "tcp://127.0.0.1:0", "--http", "127.0.0.1:0", "--data", str(lasting.data))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == f"Error: cannot use data directory {lasting.data}: another collector has it\n"
    assert lasting.http.get("/readyz").status_code == 200


def test_an_address_that_is_taken_is_one_clear_line(lasting: Collector, tmp_path: Path) -> None:
    address = f"127.0.0.1:{lasting.syslog_port}"
    refused = run("--listen", "tcp://127.0.0.1:0", "--http", address, "--data", str(tmp_path))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert re.fullmatch(rf"Error: cannot listen on http://{address}: .*\n", refused.stderr)


def test_bad_settings_are_one_clear_line(tmp_path: Path) -> None:
    file = tmp_path / "collector.toml"
    file.write_text("max_connections = 'many'")
    refused = run("--config", str(file))
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"Error: cannot use settings {file}: max_connections: ")
    assert refused.stderr.count("\n") == 1


def test_a_stop_right_after_ready_is_a_clean_one(tmp_path: Path) -> None:
    started = Collector(tmp_path)
    assert started.stop() == 0
    assert started.process.communicate()[1].count("Traceback") == 0
    started.close()


def test_the_collector_does_not_log_what_it_receives(collector: Collector) -> None:
    collector.send(b"<11>1 - h a - - - secret words\n" * 50 + b"\xff\n")
    wait_until(lambda: len(collector.rows()) == 51, what="the rows")
    assert collector.stop() == 0
    stderr = collector.process.communicate()[1]
    assert "secret words" not in stderr
    assert len(stderr.splitlines()) < 10
