"""Which hosts `cloud up` makes out of one machine, what runs on each, and the inventory that says so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
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
    "identity",
    "image",
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
    identity_url: str = "http://127.0.0.1:5000"
    image_url: str = "http://127.0.0.1:9292"
    compute_url: str = "http://127.0.0.1:8774"
    account: Mapping[str, str] = field(default_factory=dict, repr=False)
    """With what nova-compute signs in: options of its section `[identity]`."""
    host_size: Mapping[str, int] = field(default_factory=dict)
    """Options of `[simulated]`: vcpus, memory_mb, disk_gb."""


def inventory_of(
    layout: Layout,
    endpoints: Endpoints,
    paths: Mapping[str, Mapping[str, Path]],
    *,
    has_rsyslog: bool,
    nova_options: Mapping[str, int | float | str] = NOVA_OPTIONS,
    shared_disks: Mapping[str, Path] = MappingProxyType({}),
) -> dict[str, Any]:
    """The content of inventory.yaml; `paths` has each host's own (keys as in the inventory).

    `shared_disks` has, of the compute hosts that share their disks, the directory.
    """
    collector = urlsplit(endpoints.collector_url)
    return {
        "collector": {"address": collector.hostname, "port": collector.port, "protocol": collector.scheme},
        "thresholds": {"nova": "debug"},  # what is replayed is to be found again, DEBUG lines too
        "transport_url": endpoints.transport_url,
        "database": endpoints.database_url,
        "nova_options": dict(nova_options),
        "service_options": service_options(endpoints),
        "hosts": {
            host: {
                "services": list(services),
                "syslog": "rsyslog" if has_rsyslog else "collector",
                "base_rsyslog": has_rsyslog,
                "paths": {key: str(path) for key, path in paths[host].items()},
                **(_shared(shared_disks[host]) if host in shared_disks else {}),
            }
            for host, services in layout.services.items()
        },
    }


def _shared(disks: Path) -> dict[str, Any]:
    return {"service_options": {"nova-compute": {"simulated": {"shared_disks_path": str(disks)}}}}


def service_options(endpoints: Endpoints) -> dict[str, Any]:
    """Who listens where, and whom the others ask."""
    identity = {"url": endpoints.identity_url}
    image = {"url": endpoints.image_url}
    return {
        "identity": {
            "identity": {
                "port": urlsplit(endpoints.identity_url).port,
                "compute_url": f"{endpoints.compute_url}/v2.1/%(tenant_id)s",
                "image_url": endpoints.image_url,
                "volume_url": "",  # not served yet, as EC2
                "ec2_url": "",
            }
        },
        "image": {"image": {"port": urlsplit(endpoints.image_url).port, "identity_url": endpoints.identity_url}},
        "nova-api": {
            "default": {"osapi_compute_listen_port": urlsplit(endpoints.compute_url).port},
            "identity": identity,
            "image": image,
        },
        "nova-compute": {
            "default": {"my_ip": "127.0.0.1"},
            "identity": {**identity, **endpoints.account},
            "image": image,
            **({"simulated": dict(endpoints.host_size)} if endpoints.host_size else {}),
        },
    }
