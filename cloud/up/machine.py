"""One machine as a cloud: a collector, and a compute host with its rendered configuration and its own rsyslogd."""

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import yaml

from cloud.logs.generator.inventory import Inventory, load_inventory
from cloud.logs.generator.paths import MAX_SOCKET_PATH_BYTES
from cloud.logs.generator.render import render_host, write_tree
from cloud.up.process import Process, ProcessError, start_process

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 5.0
POLL_S = 0.02
SERVICES = ("nova-api", "nova-compute", "nova-conductor", "nova-network", "nova-scheduler")
"""Whose configuration is rendered: the ones a replayed log speaks for. Of these, RUNNING run."""
RUNNING = ("nova-compute",)


class Machine:
    """Starts in the order in which a line travels backwards, so that nothing is sent to nobody; stops in the other."""

    def __init__(self, directory: Path, host: str, *, listen: str, http: str) -> None:
        """`directory` holds all that is written; only the socket moves elsewhere where its path would be too long."""
        self.directory = directory.absolute()
        self.host = host
        self._listen = listen
        self._http = http
        self._processes: list[Process] = []
        self._run_directory: Path | None = None
        self.syslog_url = ""
        self.http_url = ""
        self.has_rsyslog = shutil.which("rsyslogd", path=_PATH) is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def tree(self) -> Path:
        """The host's root: its rendered files are below it as they would be below `/`."""
        return self.directory / "hosts" / self.host

    @property
    def syslog_address(self) -> str:
        """Where the host's services send."""
        return self.inventory.host(self.host).syslog_address

    @property
    def inventory(self) -> Inventory:
        return load_inventory(self.directory / "inventory.yaml")

    def start(self) -> None:
        """Start everything and return when a line would arrive; `ProcessError` or `InventoryError` otherwise."""
        self.start_collector()
        self._render()
        if self.has_rsyslog:
            self._start_rsyslogd()
        for service in RUNNING:
            etc = self.inventory.host(self.host).paths.etc
            files = [f"--config-file={etc}/nova.conf", f"--config-file={etc}/{service}.conf"]
            self._start(service, [sys.executable, "-m", "cloud", "service", service, *files])

    def follow(self) -> Process:
        """`cloud log tail` of the whole cloud, on our stdout."""
        command = [sys.executable, "-m", "cloud", "log", "tail", "--url", self.http_url]
        self._processes.append(start_process("tail", command, self._output("tail"), shows_output=True))
        return self._processes[-1]

    def start_collector(self) -> None:
        """Start the collector; a second time, after `stop_collector`, on the ports that it had."""
        listen = self.syslog_url or self._listen
        http = self.http_url.removeprefix("http://") or self._http
        command = [sys.executable, "-m", "cloud", "log", "collector", "--listen", listen, "--http", http]
        output = self._output("collector")
        output.unlink(missing_ok=True)  # its first lines say where it listens
        collector = self._start("collector", [*command, "--data", str(self.directory / "store")])
        self._wait(lambda: b"\nready\n" in output.read_bytes(), collector)
        said = dict(line.split(" ", 1) for line in output.read_text().splitlines() if line[:4] in ("sysl", "http"))
        self.syslog_url, self.http_url = said["syslog"], said["http"]

    def stop_collector(self) -> None:
        """End the collector alone; the host goes on, and its rsyslogd keeps what it cannot forward."""
        collector = next(process for process in self._processes if process.name == "collector")
        collector.stop(STOP_TIMEOUT_S)
        self._processes.remove(collector)

    def check(self) -> None:
        """`ProcessError` when one of the programs has ended."""
        for process in self._processes:
            process.check()

    def stop(self) -> None:
        """End all, the last one started first, each within 5 s."""
        while self._processes:
            self._processes.pop().stop(STOP_TIMEOUT_S)
        if self._run_directory is not None:
            shutil.rmtree(self._run_directory, ignore_errors=True)
            self._run_directory = None

    def _render(self) -> None:
        run = self.tree / "run/nova"
        if len(bytes(run / "log.sock")) > MAX_SOCKET_PATH_BYTES:
            self._run_directory = Path(tempfile.mkdtemp(prefix="cloud-"))
            run = self._run_directory
        address, port = self.syslog_url.removeprefix("tcp://").rsplit(":", 1)
        content = {
            "collector": {"address": address.strip("[]"), "port": int(port)},
            "thresholds": {"nova": "debug"},  # what is replayed is to be found again, DEBUG lines too
            "hosts": {
                self.host: {
                    "services": list(SERVICES),
                    "syslog": "rsyslog" if self.has_rsyslog else "collector",
                    "base_rsyslog": self.has_rsyslog,
                    "paths": {"root": str(self.tree), "run": str(run)},
                }
            },
        }
        (self.directory / "inventory.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
        write_tree(render_host(self.inventory, self.host), self.tree)
        for path in self.inventory.host(self.host).paths.needed_directories:
            Path(path).mkdir(parents=True, exist_ok=True)

    def _start_rsyslogd(self) -> None:
        paths = self.inventory.host(self.host).paths
        socket, pid_file = Path(paths.socket), Path(paths.run) / "rsyslogd.pid"
        for left_over in (socket, pid_file):
            left_over.unlink(missing_ok=True)
        program = shutil.which("rsyslogd", path=_PATH) or "rsyslogd"
        rsyslogd = self._start("rsyslogd", [program, "-n", "-f", str(paths.rsyslog_conf), "-i", str(pid_file)])
        self._wait(socket.exists, rsyslogd)

    def _start(self, name: str, command: list[str]) -> Process:
        process = start_process(name, command, self._output(name))
        self._processes.append(process)
        return process

    def _output(self, name: str) -> Path:
        return self.directory / "output" / f"{name}.txt"

    @staticmethod
    def _wait(is_up: Callable[[], bool], process: Process) -> None:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not is_up():
            process.check()
            if time.monotonic() > deadline_s:
                raise ProcessError(f"{process.name} is not up after {START_TIMEOUT_S:.0f} s: see {process.output}")
            time.sleep(POLL_S)


_PATH = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"  # sbin is not on everybody's PATH
