"""A host and its collector, both real: rendered files, an rsyslogd or none, and `cloud log canary` between them."""

import contextlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cloud.logs.generator.inventory import Inventory
from cloud.logs.generator.render import render_host, write_tree

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "cloud", "log"]
HOST = "compute-01"
RUN_TIMEOUT_S = 60.0
SERVICES = (
    "nova-api", "nova-compute", "nova-scheduler", "nova-conductor", "nova-network", "nova-cert", "nova-objectstore",
)  # fmt: skip


class Site:
    """A collector that may be stopped and started on its ports, and the files of a host below `tree`."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        self.relp_port, self.tcp_port, self._http_port = _free_ports(3)
        self.url = f"http://127.0.0.1:{self._http_port}"
        self._process: subprocess.Popen[str] | None = None

    def render(self, syslog: str = "rsyslog", **keys: object) -> None:
        entry: dict[str, object] = {"services": list(SERVICES), "syslog": syslog, "paths": {"root": str(self.tree)}}
        entry["base_rsyslog"] = syslog == "rsyslog"
        where = {
            "address": "127.0.0.1", "port": self.relp_port, "protocol": "relp", "tcp_port": self.tcp_port,
        }  # fmt: skip
        inventory = Inventory.model_validate({"collector": where, "hosts": {HOST: entry}, **keys})
        write_tree(render_host(inventory, HOST), self.tree)

    def start_collector(self) -> None:
        listen = [f"--listen=relp://127.0.0.1:{self.relp_port}", f"--listen=tcp://127.0.0.1:{self.tcp_port}"]
        said = self.tree / "collector.err"
        with said.open("ab") as err:
            self._process = subprocess.Popen(
                [*COMMAND, "collector", *listen, f"--http=127.0.0.1:{self._http_port}", f"--data={self.tree / 'data'}"],
                stdout=subprocess.PIPE, stderr=err, text=True, cwd=ROOT,
            )  # fmt: skip
        assert self._process.stdout is not None
        assert [self._process.stdout.readline().strip() for _ in range(4)][-1] == "ready", said.read_text()

    def stop_collector(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.communicate(timeout=20)
            finally:
                self._process.kill()
                self._process = None

    @property
    def arguments(self) -> list[str]:
        return [*COMMAND, "canary", "--directory", str(self.tree / "etc/nova"), "--url", self.url]

    def canary(self, *options: str) -> "subprocess.CompletedProcess[str]":
        """A whole run, which must be over within a minute."""
        return subprocess.run(
            [*self.arguments, *options], cwd=ROOT, capture_output=True, text=True, check=False, timeout=RUN_TIMEOUT_S
        )

    @contextlib.contextmanager
    def running(self, *options: str) -> Iterator["Running"]:
        """A run with JSON output that goes on meanwhile."""
        with subprocess.Popen(
            [*self.arguments, "--output", "json", *options],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            overdue = threading.Timer(RUN_TIMEOUT_S, process.kill)
            overdue.start()
            try:
                yield Running(process)
            finally:
                overdue.cancel()
                process.kill()


class Running:
    """What a run says, line by line."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def until(self, state: str, count: int = 1) -> list[dict[str, Any]]:
        """The next `count` lines of that state."""
        found: list[dict[str, Any]] = []
        while len(found) < count:
            line = self._read()
            if line["state"] == state:
                found.append(line)
        return found

    def until_late(self, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Those of `lines` as they are when they have come late."""
        numbers = {line["number"] for line in lines}
        found: list[dict[str, Any]] = []
        while {line["number"] for line in found} != numbers:
            line = self._read()
            if line["state"] == "late" and line["number"] in numbers:
                found.append(line)
        return found

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the run has ended, or was ended after a minute"
        told: dict[str, Any] = json.loads(line)
        return told

    def end(self, number: int) -> tuple[dict[str, Any], str]:
        """Send a signal; the outcome, and stderr."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=30)
        return json.loads(out.splitlines()[-1]), err


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [probe.getsockname()[1] for probe in probes]
