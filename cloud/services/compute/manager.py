"""nova-compute: looks after one host, and says now and then what that host has left."""

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from cloud.logs.emit import logger
from cloud.services.compute.resources import HostResources, ResourceError, read_resources
from cloud.services.manager import Manager, Parts


class ComputeManager(Manager):
    """The daemon's own work so far: to watch the host."""

    def __init__(
        self,
        read: Callable[[], HostResources],
        *,
        interval_s: float,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`read` gives the host's resources, `clock_s` monotonic seconds."""
        self._read = read
        self._interval_s = interval_s
        self._clock_s = clock_s
        self._started_s = self._next_audit_s = clock_s()

    def start(self) -> None:
        self._started_s = self._next_audit_s = self._clock_s()

    def report(self) -> None:
        """Audit the host's resources, once in `interval_s`."""
        now_s = self._clock_s()
        if now_s < self._next_audit_s:
            return
        self._next_audit_s = now_s + self._interval_s
        try:
            resources = self._read()
        except ResourceError as exc:
            logger.bind(error=str(exc)).warning("cannot audit resources")
            return
        logger.bind(uptime_s=round(now_s - self._started_s), **asdict(resources)).log("AUDIT", "resources audited")


def make_manager(parts: Parts) -> ComputeManager:
    """The manager as `parts.conf` says."""
    state_path = Path(parts.conf.state_path)
    return ComputeManager(lambda: read_resources(state_path), interval_s=parts.conf.update_resources_interval)
