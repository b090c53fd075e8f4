"""Which hosts `cloud up` makes, and the inventory that says so."""

from pathlib import Path

import pytest
import yaml

from cloud.logs.generator.inventory import load_inventory
from cloud.up.layout import CONTROLLER_SERVICES, Endpoints, Layout, inventory_of

ENDPOINTS = Endpoints("tcp://127.0.0.1:1024", "redis+socket:///run/bus/redis.sock", "sqlite:////srv/nova.sqlite")
PATHS = {host: {"root": Path("/srv") / host} for host in ("controller-01", "compute-01", "compute-02")}


def test_controller_comes_first_and_each_compute_host_has_compute_and_network() -> None:
    assert Layout(2).services == {
        "controller-01": CONTROLLER_SERVICES,
        "compute-01": ("nova-compute", "nova-network"),
        "compute-02": ("nova-compute", "nova-network"),
    }
    assert list(Layout(2).services) == ["controller-01", "compute-01", "compute-02"]
    assert Layout(16).compute_hosts[-1] == "compute-16"


@pytest.mark.parametrize("computes", [0, -1, 17])
def test_number_of_hosts_has_bounds(computes: int) -> None:
    with pytest.raises(ValueError, match=rf"^cannot make {computes} compute hosts: 1 to 16$"):
        Layout(computes)


@pytest.mark.parametrize(("has_rsyslog", "syslog"), [(True, "rsyslog"), (False, "collector")])
def test_inventory_is_one_that_the_generator_takes(tmp_path: Path, *, has_rsyslog: bool, syslog: str) -> None:
    file = tmp_path / "inventory.yaml"
    file.write_text(yaml.safe_dump(inventory_of(Layout(2), ENDPOINTS, PATHS, has_rsyslog=has_rsyslog)))
    inventory = load_inventory(file)
    for name in PATHS:
        host = inventory.host(name)
        assert (str(host.paths.root), host.syslog) == (f"/srv/{name}", syslog)
        assert host.transport_url == "redis+socket:///run/bus/redis.sock"
        assert dict(host.nova_options) == {
            "report_interval": "5",
            "service_down_time": "15",
            "graceful_shutdown_timeout": "1.0",
        }


def test_only_hosts_that_share_their_disks_are_told_where(tmp_path: Path) -> None:
    file = tmp_path / "inventory.yaml"
    content = inventory_of(
        Layout(2), ENDPOINTS, PATHS, has_rsyslog=True, shared_disks={"compute-02": Path("/srv/shared")}
    )
    file.write_text(yaml.safe_dump(content))
    inventory = load_inventory(file)
    simulated = {
        name: service.options.get("simulated", {})
        for name in ("compute-01", "compute-02")
        for service in inventory.host(name).services
        if service.name == "nova-compute"
    }
    assert simulated == {"compute-01": {}, "compute-02": {"shared_disks_path": "/srv/shared"}}
