"""`cloud log canary` beside a socket that a test holds: what a relay does to lines shows, and so do bad options."""

import json
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cloud.cli.log import log
from cloud.cli.log_canary import Shown
from cloud.logs.canary.client import RunGaps
from cloud.logs.canary.host import HostOutlets, Outlet
from cloud.logs.canary.ledger import Line, Share, State
from cloud.logs.canary.rounds import Outcome
from tests.canary.site import HOST, Site


class Relay:
    """Stands for a host's rsyslogd: each datagram goes to the collector as often as `copies` says."""

    def __init__(self, directory: Path, port: int) -> None:
        self.address = f"unix:{directory}/relay"
        self.copies: Callable[[bytes], int] = lambda _line: 1
        self.seen: list[bytes] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(directory / "relay"))
        self._out = socket.create_connection(("127.0.0.1", port))
        self._thread = threading.Thread(target=self._relay)
        self._thread.start()

    def _relay(self) -> None:
        while line := self._socket.recv(1 << 17):
            self.seen.append(line)
            for _ in range(self.copies(line)):
                self._out.sendall(b"%d %s" % (len(line), line))

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(b"", self._socket.getsockname())
        self._thread.join(5)
        self._socket.close()
        self._out.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Site, Relay]]:
    """For all tests here: each run of a canary looks for its own lines only."""
    with tempfile.TemporaryDirectory(prefix="t-") as directory:
        site = Site(Path(directory))
        try:
            site.start_collector()
            relay = Relay(site.tree, site.tcp_port)
            yield site, relay
            relay.close()
        finally:
            site.stop_collector()


@pytest.fixture
def site(shared: tuple[Site, Relay]) -> Site:
    return shared[0]


@pytest.fixture
def relay(shared: tuple[Site, Relay]) -> Relay:
    relay = shared[1]
    relay.copies = lambda _line: 1
    relay.seen.clear()
    return relay


def is_of(line: bytes, facility_number: int) -> bool:
    return int(line[1 : line.index(b">")]) // 8 == facility_number


def objects(done: "subprocess.CompletedProcess[str]") -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_json_tells_each_line_and_then_the_outcome(site: Site, relay: Relay) -> None:
    done = site.canary("--host", HOST, "--address", relay.address, "--output", "json")
    *told, outcome = objects(done)
    assert (done.returncode, done.stderr) == (0, "")
    assert [(each["facility"], each["round"], each["state"]) for each in told] == [
        (f"local{number}", 1, "arrived") for number in range(8)
    ]
    assert sorted(each["number"] for each in told) == list(range(1, 9))
    assert all(0 < each["latency_ms"] < 10_000 for each in told)
    assert (outcome["host"], outcome["runs"]) == (HOST, [])
    assert [(each["facility"], each["sent"], each["arrived"]) for each in outcome["summary"]] == [
        (f"local{number}", 1, 1) for number in range(8)
    ]
    assert outcome["summary"][2]["services"] == ["nova-scheduler", "nova-conductor"]
    assert outcome["summary"][0]["p50_ms"] == outcome["summary"][0]["max_ms"] == told[0]["latency_ms"]


def test_a_line_is_easy_to_leave_out_and_says_whose_it_is(site: Site, relay: Relay) -> None:
    done = site.canary("--host", HOST, "--address", relay.address, "--facility", "local1", "--output", "json")
    (line,) = relay.seen
    head, _, body = line.partition(b" @cee: ")
    pri, _, hostname, app_name, _, msgid, _ = head.split(b" ")
    assert (pri, hostname, app_name, msgid) == (b"<142>1", b"compute-01", b"canary", b"canary")
    assert json.loads(body) == {
        "message": "canary",
        "level": "INFO",
        "logger": "nova.canary",
        "event": "canary",
        "run": objects(done)[-1]["run"],
        "number": 1,
    }


def test_a_facility_that_does_not_come_is_missing_and_the_exit_code_says_so(site: Site, relay: Relay) -> None:
    relay.copies = lambda line: 0 if is_of(line, 19) else 1
    done = site.canary("--host", HOST, "--address", relay.address, "--timeout", "1s")
    assert done.returncode == 1
    rounds, table = done.stdout.split("+", 1)
    lines = rounds.splitlines()
    assert [line.split() for line in lines if line.endswith("missing")] == [
        ["round", "1", "local3", "nova-network", "-", "missing"]
    ]
    assert len(lines) == 8
    (row,) = (line for line in table.splitlines() if "local3" in line)
    assert row.replace("|", "").split() == ["local3", "nova-network", "1", "0", "-", "-", "-", "1", "0", "0"]
    assert table.endswith("gaps of compute-01: unknown, its lines have no numbers\n")


def test_a_line_that_comes_twice_is_doubled(site: Site, relay: Relay) -> None:
    relay.copies = lambda line: 2 if is_of(line, 18) else 1
    options = ("--facility", "local2", "--facility", "LOCAL0", "--output", "json", "--count", "3", "--every", "1s")
    done = site.canary("--host", HOST, "--address", relay.address, *options)
    summary = objects(done)[-1]["summary"]
    assert done.returncode == 0
    assert [(each["facility"], each["arrived"], each["doubled"]) for each in summary[:1]] == [("local0", 3, 0)]
    assert summary[1]["facility"] == "local2"
    assert summary[1]["arrived"] == 3
    assert summary[1]["doubled"] >= 2  # the copy of the last round's may come after the end


def test_a_run_leaves_no_thread_and_no_file_open(site: Site, relay: Relay) -> None:
    arguments = ("--host", HOST, "--address", relay.address, "--url", site.url, "--count", "2")
    assert run(*arguments).exit_code == 0  # what is loaded once is loaded now
    before = len(list(Path("/proc/self/fd").iterdir())), threading.active_count()
    assert run(*arguments).exit_code == 0
    assert (len(list(Path("/proc/self/fd").iterdir())), threading.active_count()) == before


def test_severity_is_the_lines_severity(site: Site, relay: Relay) -> None:
    site.canary("--host", HOST, "--address", relay.address, "--facility", "local0", "--severity", "notice")
    site.canary("--host", HOST, "--address", relay.address, "--facility", "local0", "--severity", "crit")
    assert [line[:5] for line in relay.seen] == [b"<133>", b"<130>"]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(log, ["canary", *arguments])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--every", "0.5s"], "Invalid value for --every: 1s at least, and 24h at most"),
        (["--every", "2d"], "Invalid value for --every: 1s at least, and 24h at most"),
        (["--every", "often"], "'often' is not a time span such as 90s, 15m or 2h"),
        (["--timeout", "0"], "Invalid value for --timeout: more than 0, and 24h at most"),
        (["--count", "0"], "Invalid value for '--count': 0 is not in the range x>=1."),
        (["--facility", "local8"], "'local8' is not one of 'local0', 'local1'"),
        (["--severity", "loud"], "'loud' is not one of 'debug', 'info'"),
    ],
)
def test_a_bad_option_is_a_usage_error(arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert said in done.output


def test_a_host_without_files_is_one_clear_line(tmp_path: Path) -> None:
    done = run("--directory", str(tmp_path / "none"))
    assert (done.exit_code, done.output) == (
        1,
        f"Error: cannot find where services log: No such file or directory {tmp_path}/none\n",
    )


def test_an_address_that_is_none_is_one_clear_line() -> None:
    done = run("--host", "h", "--address", "udp://h:514")
    assert done.exit_code == 1
    assert done.output.startswith("Error: cannot use syslog address 'udp://h:514': ")


def test_nobody_at_the_address_is_one_clear_line(tmp_path: Path) -> None:
    done = run("--host", "h", "--address", f"unix:{tmp_path}/s")
    assert (done.exit_code, done.output) == (
        1,
        f"Error: cannot reach the host's syslog at unix:{tmp_path}/s: No such file or directory\n",
    )
    done = run("--host", "h", "--address", "tcp://127.0.0.1:1")
    assert (done.exit_code, done.output) == (
        1,
        "Error: cannot reach the host's syslog at tcp://127.0.0.1:1: Connection refused\n",
    )


def test_people_see_latencies_in_milliseconds_and_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Shown(HostOutlets(HOST, (Outlet("local1", "unix:/s", ("nova-compute",)),)), "r", is_json=False)
    shown.line(Line(1, 1, "local1", State.ARRIVED, 0.02346))
    shown.line(Line(2, 2, "local1", State.MISSING, is_sent=False))
    shown.line(Line(12, 3, "local1", State.LATE, 12.0))
    shown.outcome(
        Outcome(
            [Share("local1", 3, 2, 1, 0, 0.02346, 12.0, 12.0)],
            [
                RunGaps("A", "unclosed", 9, 0, []),
                RunGaps("B", "closed", 9, 0, []),
                RunGaps("C", "current", 9, 4, [(2, 2), (5, 7)]),
            ],
        )
    )
    assert capsys.readouterr().out.splitlines() == [
        "round 1     local1  nova-compute        23.5 ms",
        "round 2     local1  nova-compute              -  missing: not sent, it waits here",
        "round 12    local1  nova-compute     12000.0 ms  late",
        "+----------+--------------+------+---------+--------+---------+---------+---------+------+---------+",
        "| Facility | Services     | Sent | Arrived | p50 ms |  p99 ms |  Max ms | Missing | Late | Doubled |",
        "+----------+--------------+------+---------+--------+---------+---------+---------+------+---------+",
        "| local1   | nova-compute |    3 |       2 |   23.5 | 12000.0 | 12000.0 |       1 |    1 |       0 |",
        "+----------+--------------+------+---------+--------+---------+---------+---------+------+---------+",
        "gaps of compute-01, run A: its end is not confirmed (cloud log backfill)",
        "gaps of compute-01, run C (current): 4 missing: 2, 5-7",
    ]
