"""Where a fault is tried: hosts that log, their collector, and what lies between, each as real as it gets."""

import bisect
import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from cloud.logs.collector.store import StoreError
from tests.chaos.accounts import Line, Sent, sent
from tests.chaos.clock import Clock
from tests.chaos.collector import ROOT, Collector
from tests.chaos.disk import SmallDisk
from tests.chaos.host import Host, Protocol
from tests.chaos.judge import Verdict, export, judge
from tests.chaos.proxy import Proxy
from tests.waiting import wait_until

STEADY_LINES = 200
"""How many lines of each host are stored before anything happens."""
STEADY_TIMEOUT_S = 30.0
ROWS_TIMEOUT_S = 60.0
SETTLE_TIMEOUT_S = 150.0
QUIET_S = 20.0  # rsyslogd tries again within 10 s, and sends a line every second
GAPS_TIMEOUT_S = 75.0  # the collector calls a hole a gap after 30 s, at most 60
BACKFILL_TIMEOUT_S = 120.0
_POLL_S = 0.25


@dataclass(frozen=True, slots=True)
class Plan:
    """What a site consists of."""

    relp_hosts: int = 3
    tcp_hosts: int = 0
    lines_per_s: int = 300
    """Of each host."""
    disk_mb: int | None = None
    """Of a disk for the collector's data alone."""
    has_proxy: bool = False
    has_clock: bool = False


class Site:
    """Everything runs between enter and exit, and nothing of it beyond."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._directory = Path(tempfile.mkdtemp(prefix="t-"))  # short: a socket's path has at most 107 bytes
        self._resources = contextlib.ExitStack()
        self._resources.callback(shutil.rmtree, self._directory, ignore_errors=True)
        self.hosts: list[Host] = []
        self._proxies: dict[Protocol, Proxy] = {}
        self.disk: SmallDisk | None = None
        self.clock: Clock | None = None
        self.respooled: set[Line] = set()
        """The lines that rsyslogds, when they were stopped, have put into their spools behind later ones."""
        self._rows = self._directory / "rows.parquet"

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self._resources.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self._resources.close()

    @property
    def proxies(self) -> Sequence[Proxy]:
        return list(self._proxies.values())

    def of(self, protocol: Protocol) -> list[Host]:
        """The hosts that forward so."""
        return [host for host in self.hosts if host.protocol == protocol]

    def sent(self, protocol: Protocol | None = None) -> Sent:
        """What the hosts' logs hold by now; of all, or of those that forward by `protocol`."""
        return sent(host.log_directory for host in self.hosts if protocol in (None, host.protocol))

    def wait_until_steady(self) -> None:
        """Return when the collector stores what every host sends."""
        wait_until(
            lambda: all(self._stored(host) >= STEADY_LINES for host in self.hosts), STEADY_TIMEOUT_S, "a steady state"
        )

    def wait_for_rows(self, more: int = 1) -> None:
        """Return when the collector has stored `more` rows than it has now, or than when it answers first."""
        begin: int | None = None

        def has_more() -> bool:
            nonlocal begin
            try:
                now = self.collector.committed_rows()
            except httpx.HTTPError:
                return False
            if begin is None:
                begin = now
            return now >= begin + more

        wait_until(has_more, ROWS_TIMEOUT_S, "more rows")

    def silence(self) -> None:
        """The services log no more; the hosts' marks go on."""
        for host in self.hosts:
            host.sender.stop()

    def settle(self, wanted: Sent, quiet_s: float = QUIET_S) -> float:
        """Wait until `wanted` is stored, or no more of it comes; the seconds that it took, without the last quiet."""
        begin_s = changed_s = time.monotonic()
        before: int | None = -1
        while time.monotonic() - begin_s < SETTLE_TIMEOUT_S:
            missing = self._missing(wanted)
            if missing != before:
                before, changed_s = missing, time.monotonic()
            if missing == 0 or (missing is not None and time.monotonic() - changed_s > quiet_s):
                return changed_s - begin_s
            time.sleep(_POLL_S)
        raise TimeoutError(
            f"after {SETTLE_TIMEOUT_S:g} s {before} lines are missing, and still arriving; the collector said:\n"
            + self.collector.said()[-2000:]
        )

    def judge(self, wanted: Sent, protocol: Protocol) -> Verdict:
        """What is stored of `wanted`, which hosts with `protocol` have sent."""
        return judge(self._rows, [host.name for host in self.of(protocol)], wanted, self.respooled)

    def export(self) -> None:
        """Take all rows for `judge`, whether the collector runs or not."""
        try:
            export(self.collector.data, self.collector.url, self._rows)
        except StoreError:  # a damaged file that nobody had read before: it is set aside now
            export(self.collector.data, self.collector.url, self._rows)

    def backfill(self) -> list[str]:
        """Fill what is missing, as an operator on each host would; what commands that found it impossible have said."""
        complaints = []
        self._wait_for_gaps()
        for host in self.hosts:
            command = [sys.executable, "-m", "cloud", "log", "backfill", "--url", self.collector.url]
            done = subprocess.run(
                [*command, "--host", host.name, "--directory", str(host.log_directory)],
                cwd=ROOT,
                timeout=BACKFILL_TIMEOUT_S,
                check=False,
                capture_output=True,
                text=True,
            )
            if done.returncode:
                complaints.append(f"backfill of {host.name} exits with {done.returncode}: {done.stdout}{done.stderr}")
        return complaints

    def _build(self) -> None:
        plan = self._plan
        data = self._directory / "data"
        if plan.disk_mb is not None:
            self.disk = self._resources.enter_context(SmallDisk(self._directory / "disk", plan.disk_mb))
            data = self.disk.path / "data"
        if plan.has_clock:
            self.clock = Clock(self._directory / "clock")
        environment = self.clock.environment if self.clock else {}
        self.collector = Collector(data, self._directory / "collector.out", environment)
        self._resources.callback(self.collector.close)
        self.collector.start()
        ports: dict[Protocol, int] = {"relp": self.collector.relp_port, "tcp": self.collector.tcp_port}
        if plan.has_proxy:
            self._proxies = {kind: Proxy(port) for kind, port in ports.items()}
            for kind, proxy in self._proxies.items():
                self._resources.callback(proxy.close)
                ports[kind] = proxy.port
        for number in range(1, plan.relp_hosts + plan.tcp_hosts + 1):
            protocol: Protocol = "relp" if number <= plan.relp_hosts else "tcp"
            host = Host(f"compute-{number:02}", self._directory / f"h{number}", protocol, plan.lines_per_s)
            self.hosts.append(host)
            self._resources.callback(host.stop)
            host.start(ports[protocol])

    def _stored(self, host: Host) -> int:
        return sum(int(run["stored"]) for run in self.collector.runs(host.name, in_flight=True))

    def _missing(self, wanted: Sent) -> int | None:
        """How many lines the collector says it lacks; None when it does not answer."""
        missing = 0
        try:
            known = {run["start"]: run for host in self.hosts for run in self.collector.runs(host.name, in_flight=True)}
        except httpx.HTTPError:
            return None
        for start, numbers in wanted.numbers.items():
            run = known.get(start)
            if run is None:
                missing += len(numbers)
                continue
            ordered = sorted(numbers)
            missing += len(ordered) - bisect.bisect_right(ordered, run["last"])
            for gap in run["gaps"]:
                missing += bisect.bisect_right(ordered, gap["last"]) - bisect.bisect_left(ordered, gap["first"])
        return missing

    def _wait_for_gaps(self) -> None:
        """Return when the collector calls a gap what it lacks, so that backfill asks for it."""

        def gaps(host: Host, *, in_flight: bool) -> list[object]:
            return [run["gaps"] for run in self.collector.runs(host.name, in_flight=in_flight)]

        wait_until(
            lambda: all(gaps(host, in_flight=True) == gaps(host, in_flight=False) for host in self.hosts),
            GAPS_TIMEOUT_S,
            "the collector to name its gaps",
        )
