"""Which hosts `cloud up` makes out of one machine, what runs on each, and the inventory that says so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

CONTROLLER = "controller-01"
CONTROLLER_SERVICES = (
    "nova-api",
    "nova-cert",
    "nova-conductor",
    "nova-consoleauth",
    "nova-novncproxy",
    "nova-objectstore",
    "nova-scheduler",
)
COMPUTE_SERVICES = ("nova-compute", "nova-network")
MAX_COMPUTES = 16

NOVA_OPTIONS: Mapping[str, int | float] = {
    "report_interval": 5,
    "service_down_time": 15,
    "graceful_shutdown_timeout": 1.0,  # a Ctrl-C has five seconds for everything
}


@dataclass(frozen=True, slots=True)
class Layout:
    """A controller and compute hosts."""

    computes: int

    def __post_init__(self) -> None:
        if not 1 <= self.computes <= MAX_COMPUTES:
            raise ValueError(f"cannot make {self.computes} compute hosts: 1 to {MAX_COMPUTES}")

    @property
    def compute_hosts(self) -> tuple[str, ...]:
        return tuple(f"compute-{number:02}" for number in range(1, self.computes + 1))

    @property
    def services(self) -> Mapping[str, Sequence[str]]:
        """By host, the controller first."""
        return {CONTROLLER: CONTROLLER_SERVICES, **dict.fromkeys(self.compute_hosts, COMPUTE_SERVICES)}


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What all hosts share."""

    collector_url: str
    """Where it takes syslog: tcp:// or relp://."""
    transport_url: str
    database_url: str


def inventory_of(
    layout: Layout, endpoints: Endpoints, paths: Mapping[str, Mapping[str, Path]], *, has_rsyslog: bool
) -> dict[str, Any]:
    """The content of inventory.yaml; `paths` has each host's own (keys as in the inventory)."""
    collector = urlsplit(endpoints.collector_url)
    return {
        "collector": {"address": collector.hostname, "port": collector.port, "protocol": collector.scheme},
        "thresholds": {"nova": "debug"},  # what is replayed is to be found again, DEBUG lines too
        "transport_url": endpoints.transport_url,
        "database": endpoints.database_url,
        "nova_options": dict(NOVA_OPTIONS),
        "hosts": {
            host: {
                "services": list(services),
                "syslog": "rsyslog" if has_rsyslog else "collector",
                "base_rsyslog": has_rsyslog,
                "paths": {key: str(path) for key, path in paths[host].items()},
            }
            for host, services in layout.services.items()
        },
    }
