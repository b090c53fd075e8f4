"""This collector as an operator starts it: `cloud log collector --config`, on free ports of loopback."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from bench import process
from bench.certificates import Certificates

START_TIMEOUT_S = 120.0  # the first start on a machine compiles
STOP_TIMEOUT_S = 120.0
Listener = Mapping[str, object]

TCP: Listener = {"url": "tcp://127.0.0.1:0"}
RELP: Listener = {"url": "relp://127.0.0.1:0"}


def tls(certificates: Certificates) -> Listener:
    """A listener for senders that have a certificate of our authority."""
    return {
        "url": "tls://127.0.0.1:0",
        "certificate": str(certificates.server),
        "key": str(certificates.server_key),
        "client_ca": str(certificates.authority),
    }


class CollectorError(Exception):
    """The collector did not start; the message is its own last line."""


class CollectorProcess:
    """One collector with everything in `directory`; its store is durable, as it is by default."""

    def __init__(self, directory: Path, listener: Listener) -> None:
        self.data = directory / "data"
        self.port = 0
        self._config = directory / "collector.toml"
        self._said = directory / "collector.out"
        self._errors = directory / "collector.err"
        self._config.write_text(_config(self.data, listener))
        self._process: subprocess.Popen[bytes] | None = None
        self._start_cpu_s = 0.0
        self.http = httpx.Client(timeout=30, trust_env=False)

    def __enter__(self) -> Self:
        """Start it, until it takes connections; `CollectorError` when it does not."""
        command = [sys.executable, "-m", "cloud", "log", "collector", "--config", str(self._config)]
        with self._said.open("wb") as said, self._errors.open("wb") as errors:
            self._process = process.start(command, stdout=said, stderr=errors)
        try:
            process.wait_until(self._is_ready, START_TIMEOUT_S, "the collector to be ready")
        except BaseException:
            self.stop()
            raise
        lines = self._said.read_text().splitlines()
        self.port = next(int(line.rpartition(":")[2]) for line in lines if line.startswith("syslog "))
        self.http.base_url = httpx.URL(next(line.removeprefix("http ") for line in lines if line.startswith("http ")))
        self._start_cpu_s = self.cpu_s
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()
        self.http.close()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def cpu_s(self) -> float:
        return process.cpu_s(self.pid)

    @property
    def row_id(self) -> int:
        """How many rows are queryable, in a store that began empty. The cheapest question there is."""
        answer = self.http.get("/readyz").raise_for_status().json()
        return int(answer["row_id"])

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        text = self.http.get("/metrics").raise_for_status().text
        values = re.findall(rf"^{re.escape(name)}(?:\{{[^}}]*\}})? (\S+)$", text, re.MULTILINE)
        assert values, f"the collector has no metric {name}"
        return sum(map(float, values))

    def wait_for_rows(self, rows: int, timeout_s: float) -> None:
        """Return when `rows` rows are queryable; `TimeoutError` says how many are."""
        try:
            process.wait_until(lambda: self.row_id >= rows, timeout_s, f"{rows} rows", poll_s=0.1)
        except TimeoutError as exc:
            raise TimeoutError(f"{exc}; there are {self.row_id}") from exc

    def stop(self) -> float:
        """SIGTERM, which writes everything to its place; the CPU seconds since it was ready, the stop included."""
        if self._process is None:
            return 0.0
        stopped, self._process = self._process, None
        return process.stop(stopped, STOP_TIMEOUT_S) - self._start_cpu_s

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            said = self._errors.read_text(errors="replace").strip().splitlines()
            raise CollectorError(said[-1] if said else f"exit code {self._process.returncode}, not a word")
        return self._said.read_bytes().endswith(b"ready\n")


def _config(data: Path, listener: Listener) -> str:
    lines = ['http = "127.0.0.1:0"', f"data = {json.dumps(str(data))}"]
    if set(listener) == {"url"} and str(listener["url"]).startswith("tcp:"):
        lines.append(f"listen = [{json.dumps(listener['url'])}]")
    else:
        lines += ["[[listener]]", *(f"{key} = {json.dumps(value)}" for key, value in listener.items())]
    return "\n".join(lines) + "\n"
