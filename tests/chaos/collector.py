"""The collector as a process of its own, on ports and a data directory that outlive it."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
_START_TIMEOUT_S = 120.0  # the first start on a machine compiles
_STOP_TIMEOUT_S = 60.0
_ASK_TIMEOUT_S = 30.0


class Collector:
    """`cloud log collector` with a RELP and a TCP listener."""

    def __init__(self, data: Path, output: Path, environment: Mapping[str, str] | None = None) -> None:
        """What it says goes to `output`, of all its lives."""
        self.data = data
        self.relp_port, self.tcp_port, http_port = _free_ports(3)
        self.url = f"http://127.0.0.1:{http_port}"
        self._output = output
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._begin = 0  # of what the present process says
        self._http = httpx.Client(base_url=f"{self.url}", timeout=_ASK_TIMEOUT_S, trust_env=False)
        self.exit_codes: list[int] = []
        """Of the lives that ended otherwise than by our SIGKILL."""

    def start(self) -> None:
        self.spawn()
        self.wait_until_ready()

    def spawn(self) -> None:
        """Start, and return at once."""
        command = [sys.executable, "-m", "cloud", "log", "collector", "--http", self.url.removeprefix("http://")]
        command += ["--listen", f"relp://127.0.0.1:{self.relp_port}", "--listen", f"tcp://127.0.0.1:{self.tcp_port}"]
        self._begin = self._output.stat().st_size if self._output.exists() else 0
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *command, "--data", str(self.data)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **self._environment},
                cwd=ROOT,
            )

    def wait_until_ready(self) -> None:
        wait_until(self._is_ready, _START_TIMEOUT_S, "the collector to be ready")

    def stop(self) -> None:
        """As systemd does."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._has_ended()

    def kill(self) -> None:
        """With SIGKILL."""
        if self._process is not None:
            if self._process.poll() is not None:
                self._has_ended()
                return
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def committed_rows(self) -> int:
        """The number of the last row that is stored; `httpx.HTTPError` while it does not answer, or says it stalls."""
        return int(self._http.get("/readyz").raise_for_status().json()["row_id"])

    def runs(self, host: str, *, in_flight: bool) -> Sequence[Mapping[str, Any]]:
        """What it says of every run of `host`."""
        parameters: dict[str, str | int] = {"host": host, "every": True, "in_flight": in_flight, "max_gaps": 10_000}
        found: list[Mapping[str, Any]] = self._http.get("/api/v1/gaps", params=parameters).raise_for_status().json()
        return found

    def close(self) -> None:
        self.kill()
        self._http.close()

    def said(self) -> str:
        """In all its lives."""
        return self._output.read_text(errors="replace")

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _is_ready(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"cannot start the collector: {self.said()[-2000:]}")
        with self._output.open("rb") as output:
            output.seek(self._begin)
            return b"ready\n" in output.read()

    def _has_ended(self) -> None:
        assert self._process is not None
        self.exit_codes.append(self._process.returncode)
        self._process = None


def _free_ports(count: int) -> list[int]:
    """Ports that nobody has now; below those that the system gives to clients, which may be many in a scene."""
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found: list[int] = []
    for port in range(low - 1 - os.getpid() % 8000, 1024, -1):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("cannot find a free port")
