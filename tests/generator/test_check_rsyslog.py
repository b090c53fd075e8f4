"""What rsyslogd itself says of a tree, under the names its files really have."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from cloud.logs.generator.check_rsyslog import STOCK_RSYSLOG_CONF, check_rsyslog
from cloud.logs.generator.finding import Finding
from cloud.logs.generator.inventory import Inventory
from cloud.logs.generator.render import render_host, write_tree
from cloud.logs.generator.tree import HostTree, host_trees

TLS = {"ca": "/srv/ca.pem", "certificate": "/srv/host.pem", "key": "/srv/host.key", "peer": "logs.example.org"}


def write(directory: Path, root: str = "/", collector: Mapping[str, object] | None = None, **host: object) -> HostTree:
    entry = {"services": ["nova-compute"], "paths": {"root": root}, **host}
    where = {"address": "172.20.1.43", "port": 514, "tcp_port": 1024, **(collector or {})}
    inventory = Inventory.model_validate({"collector": where, "hosts": {"compute-01": entry}})
    write_tree(render_host(inventory, "compute-01"), directory)
    (tree,) = host_trees(directory)
    return tree


@pytest.mark.server
@pytest.mark.parametrize("base_rsyslog", [False, True])
@pytest.mark.parametrize("profile", ["default", "guide"])
def test_both_profiles_pass_beside_stock_and_alone(tmp_path: Path, profile: str, base_rsyslog: bool) -> None:
    assert list(check_rsyslog(write(tmp_path, profile=profile, base_rsyslog=base_rsyslog))) == []


@pytest.mark.server
@pytest.mark.parametrize("durable_queue", [False, True])
@pytest.mark.parametrize("tls", [None, TLS])
@pytest.mark.parametrize("protocol", ["relp", "tcp"])
def test_both_protocols_pass_with_certificates_that_only_the_host_has(
    tmp_path: Path, protocol: str, tls: object, durable_queue: bool
) -> None:
    tree = write(tmp_path, collector={"protocol": protocol, "tls": tls}, durable_queue=durable_queue)

    assert list(check_rsyslog(tree)) == []


@pytest.mark.server
def test_check_makes_nothing_where_the_files_say(tmp_path: Path) -> None:
    target = tmp_path / "real"
    tree = write(tmp_path / "tree", root=str(target)[:60], base_rsyslog=True)
    before = sorted(tmp_path.rglob("*"))

    assert list(check_rsyslog(tree)) == []
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.server
@pytest.mark.parametrize(
    ("old", "new", "cause"),
    [
        ('windowSize="2000"', 'window="2000"', "parameter 'window' not known"),
        ('module(load="omrelp")', "", "module name 'omrelp' is unknown"),
        ('template="nova_wire"', 'template="nova_wires"', "Could not find template"),
        ("then call nova", "then call nava", "ruleset 'nava' cannot be found"),
        ("global(", 'module(load="omnothing")\nglobal(', "omnothing"),
        ("global(", 'module(load="imuxsock")\nglobal(', "module 'imuxsock' already in this config"),
        # As where a fragment of somebody else's loads it.
        ("global(", 'module(load="imfile")\nglobal(', "module 'imfile' already in this config"),
        ("$syslogseverity <= 6", "$sislogseverity <= 6", "sislogseverity"),
    ],
)
def test_what_rsyslogd_refuses_is_an_error_in_the_real_file(tmp_path: Path, old: str, new: str, cause: str) -> None:
    tree = write(tmp_path)
    fragment = tmp_path / "etc/rsyslog.d/60-nova.conf"
    text = fragment.read_text()
    assert old in text
    fragment.write_text(text.replace(old, new))

    findings = list(check_rsyslog(tree))
    assert {(found.host, found.severity) for found in findings} == {("compute-01", "error")}
    assert any(cause in found.message for found in findings)
    assert not any("/t-" in found.message for found in findings)
    assert {found.path for found in findings} <= {fragment, STOCK_RSYSLOG_CONF}


@pytest.mark.server
def test_fragment_beside_ours_is_checked_with_it_and_by_its_line(tmp_path: Path) -> None:
    tree = write(tmp_path)
    other = tmp_path / "etc/rsyslog.d/70-other.conf"
    other.write_text('# one\n# two\naction(type="omfile" file="/x" template="nova_none")\n')

    findings = list(check_rsyslog(tree))
    assert any(found.path == other and f"{other}, on or before line 3" in found.message for found in findings)


def test_host_without_rsyslog_needs_no_rsyslogd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)

    assert list(check_rsyslog(write(tmp_path, syslog="collector"))) == []


def test_missing_rsyslogd_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)

    fragment = tmp_path / "etc/rsyslog.d/60-nova.conf"
    cause = "cannot check 60-nova.conf: rsyslogd is not installed; install the package rsyslog"
    assert list(check_rsyslog(write(tmp_path))) == [Finding("compute-01", fragment, "error", cause)]


@pytest.mark.parametrize(
    ("script", "severity", "message"),
    [
        ("exec sleep 60", "error", "cannot check 60-nova.conf: no answer in 0.5 s"),
        ("exit 3", "error", "rsyslogd -N1 ended with 3 and gave no reason"),
        ("echo 'rsyslogd: old directive' >&2", "warning", "old directive"),
    ],
)
def test_rsyslogd_that_behaves_oddly_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, severity: str, message: str
) -> None:
    program = tmp_path / "bin/rsyslogd"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")

    (found,) = check_rsyslog(write(tmp_path / "tree"), timeout_s=0.5)
    assert (found.severity, found.message) == (severity, message)
