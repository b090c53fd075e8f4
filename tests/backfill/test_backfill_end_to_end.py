"""A real rsyslogd, a real collector that is killed, and `cloud log backfill` between them."""

import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cloud.logs.generator.inventory import Inventory
from cloud.logs.generator.render import render_host, write_tree
from tests.generator.forwarding import INFO, TIME
from tests.rsyslog import RsyslogHost
from tests.waiting import wait_until

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[2]


class KilledCollector:
    """A collector with its data in `directory` on a port that stays the same over its lives."""

    def __init__(self, directory: Path) -> None:
        self._data = directory / "data"
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        self.url = ""
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "cloud", "log", "collector", "--listen", f"tcp://127.0.0.1:{self.port}"]
        self._process = subprocess.Popen(
            [*command, "--http", "127.0.0.1:0", "--data", str(self._data)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT,
        )  # fmt: skip
        assert self._process.stdout is not None
        said = [self._process.stdout.readline().strip() for _ in range(3)]
        assert said[-1] == "ready"
        self.url = said[1].removeprefix("http ")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def messages(self) -> list[str]:
        return [row["message"] for row in self._get("/rows", n=1000) if "line " in row["message"]]

    def runs(self) -> list[dict[str, Any]]:
        return self._get("/gaps", host="compute-01", every=True, in_flight=True)

    def _get(self, path: str, **parameters: Any) -> list[dict[str, Any]]:
        answer = httpx.get(f"{self.url}/api/v1{path}", params=parameters, timeout=10, trust_env=False)
        found: list[dict[str, Any]] = answer.raise_for_status().json()
        return found


@pytest.fixture
def directory() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="t-"))  # short: a socket's path has 107 bytes at most
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def collector(directory: Path) -> Iterator[KilledCollector]:
    collector = KilledCollector(directory)
    yield collector
    collector.kill()


def backfill(collector: KilledCollector, host: RsyslogHost) -> int:
    command = [sys.executable, "-m", "cloud", "log", "backfill", "--url", collector.url]
    done = subprocess.run([*command, "--directory", str(host.nova_log.parent)], cwd=ROOT, timeout=60, check=False)
    return done.returncode


def test_after_backfill_each_line_is_stored_once_whatever_was_killed(
    directory: Path, collector: KilledCollector
) -> None:
    where = {"address": "127.0.0.1", "port": collector.port, "protocol": "tcp"}
    entry = {"services": ["nova-compute"], "base_rsyslog": True, "paths": {"root": str(directory)}}
    inventory = Inventory.model_validate({"collector": where, "hosts": {"compute-01": entry}})
    write_tree(render_host(inventory, "compute-01"), directory)
    sent: list[str] = []

    def send(host: RsyslogHost, count: int) -> None:
        more = [f"line {number}" for number in range(len(sent), len(sent) + count)]
        host.send(*(f"<{INFO}>1 {TIME} - nova-compute 81 - - {each}" for each in more))
        sent.extend(more)
        host.wait_for_local(f"line {len(sent) - 1}\n")

    with RsyslogHost() as host:
        collector.start()
        host.start(directory)
        send(host, 100)
        wait_until(lambda: len(collector.messages()) == 100, what="the first lines")
        collector.kill()
        send(host, 150)  # into kernel buffers that are gone, and a queue in memory
        host.kill()
        collector.start()
        host.start(directory)
        send(host, 50)
        wait_until(lambda: collector.messages()[-1:] == [sent[-1]], what="the last lines")
        assert [run["state"] for run in collector.runs()] == ["unclosed", "current"]
        assert len(collector.messages()) < len(sent)
        assert backfill(collector, host) == 0
        assert sorted(collector.messages()) == sorted(sent)
        assert [run["state"] for run in collector.runs()] == ["closed", "current"]
        collector.kill()
        collector.start()  # what is known of the runs is in the store
        assert [run["state"] for run in collector.runs()] == ["closed", "current"]
        assert backfill(collector, host) == 0
        assert sorted(collector.messages()) == sorted(sent)
