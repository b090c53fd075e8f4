"""Where a host's services log, out of its rendered files."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from cloud.logs.canary.host import CanaryError, HostOutlets, Outlet, given_outlets, read_outlets
from cloud.logs.generator.inventory import Inventory
from cloud.logs.generator.render import render_host, write_tree


def rendered(root: Path, entry: Mapping[str, object], **keys: object) -> Path:
    where = {"address": "127.0.0.1", "port": 1024, "protocol": "tcp"}
    hosts = {"compute-01": {"paths": {"root": "/"}, **entry}}
    inventory = Inventory.model_validate({"collector": where, "hosts": hosts, **keys})
    write_tree(render_host(inventory, "compute-01"), root)
    return root / "etc/nova"


def test_each_facility_has_the_services_that_the_inventory_gives_it(tmp_path: Path) -> None:
    entry = {"services": ["nova-scheduler", "nova-conductor", "nova-compute", "nova-api"]}
    directory = rendered(tmp_path, entry, facilities={"nova-api": "local7"})
    address = "unix:/run/nova/log.sock"
    assert read_outlets(directory) == HostOutlets(
        "compute-01",
        (
            Outlet("local1", address, ("nova-compute",)),
            Outlet("local2", address, ("nova-conductor", "nova-scheduler")),
            Outlet("local7", address, ("nova-api",)),
        ),
    )


def test_services_that_send_to_the_collector_have_its_address(tmp_path: Path) -> None:
    directory = rendered(tmp_path, {"services": ["nova-compute"], "syslog": "collector"})
    (outlet,) = read_outlets(directory).outlets
    assert outlet == Outlet("local1", "tcp://127.0.0.1:1024", ("nova-compute",))


def test_a_facility_without_a_service_uses_the_address_of_the_others(tmp_path: Path) -> None:
    directory = rendered(tmp_path, {"services": ["nova-compute"]})
    address = "unix:/run/nova/log.sock"
    assert read_outlets(directory).only(["local6", "local1"]).outlets == (
        Outlet("local1", address, ("nova-compute",)),
        Outlet("local6", address),
    )


def test_host_and_address_may_be_given(tmp_path: Path) -> None:
    directory = rendered(tmp_path, {"services": ["nova-compute"]})
    assert read_outlets(directory, "other", "unix:/s") == HostOutlets(
        "other", (Outlet("local1", "unix:/s", ("nova-compute",)),)
    )
    given = given_outlets("compute-01", "unix:/s")
    assert [outlet.facility for outlet in given.outlets] == [f"local{number}" for number in range(8)]
    assert given.outlets[2] == Outlet("local2", "unix:/s", ("nova-scheduler", "nova-conductor"))
    assert given.outlets[7] == Outlet("local7", "unix:/s")


def test_a_directory_without_our_handler_is_said(tmp_path: Path) -> None:
    with pytest.raises(CanaryError, match=r"cannot find where services log: No such file or directory .*/none"):
        read_outlets(tmp_path / "none")
    (tmp_path / "logging.conf").write_text("[handler_syslog]\nclass = handlers.SysLogHandler\nargs = ()\n")
    with pytest.raises(CanaryError, match=r"cannot find where services log: no .* names cloud\.logs\.emit\.syslog"):
        read_outlets(tmp_path)


HANDLER = "[handler_syslog]\nclass = cloud.logs.emit.syslog.SyslogHandler\n"


@pytest.mark.parametrize(
    "text",
    [
        "class = x\n",
        HANDLER,
        HANDLER + "args = ('unix:/s',)\nkwargs = {'facility': 'local0'}\n",
        HANDLER + "args = (open('/etc/passwd').read(),)\nkwargs = {}\n",
        HANDLER + "args = 7\nkwargs = 7\n",
        HANDLER + "args = ('unix:/s',)\nkwargs = {'facility': 'local9', 'app_name': 'a', 'hostname': 'h'}\n",
        HANDLER + "args = ((\nkwargs = {}\n",
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "nova-api-logging.conf").write_text(text)
    with pytest.raises(CanaryError, match=r"^cannot read .*/nova-api-logging.conf: "):
        read_outlets(tmp_path)


def test_files_of_several_hosts_need_one_to_be_chosen(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}-logging.conf").write_text(
            HANDLER + f"args = ('unix:/s',)\nkwargs = {{'facility': 'local0', 'app_name': 'x', 'hostname': '{name}'}}\n"
        )
    with pytest.raises(CanaryError, match="name a, b; use --host"):
        read_outlets(tmp_path)
    assert read_outlets(tmp_path, "b").name == "b"


def test_an_address_that_no_transport_understands_is_said(tmp_path: Path) -> None:
    with pytest.raises(CanaryError, match="cannot use syslog address 'udp://h:1'"):
        given_outlets("h", "udp://h:1")
