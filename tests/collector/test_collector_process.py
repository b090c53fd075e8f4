"""The real program: `cloud log collector`."""

import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import pytest

from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]


class Collector:
    """A collector on free ports, with its data in `data`."""

    def __init__(self, data: Path, *options: str) -> None:
        self.data = data
        command = [sys.executable, "-m", "cloud", "log", "collector", "--listen", "tcp://127.0.0.1:0"]
        self.process = subprocess.Popen(
            [*command, "--http", "127.0.0.1:0", "--data", str(data), *options],
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

    def stop(self, timeout_s: float = 5.0) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.http.close()
        self.kill()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    with Collector(tmp_path / "data") as started:
        yield started


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """One for the tests that leave it running."""
    with Collector(tmp_path_factory.mktemp("lasting") / "data") as started:
        yield started


def test_it_says_where_it_listens_and_when_it_is_ready(lasting: Collector) -> None:
    assert re.fullmatch(r"syslog tcp://127\.0\.0\.1:\d+", lasting.said[0])
    assert re.fullmatch(r"http http://127\.0\.0\.1:\d+", lasting.said[1])
    assert lasting.said[2] == "ready"
    assert lasting.http.get("/readyz").json()["status"] == "ready"


def test_a_line_becomes_a_row(lasting: Collector) -> None:
    lasting.send(b'<142>1 2026-01-31T12:00:00.5Z compute-01 nova-compute 81 - - @cee: {"message": "spawned", "x": 1}\n')
    wait_until(lasting.rows, what="the row")
    [row] = lasting.rows()
    assert row.pop("observed_timestamp").endswith("Z")
    assert row == {
        "row_id": 1,
        "batch": 1,
        "timestamp": "2026-01-31T12:00:00.500000Z",
        "hostname": "compute-01",
        "peer": "127.0.0.1",
        "facility": "local1",
        "severity": "info",
        "app_name": "nova-compute",
        "procid": "81",
        "message": "spawned",
        "fields": {"x": 1},
        "flags": ["skewed"],
    }


BAD = [
    b"\x00\xff\xfe\x01" * 1000 + b"\n",  # utf8, no_pri
    b"1073741824 <13>" + b"x" * 3_000_000,  # cut_off
    b"500 <13>1 - h a - - - half",  # cut_off
    b"<13>" + b"x" * 3_000_000 + b"\n",  # oversize
    b"17 <13>1 - - - - - -zzz\n",  # octet_count; what is left of the line is a message: no_pri
    b"<13>1 - h a - - - caf\xe9\n",  # utf8
    b"who needs a PRI\n",  # no_pri
    b'<13>1 - h a - - - @cee: {"a\n',  # json
    b"<13>1 2026-13-01T00:00:00Z h a - - - m\n",  # timestamp
    b"<13>1 - h a - - [x m\n",  # structured_data
    b"<13>1 - h a - - - a good line\n",
]
COUNTED = {
    ("framing", "cut_off"): 2,
    ("framing", "oversize"): 1,
    ("framing", "octet_count"): 1,
    ("parse", "utf8"): 2,
    ("parse", "no_pri"): 3,
    ("parse", "json"): 1,
    ("parse", "timestamp"): 1,
    ("parse", "structured_data"): 1,
}


def test_bad_input_is_kept_and_counted_and_ends_nothing(collector: Collector) -> None:
    for data in BAD:
        collector.send(data)
    wait_until(lambda: collector.metric("store_records_total") == 12, what="the rows")
    for (part, reason), count in COUNTED.items():
        assert collector.metric(f'{part}_failures_total{{reason="{reason}"}}') == count, reason
    rows = collector.rows()
    kept = "\n".join(row["message"] for row in rows)
    for text in (r"\xff\xfe", "half", r"caf\xe9", "who needs a PRI", '@cee: {"a', "zzz", "[x m", "a good line"):
        assert text in kept
    truncated = [row["message"] for row in rows if "truncated" in row.get("flags", ())]
    assert sorted(map(len, truncated)) == [4, 1048601, 1048601]
    assert collector.stop() == 0
    assert collector.process.stderr is not None
    stderr = collector.process.stderr.read()
    assert len(stderr.splitlines()) < 10, "it logs what it receives"
    assert "Traceback" not in stderr


def test_it_stops_within_five_seconds_with_open_tails_and_open_senders(collector: Collector) -> None:
    sender = socket.create_connection(("127.0.0.1", collector.syslog_port))
    sender.sendall(b"<13>1 - h a - - - first\n")
    wait_until(collector.rows, what="the row")
    live = threading.Semaphore(0)
    ended: list[str] = []

    def tail() -> None:
        with httpx.stream("GET", f"{collector.http.base_url}/api/v1/tail", timeout=10, trust_env=False) as response:
            for line in response.iter_lines():
                if line == "event: live":
                    live.release()
        ended.append("tail")

    tails = [threading.Thread(target=tail) for _ in range(3)]
    for each in tails:
        each.start()
    assert all(live.acquire(timeout=10) for _ in tails)
    sender.sendall(b"<13>1 - h a - - - last, without its end")
    assert collector.stop() == 0
    for each in tails:
        each.join(10)
    assert len(ended) == 3
    sender.close()


def numbered(count: int) -> bytes:
    return b"".join(b"<13>1 - h a - - - %d\n" % number for number in range(count))


def test_what_could_be_read_survives_kill_9_and_what_was_sent_right_before_a_stop_that_stop(tmp_path: Path) -> None:
    with Collector(tmp_path) as first:
        first.send(numbered(300))
        wait_until(lambda: len(first.rows()) == 300, what="300 rows")
        first.kill()
    with Collector(tmp_path) as second:
        assert second.messages() == [str(number) for number in range(300)]
        second.send(numbered(200))
        assert second.stop() == 0
    with Collector(tmp_path) as third:
        assert third.messages() == [str(number) for number in (*range(300), *range(200))]
        assert [row["row_id"] for row in third.rows()] == list(range(1, 501))


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


def of_host(host: str, first: int, count: int, severity: int) -> bytes:
    """Numbered lines of 200 bytes, each with its end."""
    line = '<%d>1 - h a - - [line@32473 host="%s" start="A" n="%d"] %s %d'
    lines = (line % (8 + severity, host, number, host, number) for number in range(first, first + count))
    return b"".join(each.encode().ljust(199, b".") + b"\n" for each in lines)


def test_a_host_that_loops_is_limited_over_a_restart_too_and_no_other_host_is(tmp_path: Path) -> None:
    config = tmp_path / "collector.toml"
    config.write_text("host_daily_bytes = 19900\n")
    with Collector(tmp_path / "data", "--config", str(config)) as first:
        first.send(of_host("compute-01", 1, 5000, 6))
        first.send(of_host("compute-02", 1, 50, 6))
        wait_until(lambda: first.metric("store_records_total") == 150, what="what is within the budgets")
        assert first.metric('budget_dropped_total{reason="info"}') == 4900
        assert first.metric('host_dropped_total{host="compute-01"}') == 4900
        assert first.metric('host_dropped_total{host="compute-02"}') == 0
        assert first.stop() == 0
        assert first.process.stderr is not None
        said = first.process.stderr.read()
        assert said.count("host is over its daily budget") == 1
        assert "compute-01" in said
    with Collector(tmp_path / "data", "--config", str(config)) as second:
        second.send(of_host("compute-01", 5001, 10, 6) + of_host("compute-01", 5011, 10, 4))
        second.send(of_host("compute-02", 51, 10, 6))
        wait_until(lambda: second.metric("store_records_total") == 20, what="a host's warnings and the other host")
        assert second.metric('budget_dropped_total{reason="info"}') == 10
        gaps = second.http.get("/api/v1/gaps", params={"in_flight": True, "every": True}).raise_for_status().json()
        found = {each["host"]: (each["stored"], each["waived"], each["missing"]) for each in gaps}
        assert found == {"compute-01": (110, 4910, 0), "compute-02": (60, 0, 0)}
        assert second.stop() == 0
