"""Levels and thresholds that hide a migration's stages are named, and only those."""

from pathlib import Path

import pytest

from cloud.logs.generator.check_levels import check_levels
from cloud.logs.generator.inventory import Inventory
from cloud.logs.generator.render import render_host, write_tree
from cloud.logs.generator.tree import TreeError, host_trees


def findings(directory: Path) -> list[tuple[str, str, str, str]]:
    return [
        (found.host, str(found.path.relative_to(directory)), found.severity, found.message)
        for tree in host_trees(directory)
        for found in check_levels(tree)
    ]


def write(directory: Path, **keys: object) -> None:
    entry = {"services": ["nova-compute", "nova-cert"]}
    collector = {"address": "172.20.1.43", "port": 1024}
    inventory = Inventory.model_validate({"collector": collector, "hosts": {"compute-01": entry}, **keys})
    write_tree(render_host(inventory, "compute-01"), directory / "compute-01")


@pytest.mark.parametrize("profile", ["default", "guide"])
def test_rendered_profiles_hide_nothing(tmp_path: Path, profile: str) -> None:
    write(tmp_path, profile=profile)

    assert findings(tmp_path) == []


def test_level_above_info_is_named_for_services_on_a_migrations_path_only(tmp_path: Path) -> None:
    write(tmp_path, log_level="WARNING")

    assert findings(tmp_path) == [
        (
            "compute-01",
            "compute-01/etc/nova/nova-compute-logging.conf",
            "warning",
            (
                "[logger_nova] lets pass WARNING and up, which hides the started, progress, completed events of a "
                "migration's steps in nova-compute; set level = INFO there"
            ),
        )
    ]


def test_level_above_error_hides_the_failures_too(tmp_path: Path) -> None:
    write(tmp_path, log_level="CRITICAL")

    assert "hides the started, progress, completed, failed events" in findings(tmp_path)[0][3]


def test_forward_threshold_above_info_is_named(tmp_path: Path) -> None:
    write(tmp_path, thresholds={"nova": "warning"})

    assert findings(tmp_path) == [
        (
            "compute-01",
            "compute-01/etc/rsyslog.d/60-nova.conf",
            "warning",
            (
                "forwards warning and what is more severe, which hides the started, progress, completed events of a "
                "migration's steps in nova-compute; set thresholds.nova: info in the inventory"
            ),
        )
    ]


def test_threshold_of_the_system_is_no_concern_of_a_migration(tmp_path: Path) -> None:
    write(tmp_path, thresholds={"system": "emerg"})

    assert findings(tmp_path) == []


def test_the_guides_nova_conf_and_forward_are_named(tmp_path: Path) -> None:
    (tmp_path / "etc/nova").mkdir(parents=True)
    (tmp_path / "etc/rsyslog.d").mkdir()
    nova_conf = tmp_path / "etc/nova/nova.conf"
    nova_conf.write_text("[DEFAULT]\nhost = c1\nverbose = False\ndebug = False\n")
    (tmp_path / "etc/rsyslog.d/60-nova.conf").write_text("*.*;local0.none /var/log/x\n*.error @@172.20.1.43:1024\n")

    found = findings(tmp_path)
    services = ["nova-api", "nova-conductor", "nova-scheduler", "nova-compute", "nova-network"]
    assert [(host, path) for host, path, _, _ in found] == [("c1", "etc/nova/nova.conf")] * 5 + [
        ("c1", "etc/rsyslog.d/60-nova.conf")
    ]
    for service, (_, _, severity, message) in zip(services, found[:5], strict=True):
        assert severity == "warning"
        assert message.startswith(f"without log-config, verbose or debug {service} logs from WARNING up, which hides")
        assert message.endswith("; set log-config, or verbose = True")
    assert found[5][3].startswith("forwards err and what is more severe, which hides")

    nova_conf.write_text("[DEFAULT]\nverbose = True\n")
    (tmp_path / "etc/rsyslog.d/60-nova.conf").write_text("*.info @@172.20.1.43:1024\n")
    assert findings(tmp_path) == []


def test_one_logging_conf_for_all_services_is_named_once(tmp_path: Path) -> None:
    etc = tmp_path / "etc/nova"
    etc.mkdir(parents=True)
    (etc / "nova.conf").write_text("[DEFAULT]\nlog-config = /etc/nova/logging.conf\n")
    (etc / "logging.conf").write_text(
        "[loggers]\nkeys=root\n[handlers]\nkeys=\n[formatters]\nkeys=\n[logger_root]\nlevel=ERROR\nhandlers=\n"
    )

    ((_, path, _, message),) = findings(tmp_path)
    assert path == "etc/nova/logging.conf"
    assert message.startswith("[logger_root], there being no logger nova, lets pass ERROR and up, which hides")
    assert "in nova-api, nova-conductor, nova-scheduler, nova-compute, nova-network; set level = INFO" in message


def test_missing_logging_conf_and_unreadable_nova_conf_are_errors(tmp_path: Path) -> None:
    write(tmp_path)
    etc = tmp_path / "compute-01/etc/nova"
    (etc / "nova-compute-logging.conf").unlink()
    assert findings(tmp_path) == [
        (
            "compute-01",
            "compute-01/etc/nova/nova-compute.conf",
            "error",
            "log-config names /etc/nova/nova-compute-logging.conf, which is not there",
        )
    ]
    (etc / "nova.conf").write_text("no section\n")
    ((host, path, severity, message),) = findings(tmp_path)
    assert (host, path, severity) == ("compute-01", "compute-01/etc/nova/nova.conf", "error")
    assert message.startswith("cannot read the options of nova-compute: ")

    (etc / "nova.conf").write_text("transport_url = amqp://nova:hunter2@10.0.0.5/nova\n")
    ((*_, message),) = findings(tmp_path)
    assert "amqp://nova:***@10.0.0.5/nova" in message


def test_directory_without_nova_is_refused(tmp_path: Path) -> None:
    (tmp_path / "compute-01/etc").mkdir(parents=True)

    with pytest.raises(TreeError, match=r"cannot check .*: no nova.conf, logging.conf or 60-nova.conf in it"):
        host_trees(tmp_path)
