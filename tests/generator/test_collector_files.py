"""What an inventory says of the collector: how hosts reach it, and the files of the host that it runs on."""

import re
import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from cloud.logs.collector.settings import load_settings
from cloud.logs.generator.inventory import Inventory, InventoryError, load_inventory
from cloud.logs.generator.render import render_host, write_tree

TLS = {"ca": "/srv/ca.pem", "certificate": "/srv/host.pem", "key": "/srv/host.key", "peer": "logs.example.org"}
SERVER = {"host": "c1", "certificate": "/srv/logs.pem", "key": "/srv/logs.key"}
UNIT = "etc/systemd/system/cloud-log-collector.service"


def inventory(hosts: Mapping[str, object] | None = None, **collector: object) -> Inventory:
    where = {"address": "172.20.1.43", "port": 20514, **collector}
    return Inventory.model_validate({"collector": where, "hosts": hosts or {"c1": {"services": []}}})


def rendered(**collector: object) -> dict[str, str]:
    return render_host(inventory(None, **collector), "c1")


def listeners(**collector: object) -> list[str]:
    content = tomllib.loads(rendered(**collector)["etc/nova/collector.toml"])
    return [listener["url"] for listener in content["listener"]]


def test_hosts_use_relp_unless_told_otherwise_and_tcp_only_for_services_without_rsyslog() -> None:
    host = inventory(tcp_port=1024).host("c1")

    assert (host.collector.protocol, host.collector.relp_window, host.collector.mark_interval_s) == ("relp", 2000, 60)
    assert (host.durable_queue, host.local_log_keep, host.tls) == (False, 14, None)
    assert host.collector.direct_url == "tcp://172.20.1.43:1024"
    assert inventory(protocol="tcp").host("c1").collector.direct_url == "tcp://172.20.1.43:20514"


def test_host_wins_over_what_all_hosts_have() -> None:
    own = {"services": [], "durable_queue": False, "local_log_keep": 30, "tls": {"key": "/srv/a.key"}}
    loaded = Inventory.model_validate(
        {
            "collector": {"address": "172.20.1.43", "port": 20514, "tls": TLS},
            "durable_queue": True,
            "local_log_keep": 7,
            "hosts": {"a": own, "b": {"services": []}},
        }
    )

    assert [(host.durable_queue, host.local_log_keep) for host in map(loaded.host, "ab")] == [(False, 30), (True, 7)]
    files = [(host.tls.certificate, host.tls.key) for host in map(loaded.host, "ab") if host.tls]
    assert files == [("/srv/host.pem", "/srv/a.key"), ("/srv/host.pem", "/srv/host.key")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("collector: {address: h, port: 1, protocol: udp}\nhosts: {}", "collector.protocol: Input should be 'relp' or"),
        (
            "collector: {address: h, port: 1, relp_window: 0}\nhosts: {}",
            "collector.relp_window: Input should be greater",
        ),
        (
            "collector: {address: h, port: 1, mark_interval_s: 0}\nhosts: {}",
            "collector.mark_interval_s: Input should be",
        ),
        ("collector: {address: h, port: 1, tls: {ca: /c}}\nhosts: {}", "collector.tls.certificate: is missing"),
        (
            "collector: {address: h, port: 1, tcp_port: 1}\nhosts: {}",
            "collector: tcp_port is 1, as port: each protocol",
        ),
        (
            'collector: {address: h, port: 1, tls: {ca: /c, certificate: /c, key: /k, peer: "a\\" b"}}\nhosts: {}',
            "collector.tls.peer: 'a\" b' is not the name in a certificate",
        ),
        (
            (
                "collector: {address: h, port: 1, tls: {ca: /c, certificate: /c, key: /k, peer: p}, server: {host: a}}\n"
                "hosts: {a: {services: []}}"
            ),
            "collector: server.certificate and server.key are missing: hosts want TLS",
        ),
        ("collector: {address: h, port: 1, server: {host: a}}\nhosts: {}", "collector.server.host: there is no host a"),
        (
            "collector: {address: h, port: 1, server: {host: a, http: '0.0.0.0:80'}}\nhosts: {a: {services: []}}",
            "collector.server: http_certificate and http_key are missing: without TLS 0.0.0.0:80",
        ),
        (
            "collector: {address: h, port: 1, server: {host: a, http: ':80'}}\nhosts: {a: {services: []}}",
            "collector.server.http: String should match",
        ),
        (
            "collector: {address: h, port: 1, server: {host: a, http_key: /k}}\nhosts: {a: {services: []}}",
            "collector.server: http_certificate and http_key go together",
        ),
        (
            (
                "collector: {address: h, port: 1, server: {host: a, http: '[::]:80', http_key: /k, http_certificate: /c}}\n"
                "hosts: {a: {services: []}}"
            ),
            "collector.server: http_names is missing: nobody calls the collector ::",
        ),
        (
            (
                "collector: {address: h, port: 1, server: {host: a, identity: {auth_url: 'ftp://i'}}}\n"
                "hosts: {a: {services: []}}"
            ),
            "collector.server.identity.auth_url: is not a URL",
        ),
        (
            (
                "collector: {address: h, port: 1, server: {host: a, identity: {auth_url: 'https://i', roles: {a: root}}}}\n"
                "hosts: {a: {services: []}}"
            ),
            "collector.server.identity.roles.a: Input should be",
        ),
        (
            "collector: {address: h, port: 1, server: {host: a, host_daily_bytes: 1 GB}}\nhosts: {a: {services: []}}",
            "collector.server.host_daily_bytes: Input should be a valid integer",
        ),
        (
            "collector: {address: h, port: 1, server: {host: a, retention: {rest: 30}}}\nhosts: {a: {services: []}}",
            "collector.server.retention.rest: Input should be a valid string",
        ),
        (
            "collector: {address: h, port: 1, server: {host: a, retention: {rest: 30y}}}\nhosts: {a: {services: []}}",
            "collector.server.retention.rest: '30y' is not an age such as 30d, 12h or 90m",
        ),
        (
            (
                "collector: {address: h, port: 1, server: {host: a, redaction: {patterns: ['a(b']}}}\n"
                "hosts: {a: {services: []}}"
            ),
            "collector.server.redaction.patterns.0: RE2 does not take it: missing ): a(b",
        ),
        (
            "collector: {address: h, port: 1}\nhosts: {a: {services: [], syslog: collector}}",
            "collector.tcp_port: is missing: services on a send plain TCP, and port 1 takes RELP",
        ),
        (
            (
                "collector: {address: h, port: 1, protocol: tcp, tls: {ca: /c, certificate: /c, key: /k, peer: p}}\n"
                "hosts: {a: {services: [], syslog: collector}}"
            ),
            "collector.tcp_port: is missing: services on a send plain TCP, and port 1 takes TLS",
        ),
        (
            "collector: {address: h, port: 1}\nhosts: {a: {services: [], tls: {key: /k}}}",
            "hosts.a.tls: collector.tls is missing",
        ),
        ("collector: {address: h, port: 1}\nlocal_log_keep: 0\nhosts: {}", "local_log_keep: Input should be greater"),
        (
            "collector: {address: h, port: 1}\nhosts: {a: {services: [], paths: {root: /r, logrotate_d: /etc/logrotate.d}}}",
            "hosts.a.paths.logrotate_d: /etc/logrotate.d is not below root /r",
        ),
    ],
)
def test_what_cannot_work_is_refused_by_its_key(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "inv.yaml"
    file.write_text(text)

    with pytest.raises(InventoryError, match=re.escape(f"cannot use inventory {file}: {message}")):
        load_inventory(file)


def test_only_the_collectors_host_gets_its_files() -> None:
    hosts: dict[str, object] = {"c1": {"services": []}, "c2": {"services": []}}
    loaded = inventory(hosts, server={"host": "c1"})

    common = {"etc/nova/nova.conf", "etc/rsyslog.d/60-nova.conf", "etc/logrotate.d/nova"}
    assert set(render_host(loaded, "c2")) == common
    assert set(render_host(loaded, "c1")) == {*common, "etc/nova/collector.toml", UNIT, "etc/sysusers.d/cloud-log.conf"}


def test_collector_toml_has_the_listeners_that_hosts_and_services_send_to() -> None:
    server = {**SERVER, "client_ca": "/srv/hosts.pem", "data": "/srv/logs", "retention": {"debug": "3d", "max_gb": 200}}
    text = rendered(tls=TLS, tcp_port=1024, allow_plaintext=True, server=server)["etc/nova/collector.toml"]

    assert tomllib.loads(text) == {
        "http": "127.0.0.1:8080",
        "data": "/srv/logs",
        "buffer_bytes": 201326592,
        "allow_plaintext": True,
        "listener": [
            {
                "url": "relp+tls://172.20.1.43:20514",
                "certificate": "/srv/logs.pem",
                "key": "/srv/logs.key",
                "client_ca": "/srv/hosts.pem",
                "client_certificates": "required",
            },
            {"url": "tcp://172.20.1.43:1024"},
        ],
        "retention": {"debug": "3d", "max_gb": 200},
    }


@pytest.mark.parametrize("daily_bytes", [0, 20_000_000_000])
def test_collector_toml_has_what_a_host_may_have_stored_a_day(daily_bytes: int) -> None:
    text = rendered(server={"host": "c1", "host_daily_bytes": daily_bytes})["etc/nova/collector.toml"]

    assert tomllib.loads(text)["host_daily_bytes"] == daily_bytes


def test_listener_follows_protocol_tls_and_address() -> None:
    assert listeners(server={"host": "c1"}) == ["relp://172.20.1.43:20514"]
    assert listeners(protocol="tcp", server={"host": "c1"}) == ["tcp://172.20.1.43:20514"]
    assert listeners(protocol="tcp", tls=TLS, server=SERVER) == ["tls://172.20.1.43:20514"]
    assert listeners(address="fd00::1", server={"host": "c1"}) == ["relp://[fd00::1]:20514"]
    assert listeners(address="logs.example.org", server={"host": "c1"}) == ["relp://0.0.0.0:20514"]
    assert listeners(server={"host": "c1", "listen": "::"}) == ["relp://[::]:20514"]


def test_collector_toml_says_what_is_redacted(tmp_path: Path) -> None:
    patterns = ['"pin": "(\\d+)"', "it's\\x20(.)"]
    text = rendered(server={"host": "c1", "redaction": {"defaults": True, "patterns": patterns}})[
        "etc/nova/collector.toml"
    ]

    assert tomllib.loads(text)["redaction"] == {"defaults": True, "patterns": patterns}
    file = tmp_path / "collector.toml"
    file.write_text(text.replace("172.20.1.43", "127.0.0.1"))
    assert load_settings(file).redaction.patterns == tuple(patterns)
    only = rendered(server={"host": "c1", "redaction": {"defaults": True}})["etc/nova/collector.toml"]
    assert tomllib.loads(only)["redaction"] == {"defaults": True}


def test_collector_toml_says_where_it_is_asked_and_by_whom(tmp_path: Path) -> None:
    identity = {"auth_url": "https://identity.example.org:5000/v3", "roles": {"admin": "admin", "log.reader": "reader"}}
    https = {
        "http_certificate": "/srv/http.pem",
        "http_key": "/srv/http.key",
        "http_names": ["logs.example.org", "::1"],
    }
    server = {"host": "c1", "http": "[::]:443", **https, "identity": identity}
    files = rendered(server=server)

    content = tomllib.loads(files["etc/nova/collector.toml"])
    assert content["http"] == "[::]:443"
    assert {key: content[key] for key in https} == https
    assert content["identity"] == identity
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE" in files[UNIT]
    file = tmp_path / "collector.toml"
    file.write_text(files["etc/nova/collector.toml"].replace("172.20.1.43", "127.0.0.1"))
    settings = load_settings(file)
    assert settings.http_address() == ("::", 443)
    assert settings.http_called() == ("logs.example.org", "[::1]")


def test_without_leave_and_retention_neither_is_rendered() -> None:
    content = tomllib.loads(rendered(server={"host": "c1"})["etc/nova/collector.toml"])

    assert set(content) == {"http", "data", "buffer_bytes", "listener"}


@pytest.mark.parametrize(
    ("collector", "data", "expected"),
    [
        ({}, "/var/lib/cloud/logs", {"StateDirectory=cloud/logs", "CapabilityBoundingSet=", "AmbientCapabilities="}),
        ({"port": 514}, "/srv/logs", {"ReadWritePaths=/srv/logs", "CapabilityBoundingSet=CAP_NET_BIND_SERVICE"}),
        ({"tcp_port": 601}, "/var/lib", {"ReadWritePaths=/var/lib", "AmbientCapabilities=CAP_NET_BIND_SERVICE"}),
    ],
)
def test_unit_gets_the_rights_it_needs_and_no_more(collector: dict[str, object], data: str, expected: set[str]) -> None:
    lines = rendered(**collector, server={"host": "c1", "data": data})[UNIT].splitlines()

    assert expected <= set(lines)
    assert len([line for line in lines if line.startswith(("StateDirectory=", "ReadWritePaths="))]) == 1
    assert "ExecStart=/usr/local/bin/cloud log collector --config /etc/nova/collector.toml" in lines
    assert "Environment=NUMBA_CACHE_DIR=%C/cloud-log-collector" in lines


@pytest.mark.server
@pytest.mark.parametrize("data", ["/var/lib/cloud/logs", "/srv/logs"])
def test_systemd_takes_the_unit(tmp_path: Path, data: str) -> None:
    program = shutil.which("true")
    write_tree(rendered(port=514, server={"host": "c1", "data": data, "program": program}), tmp_path)
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(tmp_path / UNIT)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)

    assert (run.returncode, run.stderr) == (0, "")


def test_logrotate_keeps_what_backfill_may_need() -> None:
    host = {"c1": {"services": [], "local_log_keep": 3}}
    own = {"c1": {"services": [], "base_rsyslog": True, "paths": {"root": "/srv/c1"}}}
    text = render_host(inventory(host), "c1")["etc/logrotate.d/nova"]
    shared = render_host(inventory(own), "c1")["etc/logrotate.d/nova"]

    assert "\n/var/log/nova/nova.log {\n" in text
    assert "\n    rotate 3\n" in text
    assert "\n        /usr/lib/rsyslog/rsyslog-rotate\n" in text
    assert "\n/srv/c1/var/log/nova/nova.log /srv/c1/var/log/syslog {\n" in shared
    assert '\n        kill -HUP "$(cat /srv/c1/run/nova/rsyslogd.pid)" 2>/dev/null || true\n' in shared
