"""The files of a host, and how they are written."""

import configparser
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from oslo_config import cfg

from cloud.logs.emit.settings import OPTIONS, log_settings
from cloud.logs.generator.inventory import Inventory
from cloud.logs.generator.render import OutsideTreeError, render_host, write_tree


def inventory(**host: object) -> Inventory:
    entry = {"services": ["nova-compute"], **host}
    return Inventory.model_validate(
        {"collector": {"address": "172.20.1.43", "port": 514, "tcp_port": 1024}, "hosts": {"compute-01": entry}}
    )


def rendered(**host: object) -> dict[str, str]:
    return render_host(inventory(**host), "compute-01")


def test_host_has_its_services_files_and_rsyslog() -> None:
    assert list(rendered(services=["nova-compute", "nova-network"])) == [
        "etc/nova/nova.conf",
        "etc/nova/nova-compute.conf",
        "etc/nova/nova-compute-logging.conf",
        "etc/nova/nova-network.conf",
        "etc/nova/nova-network-logging.conf",
        "etc/rsyslog.d/60-nova.conf",
        "etc/logrotate.d/nova",
    ]
    assert list(rendered(services=[], base_rsyslog=True, paths={"root": "/srv/c1"})) == [
        "etc/nova/nova.conf",
        "etc/rsyslog.d/60-nova.conf",
        "etc/logrotate.d/nova",
        "etc/rsyslog.conf",
    ]


def test_host_without_rsyslog_sends_to_the_collector() -> None:
    files = rendered(syslog="collector")

    assert not any("rsyslog" in name for name in files)
    assert "args = ('tcp://172.20.1.43:1024',)" in files["etc/nova/nova-compute-logging.conf"]


def test_logging_conf_has_the_names_that_services_rely_on() -> None:
    parser = configparser.ConfigParser()
    parser.read_string(rendered()["etc/nova/nova-compute-logging.conf"])

    assert dict(parser["logger_root"]) == {"level": "WARNING", "handlers": "syslog"}
    assert dict(parser["logger_nova"]) == {"level": "INFO", "handlers": "syslog", "qualname": "nova", "propagate": "0"}
    assert dict(parser["handler_syslog"]) == {
        "class": "cloud.logs.emit.syslog.SyslogHandler",
        "formatter": "cee",
        "args": "('unix:/run/nova/log.sock',)",
        "kwargs": "{'facility': 'local1', 'app_name': 'nova-compute', 'hostname': 'compute-01'}",
    }
    assert dict(parser["formatter_cee"]) == {"class": "cloud.logs.emit.cee.CeeFormatter"}


def test_options_of_a_service_are_in_its_own_file_alone_and_the_hosts_win(tmp_path: Path) -> None:
    general = {
        "nova-api": {"default": {"osapi_compute_listen_port": 8774}, "identity": {"url": "http://h:5000", "a": 1}}
    }
    own = {"nova-api": {"identity": {"a": 2}}, "image": {"image": {"password": "example-not-a-secret"}}}
    entry = {"services": ["nova-api", "nova-cert", "image"], "service_options": own}
    cloud = Inventory.model_validate(
        {
            "collector": {"address": "172.20.1.43", "port": 514},
            "service_options": general,
            "hosts": {"controller-01": entry},
        }
    )
    files = render_host(cloud, "controller-01")
    assert files["etc/nova/nova-api.conf"] == (
        "# What only nova-api reads, after nova.conf.\n"
        "[DEFAULT]\n"
        "log-config = /etc/nova/nova-api-logging.conf\n"
        "osapi_compute_listen_port = 8774\n"
        "\n"
        "[identity]\n"
        "url = http://h:5000\n"
        "a = 2\n"
    )
    assert "identity" not in files["etc/nova/nova-cert.conf"]
    assert "example-not-a-secret" not in repr(cloud)
    write_tree(files, tmp_path)
    modes = {name: (tmp_path / f"etc/nova/{name}.conf").stat().st_mode & 0o777 for name in ("nova-api", "image")}
    assert modes == {"nova-api": 0o644, "image": 0o640}


def test_oslo_config_reads_both_files_of_a_service(tmp_path: Path) -> None:
    options = {"instances_path": "$state_path/instances", "report_interval": 5, "quota": "100%"}
    write_tree(rendered(nova_options=options), tmp_path)
    conf = cfg.ConfigOpts()
    names = ("host", "state_path", "instances_path", "quota")
    conf.register_opts([cfg.IntOpt("report_interval"), *map(cfg.StrOpt, names), *OPTIONS])
    etc = tmp_path / "etc/nova"
    conf(["--config-file", f"{etc}/nova.conf", "--config-file", f"{etc}/nova-compute.conf"])

    assert conf.host == "compute-01"
    assert conf.instances_path == "/var/lib/nova/instances"
    assert (conf.report_interval, conf.quota) == (5, "100%")
    assert log_settings(conf).log_config == "/etc/nova/nova-compute-logging.conf"


def test_python_reads_the_logging_conf(tmp_path: Path) -> None:
    write_tree(rendered(services=["nova-scheduler"], log_level="DEBUG", paths={"root": str(tmp_path)[:60]}), tmp_path)
    script = """if True:
        import logging, logging.config, sys
        logging.config.fileConfig(sys.argv[1])
        nova = logging.getLogger("nova")
        print(nova.level, nova.propagate, type(nova.handlers[0]).__name__, logging.getLogger().level)
        """
    path = tmp_path / "etc/nova/nova-scheduler-logging.conf"
    run = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=False, timeout=30)

    assert (run.stdout, run.stderr) == (f"{logging.DEBUG} 0 SyslogHandler {logging.WARNING}\n", "")


def test_every_path_follows_the_inventory() -> None:
    paths = {"root": "/srv/c1", "etc": "/srv/c1/etc/n", "run": "/r", "log": "/l/n", "spool": "/s", "state": "/v"}
    paths["libvirt_log"] = "/lv"
    files = rendered(base_rsyslog=True, paths=paths)

    text = "".join(files.values())
    assert not any(default in text for default in ("/etc/nova", "/run/nova", "/var/"))
    assert next(iter(files)) == "etc/n/nova.conf"
    assert 'include(file="/srv/c1/etc/rsyslog.d/*.conf")' in files["etc/rsyslog.conf"]
    assert 'file="/l/syslog"' in files["etc/rsyslog.conf"]
    assert 'Socket="/r/dev-log"' in files["etc/rsyslog.conf"]
    assert 'File="/lv/qemu/*.log"' in files["etc/rsyslog.d/60-nova.conf"]


def test_only_hosts_with_nova_compute_read_libvirts_files() -> None:
    assert 'module(load="imfile")' in rendered()["etc/rsyslog.d/60-nova.conf"]
    assert "libvirt" not in rendered(services=["nova-api", "nova-network"])["etc/rsyslog.d/60-nova.conf"]


BUS_AND_DATABASE = {
    "transport_url": "amqp://nova:bus$host-%24@10.0.0.5:5672/nova",
    "database": "postgresql://nova:base$$host@10.0.0.6/nova?application_name=$host",
}


def test_oslo_config_reads_the_urls_as_the_inventory_has_them(tmp_path: Path) -> None:
    services = ["nova-api", "nova-conductor", "nova-scheduler", "identity", "image", "volume", "nova-network"]
    write_tree(rendered(services=services, **BUS_AND_DATABASE), tmp_path)
    etc = tmp_path / "etc/nova"
    connections = {}
    for service in services:
        conf = cfg.ConfigOpts()
        conf.register_opts([cfg.StrOpt("host"), cfg.StrOpt("transport_url"), *OPTIONS])
        conf.register_opts([cfg.IntOpt("report_interval"), cfg.IntOpt("service_down_time")])
        conf.register_opts([cfg.StrOpt("connection")], group="database")
        conf(["--config-file", f"{etc}/nova.conf", "--config-file", f"{etc}/{service}.conf"])
        assert conf.transport_url == "amqp://nova:bus$host-%24@10.0.0.5:5672/nova"
        assert (conf.report_interval, conf.service_down_time) == (10, 60)
        assert log_settings(conf).log_config == f"/etc/nova/{service}-logging.conf"
        connections[service] = conf.database.connection

    database = "postgresql://nova:base$$host@10.0.0.6/nova?application_name=$host"
    assert connections == {
        "nova-api": database,
        "nova-conductor": database,
        "nova-scheduler": database,
        "identity": database,
        "image": None,
        "volume": None,
        "nova-network": None,
    }


@pytest.mark.parametrize("profile", ["default", "guide"])
def test_compute_host_never_learns_of_the_database(profile: str) -> None:
    files = rendered(services=["nova-compute", "nova-network"], profile=profile, base_rsyslog=True, **BUS_AND_DATABASE)

    text = "".join(files.values()).lower()
    assert "amqp://" in text
    for trace in ("postgresql", "sqlite", "base$", "10.0.0.6", "[database]", "connection ="):
        assert trace not in text


def test_without_bus_and_database_neither_is_rendered() -> None:
    text = "".join(rendered(services=["nova-api", "nova-compute"]).values())

    assert "transport_url" not in text
    assert "[database]" not in text


@pytest.mark.parametrize(
    ("database", "mode"),
    [
        ("postgresql://nova:secret@10.0.0.6/nova", "640"),
        ("postgresql://nova:$@10.0.0.6/nova", "640"),
        ("postgresql+psycopg://10.0.0.6/nova?user=nova&password=secret", "640"),
        ("sqlite:////var/lib/nova/nova.sqlite", "644"),
    ],
)
def test_what_holds_a_secret_is_not_for_everybody(tmp_path: Path, database: str, mode: str) -> None:
    written = write_tree(rendered(services=["nova-api", "nova-compute"], database=database), tmp_path)

    assert {path.name: f"{path.stat().st_mode & 0o777:o}" for path in written} == {
        "nova.conf": "640",
        "nova-api.conf": mode,
        "nova-api-logging.conf": "644",
        "nova-compute.conf": "644",
        "nova-compute-logging.conf": "644",
        "60-nova.conf": "644",
        "nova": "644",
    }


def test_only_the_guide_profile_parses_bodies_and_matches_events() -> None:
    default, guide = (rendered(profile=profile)["etc/rsyslog.d/60-nova.conf"] for profile in ("default", "guide"))

    assert (
        'if $syslogseverity <= 6 or $syslogfacility-text == ["daemon", "kern"] or $inputname == "immark" then'
        in default
    )
    assert "mmjsonparse" not in default
    assert (
        'if $syslogseverity <= 3 or $syslogfacility-text == ["daemon", "kern"] or $inputname == "immark" or (' in guide
    )
    assert r'"^((migration|build|evacuate|resize|instance|service)[.]|(rpc[.]timeout|' in guide


def test_files_are_replaced_as_a_whole_with_the_mode_they_need(tmp_path: Path) -> None:
    (tmp_path / "etc/nova").mkdir(parents=True)
    (tmp_path / "etc/nova/nova.conf").write_text("old")
    before = (tmp_path / "etc/nova/nova.conf").stat().st_ino

    written = write_tree({"etc/nova/nova.conf": "new\n", "etc/rsyslog.d/60-nova.conf": "x\n"}, tmp_path)

    assert written == [tmp_path / "etc/nova/nova.conf", tmp_path / "etc/rsyslog.d/60-nova.conf"]
    assert [f"{path.stat().st_mode & 0o777:o}" for path in written] == ["640", "644"]
    assert written[0].read_text() == "new\n"
    assert written[0].stat().st_ino != before
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["60-nova.conf", "nova.conf"]


@pytest.mark.parametrize("name", ["../x", "/etc/x", "etc/../../x", "", "out/x", "out/new/x"])
def test_file_outside_the_directory_is_not_written(tmp_path: Path, name: str) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tree / "out").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OutsideTreeError, match=r"cannot write .*: it leads out of"):
        write_tree({name: "x"}, tree)
    assert [path.name for path in tmp_path.rglob("*")] == ["tree", "elsewhere", "out"]


def test_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/x.conf").write_text("old")

    with pytest.raises(UnicodeEncodeError):
        write_tree({"etc/x.conf": "\ud800"}, tmp_path)
    assert [(path.name, path.read_text()) for path in (tmp_path / "etc").iterdir()] == [("x.conf", "old")]
