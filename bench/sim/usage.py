"""What each part of a cloud costs: CPU from /proc, messages from the bus."""

import os
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from bench import process
from bench.sim.cloud import SimulatedCloud

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """Between two moments."""

    seconds: float
    cpu_s: Mapping[str, float]
    """By service; all processes of it together."""
    messages: int | None
    """That went over the bus; None where that cannot be asked."""

    @property
    def cores(self) -> float:
        return sum(self.cpu_s.values()) / self.seconds


@dataclass(frozen=True, slots=True)
class Reading:
    """At one moment."""

    at_s: float
    cpu_s: Mapping[str, float]
    messages: int | None

    def until(self, later: "Reading") -> Usage:
        """What was used meanwhile; a process that was started anew counts from its start."""
        names = later.cpu_s.keys()
        cpu_s = {name: max(0.0, later.cpu_s[name] - self.cpu_s.get(name, 0.0)) for name in names}
        messages = None
        if later.messages is not None and self.messages is not None:
            messages = later.messages - self.messages
        return Usage(later.at_s - self.at_s, dict(sorted(cpu_s.items())), messages)


class Meter:
    """Reads a cloud, with the servers that it uses and that are no part of it."""

    def __init__(self, cloud: SimulatedCloud, servers: Mapping[str, int], bus: redis.Redis | None) -> None:
        """`servers` are their first processes, by name; `bus` the redis that all messages go over, if it is one."""
        self._cloud = cloud
        self._servers = servers
        self._bus = bus

    def read(self) -> Reading:
        cpu_s: dict[str, float] = defaultdict(float)
        for status in self._cloud.machine.statuses():
            if status.pid is not None:
                cpu_s[status.program.name] += process.cpu_s(status.pid)
        for hosts in self._cloud.processes:
            if hosts.process is not None:
                cpu_s["nova-compute, nova-network"] += process.cpu_s(hosts.process.pid)
        for name, pid in self._servers.items():
            cpu_s[name] += tree_cpu_s(pid)
        cpu_s["client"] += process.cpu_s(os.getpid())
        return Reading(time.monotonic(), dict(cpu_s), self._messages())

    def peak_rss_bytes(self) -> Mapping[str, int]:
        """The most memory that each had, of all of its processes together."""
        found = Counter[str]()
        for status in self._cloud.machine.statuses():
            if status.pid is not None:
                found[status.program.name] += process.rss_bytes(status.pid, peak=True)
        for hosts in self._cloud.processes:
            if hosts.process is not None:
                found["nova-compute, nova-network"] += process.rss_bytes(hosts.process.pid, peak=True)
        return dict(found)

    def _messages(self) -> int | None:
        if self._bus is None:
            return None
        statistics: dict[str, Any] = self._bus.info("commandstats")
        return int(statistics.get("cmdstat_lpush", {}).get("calls", 0))


def tree_cpu_s(pid: int) -> float:
    """Of a process and all that it has started, also what has ended."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ended_s = (int(fields[13]) + int(fields[14])) / _TICKS_PER_S
    return process.cpu_s(pid) + ended_s + sum(_tree_cpu_s_or_none(int(child)) for child in children)


def _tree_cpu_s_or_none(pid: int) -> float:
    try:
        return tree_cpu_s(pid)
    except (FileNotFoundError, ProcessLookupError):  # it has ended just now, and its parent has the sum
        return 0.0
