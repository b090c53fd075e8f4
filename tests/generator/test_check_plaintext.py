"""Lines that leave a machine unencrypted are an error unless somebody has said that they may."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from cloud.logs.generator.check_plaintext import check_plaintext
from cloud.logs.generator.inventory import Inventory
from cloud.logs.generator.render import render_host, write_tree
from cloud.logs.generator.tree import host_trees

TLS = {"ca": "/srv/ca.pem", "certificate": "/srv/host.pem", "key": "/srv/host.key", "peer": "logs.example.org"}
RISK = "without TLS: whoever is on the network between can read these lines and forge others"
REMEDY = "set collector.tls in the inventory, or collector.allow_plaintext to accept that"


def findings(directory: Path) -> list[tuple[str, str, str]]:
    return [
        (str(found.path.relative_to(directory)), found.severity, found.message)
        for tree in host_trees(directory)
        for found in check_plaintext(tree)
    ]


def write(directory: Path, collector: Mapping[str, object], *, is_direct: bool = False) -> None:
    where = {"address": "172.20.1.43", "port": 514, **collector}
    hosts = {"c1": {"services": ["nova-api"], "syslog": "collector" if is_direct else "rsyslog"}}
    write_tree(render_host(Inventory.model_validate({"collector": where, "hosts": hosts}), "c1"), directory)


@pytest.mark.parametrize("protocol", ["relp", "tcp"])
def test_forward_beyond_loopback_without_tls_is_an_error(tmp_path: Path, protocol: str) -> None:
    write(tmp_path, {"protocol": protocol})

    assert findings(tmp_path) == [("etc/rsyslog.d/60-nova.conf", "error", f"sends to 172.20.1.43 {RISK}; {REMEDY}")]


@pytest.mark.parametrize("protocol", ["relp", "tcp"])
@pytest.mark.parametrize(
    "collector", [{"tls": TLS}, {"allow_plaintext": True}, {"address": "127.0.0.1"}, {"address": "::1"}]
)
def test_tls_leave_and_loopback_are_none(tmp_path: Path, protocol: str, collector: dict[str, object]) -> None:
    write(tmp_path, {"protocol": protocol, **collector})

    assert findings(tmp_path) == []


def test_the_guides_own_forward_is_an_error_until_the_file_gives_leave(tmp_path: Path) -> None:
    fragment = tmp_path / "etc/rsyslog.d/60-nova.conf"
    fragment.parent.mkdir(parents=True)
    fragment.write_text("*.error @@172.20.1.43:1024\n")
    assert findings(tmp_path) == [("etc/rsyslog.d/60-nova.conf", "error", f"sends to 172.20.1.43 {RISK}; {REMEDY}")]

    fragment.write_text("# allow_plaintext: a network of its own\n*.error @@172.20.1.43:1024\n")
    assert findings(tmp_path) == []


def test_services_without_rsyslog_need_leave_even_where_hosts_have_tls(tmp_path: Path) -> None:
    write(tmp_path, {"tcp_port": 1024, "tls": TLS}, is_direct=True)
    remedy = "give the host syslog: rsyslog, or set collector.allow_plaintext to accept that"
    assert findings(tmp_path) == [("etc/nova/nova-api-logging.conf", "error", f"sends to 172.20.1.43 {RISK}; {remedy}")]

    write(tmp_path, {"tcp_port": 1024, "tls": TLS, "allow_plaintext": True}, is_direct=True)
    assert findings(tmp_path) == []

    write(tmp_path, {"tcp_port": 1024, "address": "::1"}, is_direct=True)
    assert findings(tmp_path) == []


def test_collector_that_would_not_start_is_an_error(tmp_path: Path) -> None:
    server = {"host": "c1", "certificate": "/srv/logs.pem", "key": "/srv/logs.key"}
    collector = {"tls": TLS, "tcp_port": 1024, "server": server}
    write(tmp_path, collector)
    message = f"listens on tcp://172.20.1.43:1024 {RISK}, so the collector would not start; {REMEDY}"
    assert findings(tmp_path) == [("etc/nova/collector.toml", "error", message)]

    write(tmp_path, {**collector, "allow_plaintext": True})
    assert findings(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'listen = ["relp://0.0.0.0:514", "tls://0.0.0.0:6514", "tcp://127.0.0.1:1024"]',
            "listens on relp://0.0.0.0:514 ",
        ),
        ("listen = [", "cannot read collector.toml: "),
        ("listen = 5", "cannot read collector.toml: "),
        ("listener = [1]", "cannot read collector.toml: a [[listener]] has a url, which is text"),
        ("[[listener]]\nurl = 5", "cannot read collector.toml: a [[listener]] has a url, which is text"),
        ('[[listener]]\nurl = "tcp://["', "cannot read collector.toml: "),
    ],
)
def test_collector_toml_of_any_kind_is_read_or_refused(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, {"tls": TLS})
    (tmp_path / "etc/nova/collector.toml").write_text(text)

    ((path, severity, found),) = findings(tmp_path)
    assert (path, severity) == ("etc/nova/collector.toml", "error")
    assert found.startswith(message)
