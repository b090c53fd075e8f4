"""What a simulation is to do, and how its cloud is made."""

from collections.abc import Mapping
from dataclasses import dataclass

CONDUCTORS = 2
SCHEDULERS = 1
BUILDS = 16
SHORT_HOSTS = 50
"""Up to so many hosts report as often as those of a small cloud do."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One run."""

    hosts: int = 500
    boots: int = 5000
    migrations: int = 500
    seed: int = 1
    processes: int = 4
    """That are many hosts each."""
    conductors: int = CONDUCTORS
    schedulers: int = SCHEDULERS
    builds: int = BUILDS
    """That one conductor has under way at a time."""
    failing: int | None = None
    """Of the migrations, those that are made to fail; None: a tenth."""
    idle_s: float = 10.0
    """Over which it is measured what hosts cost that have nothing to do."""

    @property
    def failures(self) -> int:
        return self.migrations // 10 if self.failing is None else self.failing

    @property
    def mortal_hosts(self) -> int:
        """Hosts with a process of their own, that can be killed."""
        return 0 if self.failures == 0 else 2 if self.hosts <= SHORT_HOSTS else 4

    def options(self) -> Mapping[str, int | float]:
        """Of nova.conf. Reports of many hosts would take the cores that are to boot and to migrate, so that they are
        rarer the more hosts there are: two a second for each hundred hosts, and a host is down after four in vain.
        """
        report_s = 5 if self.hosts <= SHORT_HOSTS else 60
        return {
            "report_interval": report_s,
            "service_down_time": 4 * report_s,
            "update_resources_interval": 10 * report_s,
            "sync_power_state_interval": 3600,
            "max_concurrent_builds": self.builds,
            "graceful_shutdown_timeout": 20.0,
            "live_migration_timeout": 8 if self.hosts <= SHORT_HOSTS else 40,
        }
